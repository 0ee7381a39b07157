"""Sending: once, in turn, and with a title."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connections, transaction
from pytest_django import Settings

from conversations import actions, fragments
from conversations.actions.messages import Sent, title_from
from conversations.actions.refusals import NoModel, TooManyAnswers, TurnRunning
from conversations.fragments import Article
from conversations.models import (
    AuditEntry,
    Choice,
    Conversation,
    Generation,
    Message,
    Outcome,
    Participant,
    Role,
    State,
    User,
)
from conversations.relay import Relay
from tests.relays import db, send, settled
from tests.upstream import ScriptedUpstream

THREADS = 8


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Runs them in a thread each, all beginning together; what they return or raise."""
    ready = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        ready.wait()
        try:
            return work()
        except (TurnRunning, TooManyAnswers) as refused:
            return refused
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def start(author: User, request_id: UUID, text: str = "Hello") -> Sent:
    return actions.messages.start(
        author=author,
        text=text,
        request_id=request_id,
        model="crimson-falcon-4",
        parameters={},
        system_prompt="",
    )


def end_turn(conversation: Conversation) -> None:
    Generation.objects.filter(conversation=conversation).update(
        state=State.DONE, finish_reason="stop"
    )


# --- Once -----------------------------------------------------------------------------------------


def test_sending_writes_a_question_an_empty_answer_and_a_queued_generation(
    sent: actions.messages.Sent, alice: User
) -> None:
    question, answer = sent.question, sent.answer
    generation = Generation.objects.get()
    assert (question.author, question.text, question.depth) == (alice, "Why is it slow?", 0)
    assert (answer.parent, answer.text, answer.depth) == (question, "", 1)
    assert (generation.state, generation.question) == (State.QUEUED, question)
    assert generation.request["messages"] == [question.public_id]
    assert Conversation.objects.get().head == answer


@pytest.mark.parametrize("before", [0, 1])
def test_what_was_just_sent_looks_as_it_does_when_it_is_read(
    conversation: Conversation, alice: User, before: int
) -> None:
    for _ in range(before):
        send(conversation, alice)
        end_turn(conversation)
    sent = actions.messages.send(
        conversation=conversation, author=alice, text="*Why?*", request_id=uuid4()
    )
    rows = Message.objects.filter(pk__in=[sent.question.pk, sent.answer.pk]).order_by("depth")
    read = [Article.of(row) for row in rows.read_for_thread()]
    assert sent.html == "".join(map(fragments.article, read))


def test_the_same_request_id_twice_is_the_same_message(
    conversation: Conversation, alice: User
) -> None:
    request_id = uuid4()
    first, second = (
        actions.messages.send(
            conversation=conversation, author=alice, text=text, request_id=request_id
        )
        for text in ("Hello", "Hello again")
    )
    assert first == second
    assert Message.objects.count() == 2
    assert Generation.objects.count() == 1
    assert Message.objects.get(author=alice).text == "Hello"


def test_the_same_request_id_again_after_the_answer_is_no_new_turn(
    conversation: Conversation, alice: User
) -> None:
    request_id = uuid4()
    first = actions.messages.send(
        conversation=conversation, author=alice, text="Hello", request_id=request_id
    )
    end_turn(conversation)
    again = actions.messages.send(
        conversation=conversation, author=alice, text="Hello", request_id=request_id
    )
    assert again == first
    assert Generation.objects.count() == 1


def test_the_same_request_id_by_somebody_else_is_another_message(
    conversation: Conversation, alice: User, bob: User
) -> None:
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    request_id = uuid4()
    mine = actions.messages.send(
        conversation=conversation, author=alice, text="Mine", request_id=request_id
    )
    end_turn(conversation)
    theirs = actions.messages.send(
        conversation=conversation, author=bob, text="Theirs", request_id=request_id
    )
    assert theirs.question.author == bob
    assert theirs.question.parent == mine.answer


def test_a_request_id_of_another_conversation_gives_nothing_of_it_away(
    conversation: Conversation, alice: User
) -> None:
    """Alice may have been removed from the other one since."""
    request_id = uuid4()
    other = start(alice, request_id, "In the other one")
    with pytest.raises(actions.refusals.Refused):
        actions.messages.send(
            conversation=conversation, author=alice, text="Here", request_id=request_id
        )
    assert other.question.conversation != conversation
    assert not conversation.messages.exists()


@pytest.mark.django_db(transaction=True)
def test_the_same_request_from_many_threads_at_once_is_one_message(
    conversation: Conversation, alice: User
) -> None:
    request_id = uuid4()

    def work() -> Sent:
        return actions.messages.send(
            conversation=conversation, author=alice, text="Hello", request_id=request_id
        )

    results = at_once(*[work] * THREADS)
    assert {result.question.pk for result in results} == {Message.objects.get(author=alice).pk}
    assert Generation.objects.count() == Choice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
async def test_a_question_sent_many_times_costs_one_upstream_request(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    request_id = uuid4()

    def work() -> Sent:
        return actions.messages.send(
            conversation=conversation, author=alice, text="Hello", request_id=request_id
        )

    results = await db(at_once, *[work] * THREADS)
    await settled(await Generation.objects.aget())
    assert len({result.answer.pk for result in results}) == 1
    assert len(upstream.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_what_nobody_can_be_told_of_is_sent_all_the_same(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.ROOT_URLCONF = "conversations.routing"  # names no page, so nothing can be rendered
    send(conversation, alice)
    assert Generation.objects.get().state == State.QUEUED
    entry = AuditEntry.objects.get(verb="message.sent")
    assert entry.outcome == Outcome.DONE


@pytest.mark.django_db(transaction=True)
def test_starting_many_times_at_once_is_one_conversation(alice: User) -> None:
    request_id = uuid4()
    results = at_once(*[lambda: start(alice, request_id)] * THREADS)
    assert len({result.question.conversation_id for result in results}) == 1
    assert Conversation.objects.count() == Participant.objects.count() == 1
    assert Generation.objects.count() == 1


def test_starting_again_with_the_same_request_id_gives_the_conversation_there_is(
    alice: User,
) -> None:
    request_id = uuid4()
    assert start(alice, request_id) == start(alice, request_id)
    assert Conversation.objects.count() == 1


def test_a_new_conversation_belongs_to_its_author(alice: User) -> None:
    sent = start(alice, uuid4(), "# Why is *it* slow?")
    conversation = sent.question.conversation
    assert conversation.participants.get().user == alice
    assert conversation.participants.get().role == Role.OWNER
    assert (conversation.title, conversation.is_named) == ("Why is it slow?", False)


# --- In turn --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_while_an_answer_is_open_the_next_message_is_refused(
    conversation: Conversation, alice: User, sent: actions.messages.Sent, state: State
) -> None:
    Generation.objects.update(state=state)
    with pytest.raises(TurnRunning):
        send(conversation, alice)
    assert Message.objects.count() == 2
    assert AuditEntry.objects.filter(verb="message.sent", outcome=Outcome.FAILED).exists()


@pytest.mark.parametrize("state", [State.STOPPED, State.INTERRUPTED, State.FAILED])
def test_once_it_has_ended_somehow_the_next_message_is_taken(
    conversation: Conversation, alice: User, sent: actions.messages.Sent, state: State
) -> None:
    Generation.objects.update(state=state)
    send(conversation, alice, "And now?")
    assert Message.objects.get(text="And now?").parent == sent.answer


@pytest.mark.django_db(transaction=True)
def test_of_several_messages_at_once_one_is_taken(conversation: Conversation, alice: User) -> None:
    results = at_once(*[lambda: send(conversation, alice)] * THREADS)
    refused = [result for result in results if isinstance(result, TurnRunning)]
    assert len(refused) == THREADS - 1
    assert Generation.objects.count() == 1
    assert Message.objects.count() == 2


def test_the_database_itself_refuses_a_second_open_turn(
    conversation: Conversation, sent: actions.messages.Sent
) -> None:
    open_one = Generation.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Generation.objects.create(conversation=conversation, question=open_one.question)
    open_one.state = State.RUNNING
    open_one.save(update_fields=["state"])
    with pytest.raises(IntegrityError), transaction.atomic():
        Generation.objects.create(conversation=conversation, question=open_one.question)


def test_the_database_itself_refuses_done_without_a_finish_reason(
    sent: actions.messages.Sent,
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Generation.objects.update(state=State.DONE)


def test_one_person_may_have_so_many_answers_on_their_way(
    alice: User, bob: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_USER = 2
    start(alice, uuid4())
    start(alice, uuid4())
    with pytest.raises(TooManyAnswers, match="2 answers"):
        start(alice, uuid4())
    start(bob, uuid4())
    assert Conversation.objects.count() == 3


def test_a_model_that_is_not_offered_any_more_is_refused(
    conversation: Conversation, alice: User
) -> None:
    conversation.model = "retired-1"
    conversation.save()
    with pytest.raises(NoModel, match="retired-1"):
        send(conversation, alice)
    assert not Message.objects.exists()


def test_without_any_model_it_says_whom_to_ask(alice: User, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL = ""
    with pytest.raises(NoModel):
        start(alice, uuid4())
    assert not Conversation.objects.exists()


# --- Titles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("\n\n  ## Hello *you* ##\nmore", "Hello you"),
        ("**Bold** and `code`, 2 * 3 * 4", "Bold and code, 2 * 3 * 4"),
        ("> quoted", "quoted"),
        ("- item", "item"),
        ("```python\nprint(1)\n```", "python"),
        ("a \t b", "a b"),
        ("***\n---\nWords", "Words"),
        ("***", ""),
        ("Grüße 世界 🎉", "Grüße 世界 🎉"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 30, "word " * 11 + "word…"),
        ("short " + "x" * 80, "short " + "x" * 53 + "…"),
    ],
)
def test_the_title_is_made_of_the_first_line_with_words(text: str, title: str) -> None:
    assert title_from(text) == title


@pytest.mark.parametrize("text", ["🎉" * 200, "世" * 200, "e\u0301" * 100, "\u202e" * 99])
def test_a_title_fits_its_column(text: str) -> None:
    assert 0 < len(title_from(text)) <= 60
