"""Notes: for people alone, and in no branch."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from conversations import access, actions, fragments
from conversations.actions.messages import Said, Sent
from conversations.actions.refusals import (
    NothingToAnswer,
    NothingToNote,
    SentElsewhere,
    TooManyNotes,
)
from conversations.fragments import Article
from conversations.models import (
    AuditEntry,
    Conversation,
    Generation,
    Message,
    Participant,
    QueuedTurn,
    Role,
    State,
    User,
)
from conversations.views import thread_page
from tests.queues import end, queue

pytestmark = pytest.mark.django_db


def note(conversation: Conversation, author: User, text: str = "Psst", **fields: Any) -> Said:
    fields = {"request_id": uuid4()} | fields
    return actions.messages.note(conversation=conversation, author=author, text=text, **fields)


def shown(conversation: Conversation, before: Message | None = None) -> list[str]:
    conversation.refresh_from_db()
    page = thread_page.messages(conversation, before)
    return [article.message.text for article in page["articles"]]


def ask(conversation: Conversation, author: User, text: str) -> Sent:
    """And have it answered."""
    sent = actions.messages.send(
        conversation=conversation, author=author, text=text, request_id=uuid4()
    )
    Message.objects.filter(pk=sent.answer.pk).update(text=f"Answer to {text}")
    end(conversation)
    return sent


def test_a_note_stands_under_what_was_last_and_stays_there(
    conversation: Conversation, alice: User
) -> None:
    ask(conversation, alice, "One")
    note(conversation, alice, "*First* note")
    note(conversation, alice, "Second note")
    ask(conversation, alice, "Two")
    note(conversation, alice, "Third note")
    assert shown(conversation) == [
        "One",
        "Answer to One",
        "*First* note",
        "Second note",
        "Two",
        "Answer to Two",
        "Third note",
    ]
    assert AuditEntry.objects.filter(verb="note.sent").count() == 3


def test_no_note_is_sent_upstream(conversation: Conversation, alice: User) -> None:
    ask(conversation, alice, "One")
    secret = note(conversation, alice, "Secret").message
    ask(conversation, alice, "Two")
    for generation in Generation.objects.all():
        assert secret.public_id not in generation.request["messages"]
    assert len(generation.request["messages"]) == 3


def test_it_is_taken_while_an_answer_runs_and_stands_under_it(
    running: Generation, shared: Conversation, bob: User
) -> None:
    queue(shared, bob, "Waits")
    said = note(shared, bob)
    assert said.message.parent == running.choices.get().message
    assert QueuedTurn.objects.count() == 1
    assert shown(shared) == ["Why is it slow?", "", "Psst"]


def test_what_was_just_noted_looks_as_it_does_when_it_is_read(
    conversation: Conversation, alice: User
) -> None:
    ask(conversation, alice, "One")
    said = note(conversation, alice, "*Hm*")
    (row,) = Message.objects.filter(pk=said.message.pk).read_for_thread()
    assert said.html == fragments.article(Article.of(row))
    assert 'class="said person note"' in said.html


def test_the_same_request_id_twice_is_one_note(conversation: Conversation, alice: User) -> None:
    sent = ask(conversation, alice, "One")
    request_id = uuid4()
    first = note(conversation, alice, request_id=request_id)
    assert note(conversation, alice, "Again", request_id=request_id).message == first.message
    assert sent.question.request_id
    with pytest.raises(SentElsewhere):
        note(conversation, alice, request_id=sent.question.request_id)
    with pytest.raises(SentElsewhere):
        actions.messages.send(
            conversation=conversation, author=alice, text="Psst", request_id=request_id
        )
    other = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=other, user=alice, role=Role.OWNER)
    ask(other, alice, "There")
    with pytest.raises(SentElsewhere):
        note(other, alice, request_id=request_id)
    assert Message.objects.filter(kind="note").count() == 1


def test_a_note_of_a_message_that_waits_is_refused(
    running: Generation, shared: Conversation, bob: User
) -> None:
    turn = queue(shared, bob, "Waits")
    with pytest.raises(SentElsewhere):
        note(shared, bob, request_id=turn.request_id)


def test_where_nothing_was_said_there_is_nothing_to_note(
    conversation: Conversation, alice: User
) -> None:
    with pytest.raises(NothingToNote):
        note(conversation, alice)


def test_under_one_message_stand_so_many_notes(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.NOTES_PER_MESSAGE = 1
    ask(conversation, alice, "One")
    note(conversation, alice)
    with pytest.raises(TooManyNotes, match="1 note"):
        note(conversation, alice)
    ask(conversation, alice, "Two")
    note(conversation, alice)


def test_retry_continue_and_branches_know_nothing_of_notes(
    conversation: Conversation, alice: User
) -> None:
    sent = ask(conversation, alice, "One")
    said = note(conversation, alice, "About the first answer")
    Generation.objects.update(state=State.STOPPED, finish_reason="")
    answer = access.message(alice, sent.answer.public_id, to="write")
    assert actions.generations.go_on(answer=answer, actor=alice) == answer
    end(conversation)
    answer = access.message(alice, sent.answer.public_id, to="write")
    second = actions.generations.retry(answer=answer, actor=alice)
    end(conversation)
    assert shown(conversation) == ["One", ""]
    actions.conversations.choose_head(conversation=conversation, actor=alice, message=sent.answer)
    assert shown(conversation) == ["One", "Answer to One", "About the first answer"]
    conversation.refresh_from_db()
    assert conversation.head == sent.answer
    actions.conversations.choose_head(conversation=conversation, actor=alice, message=second)
    with pytest.raises(NothingToAnswer):
        actions.conversations.choose_head(
            conversation=conversation, actor=alice, message=said.message
        )
    with pytest.raises(NothingToAnswer):
        actions.generations.retry(
            answer=access.message(alice, said.message.public_id, to="write"), actor=alice
        )


def test_pages_of_a_long_thread_bring_each_note_once_with_its_message(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.THREAD_PAGE = 3
    for number in range(4):
        ask(conversation, alice, str(number))
        note(conversation, alice, f"Note {number}a")
        note(conversation, alice, f"Note {number}b")
    whole: list[str] = []
    before = None
    while True:
        conversation.refresh_from_db()
        page = thread_page.messages(conversation, before)
        whole = [article.message.text for article in page["articles"]] + whole
        if not page["older"]:
            break
        before = Message.objects.get(public_id=page["older"])
    expected = [[str(n), f"Answer to {n}", f"Note {n}a", f"Note {n}b"] for n in range(4)]
    assert whole == [text for part in expected for text in part]


def test_the_switch_sends_a_note_and_stays_on(
    client: Client, conversation: Conversation, alice: User
) -> None:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    ask(conversation, alice, "One")
    form = {"text": "Psst", "request_id": str(uuid4()), "note": "on"}
    page = client.post(f"/c/{conversation.public_id}/messages/", form).content.decode()
    assert '<template data-place="messages"><article' in page
    assert 'name="note" value="on" checked' in page
    assert Message.objects.filter(kind="note", author=alice).count() == 1
    form = {"text": "Two", "request_id": str(uuid4())}
    page = client.post(f"/c/{conversation.public_id}/messages/", form).content.decode()
    assert 'name="note" value="on">' in page
    assert Generation.objects.count() == 2


def test_a_new_conversation_offers_no_notes(client: Client, alice: User) -> None:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert b'name="note"' not in client.get("/").content
