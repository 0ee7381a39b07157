"""When the assistant answers: every message, or those that call it."""

from uuid import uuid4

import pytest
from django.test import Client

from conversations import actions, fragments
from conversations.actions.messages import Said, Sent
from conversations.actions.turns import CALL, Place
from conversations.fragments import Article
from conversations.models import (
    Answers,
    Conversation,
    Generation,
    Message,
    QueuedTurn,
    State,
    User,
)
from tests.queues import end, line, queue, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def on_call(shared: Conversation) -> Conversation:
    """Alice's and Bob's, where the assistant waits to be called."""
    shared.answers = Answers.CALLED
    shared.save(update_fields=["answers"])
    return shared


def send(conversation: Conversation, author: User, text: str) -> Sent | Said | QueuedTurn:
    return actions.queue.send(
        conversation=conversation, author=author, text=text, request_id=uuid4()
    )


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("@assistant why?", True),
        ("Why, @Assistant?", True),
        ("(@ASSISTANT)", True),
        ("Ask @assistant.", True),
        ("**@assistant**", True),
        ("assistant, why?", False),
        ("mail@assistant.example", False),
        ("me@assistant", False),
        ("@assistants", False),
        ("@assistant_bot", False),
        ("@assistant.example", False),
        ("https://example.com/@assistant", False),
        ("@assistant-two", False),
    ],
)
def test_what_calls_it(text: str, calls: bool) -> None:
    assert bool(CALL.search(text)) is calls


def test_what_does_not_call_it_is_a_turn_without_an_answer(
    on_call: Conversation, alice: User, bob: User
) -> None:
    for author, text in ((alice, "What do we ask?"), (bob, "Why it is slow.")):
        assert isinstance(send(on_call, author, text), Said)
    assert said(on_call) == ["What do we ask?", "Why it is slow."]
    assert not Generation.objects.exists()
    sent = send(on_call, alice, "@assistant why is it slow?")
    assert isinstance(sent, Sent)
    branch = Message.objects.branch_to(sent.question.pk).values_list("public_id", flat=True)
    assert Generation.objects.get().request["messages"] == list(branch)
    assert len(branch) == 3, "it reads what was said before"


def test_with_every_message_answered_a_call_changes_nothing(
    shared: Conversation, alice: User
) -> None:
    assert isinstance(send(shared, alice, "Hello"), Sent)
    assert shared.answers == Answers.EVERY


def test_what_was_just_said_looks_as_it_does_when_it_is_read(
    on_call: Conversation, alice: User
) -> None:
    send(on_call, alice, "First")
    just = send(on_call, alice, "*Second*")
    assert isinstance(just, Said)
    (row,) = Message.objects.filter(pk=just.message.pk).read_for_thread()
    assert just.html == fragments.article(Article.of(row))


def test_the_same_request_id_twice_is_one_message(on_call: Conversation, alice: User) -> None:
    request_id = uuid4()
    first, again = (
        actions.queue.send(conversation=on_call, author=alice, text="Hi", request_id=request_id)
        for _ in range(2)
    )
    assert isinstance(first, Said)
    assert isinstance(again, Said)
    assert first.message == again.message


def test_while_an_answer_runs_both_kinds_wait_in_their_order(
    on_call: Conversation, alice: User, bob: User
) -> None:
    send(on_call, alice, "@assistant one?")
    queue(on_call, bob, "Aside")
    queue(on_call, alice, "Also aside")
    queue(on_call, bob, "@assistant two?")
    queue(on_call, bob, "@assistant three?")
    end(on_call)
    assert actions.queue.sweep() == 3
    assert said(on_call) == ["@assistant one?", "Aside", "Also aside", "@assistant two?"]
    assert line(on_call) == ["@assistant three?"]
    assert Generation.objects.open().count() == 1


def test_asides_pass_where_a_call_would_be_held(on_call: Conversation, alice: User) -> None:
    send(on_call, alice, "@assistant one?")
    queue(on_call, alice, "Aside")
    queue(on_call, alice, "@assistant two?")
    Conversation.objects.update(model="retired-1")
    end(on_call)
    assert actions.queue.sweep() == 1
    assert line(on_call) == ["@assistant two?"]
    assert "Waits for a model" in fragments.queue(on_call)


def test_an_aside_that_is_sent_now_stops_the_answer_and_asks_for_none(
    on_call: Conversation, alice: User
) -> None:
    send(on_call, alice, "@assistant one?")
    turn = queue(on_call, alice, "Never mind, I know")
    actions.queue.send_now(turn=turn, actor=alice)
    assert Generation.objects.get().state == State.STOPPED
    assert said(on_call) == ["@assistant one?", "Never mind, I know"]


def test_it_is_a_setting_of_the_conversation(
    client: Client, shared: Conversation, alice: User
) -> None:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/c/{shared.public_id}/settings/"
    page = client.post(address, {"model": shared.model, "answers": "called"})
    assert '<option value="called" selected>' in page.content.decode()
    shared.refresh_from_db()
    assert shared.answers == Answers.CALLED
    client.post(address, {"model": shared.model})
    shared.refresh_from_db()
    assert shared.answers == Answers.CALLED, "not said, not changed"
    assert client.post(address, {"model": shared.model, "answers": "never"}).status_code == 422
    thread = client.get(f"/c/{shared.public_id}/").content.decode()
    assert "call @assistant" in thread


@pytest.mark.parametrize(("text", "is_answered"), [("Never mind", False), ("@assistant?", True)])
def test_new_words_call_it_only_by_name_too(
    on_call: Conversation, alice: User, text: str, is_answered: bool
) -> None:
    said = send(on_call, alice, "We will see")
    assert isinstance(said, Said)
    again = actions.messages.branch(
        conversation=on_call,
        author=alice,
        text=text,
        request_id=uuid4(),
        place=Place(instead=said.message),
    )
    assert isinstance(again, Sent) is is_answered
    assert Generation.objects.count() == is_answered
    on_call.refresh_from_db()
    assert on_call.head is not None
    assert on_call.head == (again.answer if isinstance(again, Sent) else again.message)
