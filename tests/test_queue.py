"""Turns that wait: in order, once, and nobody's twice."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from conversations import actions, fragments
from conversations.actions.messages import Sent
from conversations.actions.refusals import (
    MayNotWrite,
    NoModel,
    OverBudget,
    QueueFull,
    SentElsewhere,
    TooManyAnswers,
    TurnRunning,
)
from conversations.models import (
    AuditEntry,
    Budget,
    Conversation,
    Generation,
    Held,
    Message,
    Outcome,
    Participant,
    QueuedTurn,
    Role,
    Scope,
    State,
    User,
)
from tests.queues import end, line, queue, said
from tests.threads import at_once

pytestmark = pytest.mark.django_db

THREADS = 6


# --- Into the queue -------------------------------------------------------------------------------


def test_with_nothing_in_the_way_a_message_is_sent_at_once(
    shared: Conversation, alice: User
) -> None:
    sent = actions.queue.send(conversation=shared, author=alice, text="Hi", request_id=uuid4())
    assert isinstance(sent, Sent)
    assert not QueuedTurn.objects.exists()
    assert AuditEntry.objects.filter(verb="message.sent", outcome=Outcome.DONE).exists()


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_while_an_answer_is_open_messages_wait_in_the_order_they_came(
    shared: Conversation, running: Generation, alice: User, bob: User, state: State
) -> None:
    Generation.objects.update(state=state)
    for author, text in ((bob, "One"), (alice, "Two"), (bob, "Three")):
        queue(shared, author, text)
    assert line(shared) == ["One", "Two", "Three"]
    assert said(shared) == ["Why is it slow?"]
    assert AuditEntry.objects.filter(verb="turn.queued", outcome=Outcome.DONE).count() == 3
    assert not AuditEntry.objects.filter(outcome=Outcome.FAILED).exists()


def test_whoever_comes_while_others_wait_waits_behind_them(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    queue(shared, bob, "First")
    end(shared)
    queue(shared, alice, "Second")
    assert line(shared) == ["First", "Second"]


def test_the_same_request_id_twice_is_one_turn(
    shared: Conversation, running: Generation, bob: User
) -> None:
    request_id = uuid4()
    first = queue(shared, bob, "Once", request_id)
    assert queue(shared, bob, "Once more", request_id) == first
    assert line(shared) == ["Once"]


def test_the_same_request_id_after_it_was_sent_from_the_queue_is_the_same_message(
    shared: Conversation, running: Generation, bob: User
) -> None:
    request_id = uuid4()
    turn = queue(shared, bob, "Once", request_id)
    end(shared)
    assert actions.queue.sweep() == 1
    again = actions.queue.send(conversation=shared, author=bob, text="Once", request_id=request_id)
    assert isinstance(again, Sent)
    assert again.question.public_id == turn.public_id
    assert said(shared) == ["Why is it slow?", "Once"]
    assert not QueuedTurn.objects.exists()


def test_a_request_id_that_waits_elsewhere_is_refused(
    shared: Conversation, running: Generation, alice: User
) -> None:
    request_id = uuid4()
    queue(shared, alice, "Here", request_id)
    other = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=other, user=alice, role=Role.OWNER)
    with pytest.raises(SentElsewhere):
        actions.queue.send(conversation=other, author=alice, text="There", request_id=request_id)
    with pytest.raises(SentElsewhere):
        actions.messages.start(
            author=alice,
            text="New",
            request_id=request_id,
            model="crimson-falcon-4",
            parameters={},
            system_prompt="",
        )
    assert line(shared) == ["Here"]


def test_the_database_itself_refuses_a_request_twice_in_queues(
    shared: Conversation, running: Generation, bob: User
) -> None:
    turn = queue(shared, bob, "Once")
    turn.pk, turn.public_id = None, "x" * 20
    with pytest.raises(IntegrityError), transaction.atomic():
        turn.save(force_insert=True)


def test_a_queue_and_a_persons_part_of_it_are_bounded(
    shared: Conversation, running: Generation, alice: User, bob: User, settings: Settings
) -> None:
    settings.QUEUE_PER_PERSON, settings.QUEUE_PER_CONVERSATION = 2, 3
    queue(shared, bob, "1")
    queue(shared, bob, "2")
    with pytest.raises(QueueFull, match="2 messages of yours"):
        queue(shared, bob, "3")
    queue(shared, alice, "4")
    with pytest.raises(QueueFull, match="3 messages wait"):
        queue(shared, alice, "5")
    assert line(shared) == ["1", "2", "4"]


@pytest.mark.django_db(transaction=True)
def test_the_same_request_from_many_threads_waits_once(
    shared: Conversation, running: Generation, bob: User
) -> None:
    request_id = uuid4()
    turns = at_once(*[lambda: queue(shared, bob, "Once", request_id)] * THREADS)
    assert {turn.pk for turn in turns} == {QueuedTurn.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_of_many_messages_at_once_one_begins_and_the_others_wait(
    shared: Conversation, alice: User, settings: Settings
) -> None:
    settings.QUEUE_PER_PERSON = THREADS

    def work() -> Any:
        return actions.queue.send(
            conversation=shared, author=alice, text="Me first", request_id=uuid4()
        )

    results = at_once(*[work] * THREADS)
    assert sum(isinstance(result, Sent) for result in results) == 1
    assert Generation.objects.count() == 1
    assert len(set(QueuedTurn.objects.values_list("place"))) == THREADS - 1


@pytest.mark.django_db(transaction=True)
def test_a_request_repeated_while_it_goes_from_the_queue_to_the_thread_is_one_message(
    shared: Conversation, running: Generation, bob: User
) -> None:
    request_id = uuid4()
    queue(shared, bob, "Once", request_id)
    end(shared)

    def again() -> Any:
        return actions.queue.send(
            conversation=shared, author=bob, text="Once", request_id=request_id
        )

    at_once(*[again] * THREADS, actions.queue.sweep, actions.queue.sweep)
    assert Message.objects.filter(author=bob, text="Once").count() == 1
    assert not QueuedTurn.objects.exists()
    assert Generation.objects.open().count() == 1


# --- Out of it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.DONE, State.STOPPED])
def test_after_an_answer_the_next_turn_is_sent_under_its_own_id(
    shared: Conversation, running: Generation, alice: User, bob: User, state: State
) -> None:
    turn = queue(shared, bob, "*One*")
    queue(shared, alice, "Two")
    assert actions.queue.sweep() == 0
    end(shared, state)
    assert actions.queue.sweep() == 1
    message = Message.objects.get(public_id=turn.public_id)
    assert (message.author, message.text, message.request_id) == (bob, "*One*", turn.request_id)
    assert message.rendered == "<p><em>One</em></p>"
    assert line(shared) == ["Two"]
    assert Generation.objects.open().get().question == message
    assert actions.queue.sweep() == 0, "one turn at a time"


@pytest.mark.parametrize("state", [State.FAILED, State.INTERRUPTED])
def test_after_an_answer_that_broke_off_the_queue_waits_for_somebody(
    shared: Conversation, running: Generation, alice: User, bob: User, state: State
) -> None:
    queue(shared, bob, "One")
    queue(shared, bob, "Two")
    assert "Send next" not in fragments.queue(shared)
    end(shared, state)
    assert actions.queue.sweep() == 0
    assert "Send next" in fragments.queue(shared)
    actions.queue.send_next(conversation=shared, actor=alice)
    assert said(shared)[-1] == "One"
    assert "Send next" not in fragments.queue(shared)
    end(shared)
    assert actions.queue.sweep() == 1
    assert line(shared) == []


def test_after_a_retry_that_went_well_it_goes_on(
    shared: Conversation, running: Generation, sent: Sent, alice: User, bob: User
) -> None:
    queue(shared, bob, "One")
    end(shared, State.FAILED)
    actions.generations.retry(answer=sent.answer, actor=alice)
    end(shared)
    assert actions.queue.sweep() == 1


def test_of_two_who_send_the_next_one_does(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    queue(shared, bob, "One")
    queue(shared, bob, "Two")
    end(shared, State.FAILED)
    actions.queue.send_next(conversation=shared, actor=alice)
    with pytest.raises(TurnRunning):
        actions.queue.send_next(conversation=shared, actor=bob)
    assert line(shared) == ["Two"]


def test_nothing_is_sent_in_a_deleted_conversation(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    queue(shared, bob, "One")
    actions.conversations.delete(conversation=shared, actor=alice)
    end(shared)
    assert actions.queue.sweep() == 0
    actions.conversations.restore(conversation=shared, actor=alice)
    assert actions.queue.sweep() == 1


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_send_each_turn_once(
    shared: Conversation, running: Generation, bob: User
) -> None:
    for text in ("One", "Two", "Three"):
        queue(shared, bob, text)
    end(shared)
    assert sum(at_once(*[actions.queue.sweep] * THREADS)) == 1
    assert line(shared) == ["Two", "Three"]
    assert Generation.objects.open().count() == 1


# --- Held -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["viewer", "removed", "suspended"])
def test_a_turn_whose_author_may_not_write_any_more_is_passed_over(
    shared: Conversation, running: Generation, alice: User, bob: User, change: str
) -> None:
    turn = queue(shared, bob, "Bob's")
    queue(shared, alice, "Alice's")
    part = Participant.objects.filter(user=bob)
    if change == "viewer":
        part.update(role=Role.VIEWER)
    elif change == "removed":
        part.delete()
    else:
        User.objects.filter(pk=bob.pk).update(is_active=False)
    end(shared)
    assert actions.queue.sweep() == 1
    assert said(shared)[-1] == "Alice's"
    assert line(shared) == ["Bob's"]
    assert "Bob may not write here any more: this is not sent." in fragments.queue(shared)
    end(shared)
    assert actions.queue.sweep() == 0
    with pytest.raises(MayNotWrite, match="Bob"):
        actions.queue.send_now(turn=turn, actor=alice)
    actions.queue.withdraw(turn=turn, actor=alice)
    assert line(shared) == []


def test_a_turn_of_somebody_with_too_many_answers_waits_and_says_so(
    shared: Conversation, running: Generation, alice: User, bob: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_USER, settings.QUEUE_RETRY_SECONDS = 1, 0
    elsewhere = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=elsewhere, user=bob, role=Role.OWNER)
    actions.messages.send(conversation=elsewhere, author=bob, text="Busy", request_id=uuid4())
    turn = queue(shared, bob, "Bob's")
    queue(shared, alice, "Alice's")
    end(shared)
    assert actions.queue.sweep() == 0
    assert QueuedTurn.objects.get(pk=turn.pk).held == Held.TOO_MANY
    assert "Waits until another answer to Bob has ended." in fragments.queue(shared)
    shared.refresh_from_db()
    told = shared.revision
    assert actions.queue.sweep() == 0
    shared.refresh_from_db()
    assert shared.revision == told, "said once"
    with pytest.raises(TooManyAnswers):
        actions.queue.send_now(turn=turn, actor=alice)
    end(elsewhere)
    assert actions.queue.sweep() == 1
    assert said(shared)[-1] == "Bob's"


def test_without_a_model_the_queue_waits_until_there_is_one(
    shared: Conversation, running: Generation, alice: User, bob: User, settings: Settings
) -> None:
    settings.QUEUE_RETRY_SECONDS = 0
    turn = queue(shared, bob, "One")
    Conversation.objects.update(model="retired-1")
    end(shared)
    assert actions.queue.sweep() == 0
    assert "Waits for a model" in fragments.queue(shared)
    with pytest.raises(NoModel):
        actions.queue.send_now(turn=turn, actor=bob)
    assert Message.objects.count() == 2
    Conversation.objects.update(model="indigo-owl-4")
    assert actions.queue.sweep() == 1
    assert Generation.objects.open().get().model == "indigo-owl-4"


@pytest.mark.parametrize(("hours", "tried"), [(0, False), (-1, True), (1, True)])
def test_what_was_held_is_not_tried_again_at_once(
    shared: Conversation, running: Generation, bob: User, hours: int, tried: bool
) -> None:
    """Unless a clock that went ahead of ours said so."""
    turn = queue(shared, bob, "One")
    Conversation.objects.update(model="retired-1")
    end(shared)
    actions.queue.sweep()
    Conversation.objects.update(model="indigo-owl-4")
    moment = timezone.now() + timedelta(hours=hours)
    QueuedTurn.objects.filter(pk=turn.pk).update(tried_at=moment)
    assert actions.queue.sweep() == tried


def test_a_turn_over_budget_waits_and_says_so(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    Budget.objects.create(scope=Scope.PERSON, user=bob, limit=1)
    turn = queue(shared, bob, "Dear")
    end(shared)
    assert actions.queue.sweep() == 0
    assert "a budget that holds for Bob has not enough left" in fragments.queue(shared)
    assert not Message.objects.filter(author=bob).exists()
    with pytest.raises(OverBudget):
        actions.queue.send_now(turn=turn, actor=alice)
    assert line(shared) == ["Dear"]


def test_a_turn_that_was_sent_in_another_conversation_meanwhile_is_let_go(
    shared: Conversation, running: Generation, bob: User
) -> None:
    turn = queue(shared, bob, "Once")
    other = Conversation.objects.create(model="crimson-falcon-4")
    with pytest.raises(SentElsewhere):
        actions.messages.send(
            conversation=other, author=bob, text="Once", request_id=turn.request_id
        )
    # As of two that look at the same moment.
    Message.objects.create(
        conversation=other, role="user", author=bob, text="Once", request_id=turn.request_id
    )
    end(shared)
    actions.queue.sweep()
    assert line(shared) == []
    assert said(shared) == ["Why is it slow?"]
