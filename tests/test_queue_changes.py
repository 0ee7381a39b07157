"""Turns that wait, edited, moved, withdrawn and sent before their time."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from conversations import actions, fragments
from conversations.actions.refusals import NoModel, TooManyAnswers, TurnGone, TurnRunning
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
from tests.queues import end, line, queue, said
from tests.threads import at_once

pytestmark = pytest.mark.django_db


# --- Changed --------------------------------------------------------------------------------------


def test_what_was_edited_is_what_is_sent(
    shared: Conversation, running: Generation, bob: User
) -> None:
    turn = queue(shared, bob, "Teh")
    actions.queue.edit(turn=turn, actor=bob, text="The **end**")
    assert "edited" in fragments.queue(shared)
    end(shared)
    actions.queue.sweep()
    message = Message.objects.get(public_id=turn.public_id)
    assert message.text == "The **end**"
    assert "<strong>end</strong>" in message.rendered


def test_what_was_sent_meanwhile_can_be_neither_edited_nor_withdrawn_nor_moved(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    turn, other = queue(shared, bob, "Gone"), queue(shared, bob, "There")
    end(shared)
    actions.queue.sweep()
    calls: list[Callable[[], Any]] = [
        lambda: actions.queue.edit(turn=turn, actor=bob, text="Late"),
        lambda: actions.queue.withdraw(turn=turn, actor=bob),
        lambda: actions.queue.send_now(turn=turn, actor=bob),
        lambda: actions.queue.move(turn=turn, actor=alice, beside=other.public_id, after=True),
        lambda: actions.queue.move(turn=other, actor=alice, beside=turn.public_id, after=False),
    ]
    for call in calls:
        with pytest.raises(TurnGone):
            call()
    assert Message.objects.get(public_id=turn.public_id).text == "Gone"
    assert Generation.objects.open().count() == 1, "its answer was not stopped"


@pytest.mark.parametrize(
    ("moved", "beside", "after", "order"),
    [
        ("3", "1", False, "312"),
        ("3", "2", False, "132"),
        ("1", "2", True, "213"),
        ("1", "3", True, "231"),
        ("2", "1", True, "123"),
    ],
)
def test_a_turn_is_put_beside_another_however_often_that_is_asked(
    shared: Conversation,
    running: Generation,
    alice: User,
    bob: User,
    moved: str,
    beside: str,
    after: bool,
    order: str,
) -> None:
    turns = {text: queue(shared, bob, text) for text in "123"}
    for _ in range(2):
        actions.queue.move(
            turn=turns[moved], actor=alice, beside=turns[beside].public_id, after=after
        )
        assert line(shared) == list(order)
    queue(shared, alice, "4")
    assert line(shared) == [*order, "4"]


def test_no_turn_is_put_beside_one_of_another_conversation(
    shared: Conversation, running: Generation, alice: User
) -> None:
    mine = queue(shared, alice, "Mine")
    other = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=other, user=alice, role=Role.OWNER)
    actions.messages.send(conversation=other, author=alice, text="Hi", request_id=uuid4())
    theirs = queue(other, alice, "Theirs")
    with pytest.raises(TurnGone):
        actions.queue.move(turn=mine, actor=alice, beside=theirs.public_id, after=True)


def test_texts_stay_out_of_the_trail(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    turn = queue(shared, bob, "Secret")
    actions.queue.edit(turn=turn, actor=bob, text="Secret too")
    actions.queue.send_now(turn=turn, actor=alice)
    assert not any("Secret" in str(entry.details) for entry in AuditEntry.objects.all())


# --- Now ------------------------------------------------------------------------------------------


def test_sending_now_stops_the_answer_and_goes_on_with_this_turn(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    queue(shared, alice, "First")
    turn = queue(shared, bob, "Urgent")
    actions.queue.send_now(turn=turn, actor=bob)
    running.refresh_from_db()
    assert (running.state, running.stopped_by) == (State.STOPPED, bob)
    assert said(shared) == ["Why is it slow?", "Urgent"]
    assert line(shared) == ["First"]
    assert Generation.objects.open().get().question.text == "Urgent"


def test_sending_now_with_nothing_running_just_sends(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    turn = queue(shared, bob, "Urgent")
    end(shared, State.FAILED)
    actions.queue.send_now(turn=turn, actor=alice)
    assert said(shared)[-1] == "Urgent"
    assert not Generation.objects.filter(state=State.STOPPED).exists()


def test_what_cannot_be_sent_now_stops_nothing(
    shared: Conversation, running: Generation, bob: User, settings: Settings
) -> None:
    turn = queue(shared, bob, "Urgent")
    settings.UPSTREAM_BASE_URL = ""
    with pytest.raises(NoModel):
        actions.queue.send_now(turn=turn, actor=bob)
    running.refresh_from_db()
    assert running.state == State.RUNNING
    assert line(shared) == ["Urgent"]


@pytest.mark.django_db(transaction=True)
def test_pressed_by_many_at_once_it_is_sent_once(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    turn = queue(shared, bob, "Urgent")
    works = [lambda who=who: actions.queue.send_now(turn=turn, actor=who) for who in (alice, bob)]
    results = at_once(*works * 3)
    assert results.count(None) == 1
    assert all(isinstance(result, TurnGone | TurnRunning) for result in results if result)
    assert Message.objects.filter(text="Urgent").count() == 1
    assert Generation.objects.count() == 2
    assert Generation.objects.filter(state=State.STOPPED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_turns_sent_now_at_once_stop_one_answer(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    """The second either comes too late, or stops the first as it would have a moment later."""
    mine, theirs = queue(shared, alice, "Mine"), queue(shared, bob, "Theirs")
    results = at_once(
        lambda: actions.queue.send_now(turn=mine, actor=alice),
        lambda: actions.queue.send_now(turn=theirs, actor=bob),
    )
    assert Generation.objects.open().count() == 1
    sent = Message.objects.filter(text__in=["Mine", "Theirs"]).count()
    assert sent == results.count(None)
    assert sent + QueuedTurn.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_withdrawn_edited_and_sent_at_once_it_is_one_of_these(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    turn = queue(shared, bob, "Urgent")
    at_once(
        lambda: actions.queue.withdraw(turn=turn, actor=alice),
        lambda: actions.queue.edit(turn=turn, actor=bob, text="Edited"),
        lambda: actions.queue.send_now(turn=turn, actor=bob),
    )
    assert not QueuedTurn.objects.exists()
    sent = list(Message.objects.filter(public_id=turn.public_id).values_list("text", flat=True))
    assert sent in ([], ["Urgent"], ["Edited"])
    assert Generation.objects.open().count() == 1


@pytest.mark.django_db(transaction=True)
def test_stopping_settling_and_sending_now_at_once_lock_nobody_out(
    shared: Conversation, running: Generation, alice: User, bob: User
) -> None:
    """Each locks the generation before its conversation: PostgreSQL would end one of two that
    lock them in different orders."""
    turn = queue(shared, bob, "Urgent")
    kept = actions.generations.Kept(
        generation_id=running.pk,
        message_id=running.choices.get().message_id,
        text="So.",
        reasoning="",
    )
    outcome = actions.generations.Settlement(state=State.DONE, finish_reason="stop")
    results = at_once(
        lambda: actions.generations.stop(generation=running, actor=alice),
        lambda: actions.generations.settle(
            generation=running, worker="elsewhere:1:a", kept=kept, outcome=outcome
        ),
        lambda: actions.queue.send_now(turn=turn, actor=bob),
        actions.queue.sweep,
    )
    assert not [result for result in results if isinstance(result, TooManyAnswers | NoModel)]
    assert Message.objects.filter(text="Urgent").count() == 1
    assert Generation.objects.open().count() == 1
