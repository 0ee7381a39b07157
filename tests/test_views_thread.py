"""The thread's page: what it shows, and older messages."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import actions
from conversations.models import Conversation, Generation, Message, State, User
from tests.relays import send

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def end(conversation: Conversation, text: str = "An answer") -> None:
    """Ends the open turn."""
    Generation.objects.filter(state=State.QUEUED).update(state=State.DONE, finish_reason="stop")
    conversation.refresh_from_db()
    assert conversation.head_id
    Message.objects.filter(pk=conversation.head_id).update(text=text)


def articles(page: Any) -> list[str]:
    return re.findall(r'<article id="m-(\w+)"', page.content.decode())


def test_a_thread_shows_its_messages_oldest_first(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    page = client.get(f"/c/{conversation.public_id}/")
    assert articles(page) == [sent.question.public_id, sent.answer.public_id]
    assert "Why is it slow?" in page.content.decode()


def test_an_open_answer_carries_what_a_page_needs_to_follow_it(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    html = client.get(f"/c/{conversation.public_id}/").content.decode()
    generation = Generation.objects.get()
    assert f'data-generation="{generation.public_id}"' in html
    assert f"/g/{generation.public_id}/stop/" in html
    assert f'data-revision="{type(conversation).objects.get().revision}"' in html


def test_htmx_gets_the_main_part_and_a_restored_page_gets_everything(
    client: Client, conversation: Conversation
) -> None:
    path = f"/c/{conversation.public_id}/"
    part = client.get(path, headers={"HX-Request": "true"}).content.decode()
    whole = client.get(
        path, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}
    ).content.decode()
    assert part.lstrip().startswith("<main")
    assert "<html" in whole


def test_text_is_escaped_wherever_it_is_shown(
    client: Client, conversation: Conversation, alice: User
) -> None:
    attack = "<script>alert(1)</script>"
    alice.name = attack
    alice.save()
    conversation.title = attack
    conversation.system_prompt = attack
    conversation.save()
    send(conversation, alice, attack)
    for path in ("", "messages/"):
        html = client.get(f"/c/{conversation.public_id}/{path}").content.decode()
        assert "alert(1)" in html
        assert attack not in html


def test_messages_page_backwards_through_the_whole_thread(
    client: Client, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.THREAD_PAGE, settings.GENERATIONS_PER_USER = 10, 99
    for number in range(13):
        send(conversation, alice, f"Question {number}")
        end(conversation)
    path = f"/c/{conversation.public_id}/messages/"
    page, pages = client.get(path), []
    while True:
        pages.append(articles(page))
        older = re.search(r'data-older="(\w*)"', page.content.decode())
        assert older
        if not older[1]:
            break
        page = client.get(path, {"before": older[1]})
    branch = Message.objects.branch_to(conversation.head_id)
    assert [len(one) for one in pages] == [10, 10, 6]
    assert [name for one in reversed(pages) for name in one] == list(
        branch.values_list("public_id", flat=True)
    )


def test_an_older_page_begins_before_a_message_of_this_conversation_alone(
    client: Client, conversation: Conversation, alice: User, bob: User
) -> None:
    foreign = actions.messages.start(
        author=bob,
        text="Secret",
        request_id=uuid4(),
        model="crimson-falcon-4",
        parameters={},
        system_prompt="",
    )
    path = f"/c/{conversation.public_id}/messages/"
    assert client.get(path, {"before": foreign.answer.public_id}).status_code == 404
    assert client.get(path, {"before": "nothing"}).status_code == 404
    assert client.get(path, {"before": "\0"}).status_code == 404


def test_a_message_of_another_own_conversation_brings_nothing_of_it(
    client: Client, conversation: Conversation, alice: User
) -> None:
    other = actions.messages.start(
        author=alice,
        text="Elsewhere",
        request_id=uuid4(),
        model="crimson-falcon-4",
        parameters={},
        system_prompt="",
    )
    page = client.get(f"/c/{conversation.public_id}/messages/", {"before": other.answer.public_id})
    assert page.status_code == 200
    assert "Elsewhere" not in page.content.decode()


def test_a_thread_costs_the_same_queries_however_long_it_is(
    client: Client, conversation: Conversation, alice: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        send(conversation, alice, f"Question {number}")
        end(conversation)
    with django_assert_max_num_queries(20):
        client.get(f"/c/{conversation.public_id}/")


def test_the_text_of_a_message_is_its_markdown(client: Client, sent: actions.messages.Sent) -> None:
    Message.objects.filter(pk=sent.answer.pk).update(text="# **Hello** <b>\r\n")
    page = client.get(f"/m/{sent.answer.public_id}/text/")
    assert page.content.decode() == "# **Hello** <b>\r\n"
    assert page["Content-Type"] == "text/plain; charset=utf-8"
    assert page["X-Content-Type-Options"] == "nosniff"


STATES = [
    ({"state": State.FAILED, "error_message": "It <broke>."}, "It &lt;broke&gt;."),
    ({"state": State.INTERRUPTED, "error_message": "It stopped."}, "What arrived is kept."),
    ({"state": State.DONE, "finish_reason": "length"}, "Cut at the limit"),
    (
        {"state": State.DONE, "finish_reason": "length", "error_message": "At the portal's limit."},
        "At the portal&#x27;s limit.",
    ),
    (
        {"state": State.DONE, "finish_reason": "other", "error_message": "It ended with “<b>”."},
        "It ended with “&lt;b&gt;”.",
    ),
    ({"state": State.DONE, "finish_reason": "content_filter"}, "content filter"),
    ({"state": State.DONE, "finish_reason": "tool_calls"}, "asked for a tool"),
    ({"state": State.STOPPED}, "Stopped."),
]


@pytest.mark.parametrize(("columns", "words"), STATES)
def test_every_end_has_words(
    client: Client,
    sent: actions.messages.Sent,
    conversation: Conversation,
    columns: Any,
    words: Any,
) -> None:
    Message.objects.filter(pk=sent.answer.pk).update(text="Some text")
    Generation.objects.update(**columns)
    assert words in client.get(f"/c/{conversation.public_id}/").content.decode()


def test_no_words_of_a_message_are_instructions_to_the_page(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    """htmx looks for nothing to do in what somebody said, whatever slips through the renderer."""
    page = client.get(f"/c/{conversation.public_id}/").content.decode()
    bodies = re.findall(r'<div class="text"[^>]*>', page)
    assert len(bodies) == 2
    assert all(" hx-disable" in body for body in bodies)


def test_who_stopped_an_answer_is_named(
    client: Client, sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    actions.generations.stop(generation=Generation.objects.get(), actor=alice)
    assert "Stopped by Alice." in client.get(f"/c/{conversation.public_id}/").content.decode()


def test_a_text_that_an_older_renderer_rendered_is_rendered_anew(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    Message.objects.filter(pk=sent.question.pk).update(html="<p>old</p>", html_version=0)
    html = client.get(f"/c/{conversation.public_id}/").content.decode()
    assert "<p>old</p>" not in html
    assert "Why is it slow?" in html


def test_an_answer_that_ends_while_it_is_read_never_looks_finished_with_half_a_text(
    sent: actions.messages.Sent,
) -> None:
    """What the table says changes after each query; a state is never newer than its text."""
    seen: list[str] = []

    def finish(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if "conversations_choice" in sql and not seen:
            seen.append(sql)
            Generation.objects.update(state="done", finish_reason="stop", settled_at=timezone.now())
            Message.objects.filter(pk=sent.answer.pk).update(text="All of it")
        return result

    with connection.execute_wrapper(finish):
        rows = Message.objects.filter(pk=sent.answer.pk).read_for_thread()
    assert seen
    assert rows[0].text == "All of it"
