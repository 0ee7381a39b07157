"""Whoever writes while somebody else does: of two turns one is told so, and nobody waits for the
other for ever."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from conversations import access, actions, catalogue, ledger
from conversations.actions import erasure
from conversations.actions.asking import Asked
from conversations.actions.messages import Sent
from conversations.actions.refusals import TooManyAnswers, TurnRunning
from conversations.models import (
    Budget,
    BudgetCounter,
    Colour,
    Conversation,
    Generation,
    Label,
    Labelling,
    LanguageModel,
    Message,
    Participant,
    Role,
    Scope,
    State,
    Team,
    TeamMember,
    User,
)
from tests.queues import queue
from tests.relays import database_url, send
from tests.test_actions_generations import ended
from tests.test_actions_messages import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one write at a time"),
]
Turn = Callable[..., Message]


def somebody_waits() -> bool:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(database_url()) as session:
        found = session.execute(asked).fetchone()
    return found is not None and found[0] > 0


def until_somebody_waits(seconds: float = 5, unless: Callable[[], bool] = lambda: False) -> None:
    deadline = time.monotonic() + seconds
    while not unless() and not somebody_waits() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("turn", [actions.generations.retry, actions.generations.go_on])
def test_sending_and_asking_again_at_once_makes_one_turn(
    turn: Turn,
    sent: Sent,
    shared: Conversation,
    alice: User,
    bob: User,
) -> None:
    """The one holds its new rows when the other comes: neither may need what the other holds."""
    answer = ended(sent, State.INTERRUPTED)
    written = threading.Event()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('UPDATE "conversations_conversation"'):
            written.set()
            until_somebody_waits(2)
        return execute(sql, *rest)

    def again() -> Message:
        with connection.execute_wrapper(pause):
            return turn(answer=access.message(alice, answer.public_id, to="write"), actor=alice)

    def another() -> Generation:
        assert written.wait(10)
        return send(shared, bob)

    first, second = at_once(again, another)
    assert isinstance(first, Message)
    assert isinstance(second, TurnRunning)
    assert Generation.objects.open().count() == 1


def test_who_is_deleted_while_they_send_holds_nobody_up(
    shared: Conversation, bob: User, operator: User
) -> None:
    """Their message holds the conversation, and at its end looks at their row."""
    written = threading.Event()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith('INSERT INTO "conversations_message"'):
            written.set()
            until_somebody_waits(2)
        return result

    def sends() -> Generation:
        with connection.execute_wrapper(pause):
            return send(shared, bob)

    def erases() -> None:
        assert written.wait(10)
        erasure.erase(user=bob, actor=operator)

    sent, erased = at_once(sends, erases)
    assert isinstance(sent, Generation)
    assert erased is None
    assert not shared.participants.filter(user=bob).exists()


def another_of(person: User, model: str = "crimson-falcon-4") -> Conversation:
    conversation = Conversation.objects.create(title="Another", model=model)
    Participant.objects.create(conversation=conversation, user=person, role=Role.OWNER)
    return conversation


def test_drafts_by_the_same_models_in_either_order_wait_for_each_other_once(
    conversation: Conversation, alice: User, bob: User
) -> None:
    """Each model counts for a team of its own, so that the drafts' budgets are not the same."""
    names = ("crimson-falcon-4", "indigo-owl-4")
    for name in names:
        team = Team.objects.create(name=name)
        TeamMember.objects.bulk_create(TeamMember(team=team, user=one) for one in (alice, bob))
        model = LanguageModel.objects.create(
            model_id=name, upstream="main", edited_at=timezone.now()
        )
        model.teams.add(team)
        budget = Budget.objects.create(scope=Scope.TEAM, team=team, limit=10**9)
        today = ledger.period_start(budget.period, timezone.now())
        BudgetCounter.objects.create(budget=budget, starts=today)
    catalogue.refresh()
    reserved: set[int] = set()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith('UPDATE "conversations_budgetcounter"'):
            reserved.add(threading.get_ident())
            until_somebody_waits(unless=lambda: len(reserved) == 2)
        return result

    def asks(where: Conversation, person: User, also: str) -> Callable[[], Sent]:
        def work() -> Sent:
            with connection.execute_wrapper(pause):
                return actions.messages.send(
                    conversation=where,
                    author=person,
                    text="Which?",
                    request_id=uuid4(),
                    asked=Asked(also=(also,)),
                )

        return work

    first, second = names
    at_once(asks(conversation, alice, second), asks(another_of(bob, second), bob, first))
    assert Generation.objects.open().count() == 4


def test_a_label_that_is_put_on_while_it_is_deleted_is_gone(
    conversation: Conversation, alice: User
) -> None:
    label = actions.labels.make(
        conversation=conversation, person=alice, name="Quarter", colour=Colour.BLUE
    )
    other, half = another_of(alice), threading.Event()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith('DELETE FROM "conversations_labelling"'):
            half.set()
            until_somebody_waits(unless=Labelling.objects.exists)
        return result

    def deletes() -> None:
        with connection.execute_wrapper(pause):
            actions.labels.delete(label=Label.objects.get(pk=label.pk))

    def marks() -> None:
        assert half.wait(10)
        actions.labels.mark(label=label, conversation=other, is_on=True)

    at_once(deletes, marks)
    assert not Label.objects.exists()
    assert not Labelling.objects.exists()


def test_who_asks_in_two_conversations_at_once_is_counted_in_both(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_USER = 1
    counted: set[int] = set()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith('SELECT "conversations_generation"."conversation_id"'):
            counted.add(threading.get_ident())
            until_somebody_waits(unless=lambda: len(counted) == 2)
        return result

    def asks(where: Conversation) -> Callable[[], Generation]:
        def work() -> Generation:
            with connection.execute_wrapper(pause):
                return send(where, alice)

        return work

    found = at_once(asks(conversation), asks(another_of(alice)))
    assert {type(one) for one in found} == {Generation, TooManyAnswers}
    assert Generation.objects.open().count() == 1


def test_sending_now_and_asking_elsewhere_at_once_wait_for_each_other_once(
    conversation: Conversation, alice: User
) -> None:
    """What sending now stops gives back to the budget that the other one takes from."""
    Budget.objects.create(scope=Scope.PORTAL, limit=10**9)
    send(conversation, alice)
    turn = queue(conversation, alice, "And now?")
    given_back = threading.Event()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith('UPDATE "conversations_budgetcounter"'):
            given_back.set()
            until_somebody_waits()
        return result

    def sends_now() -> None:
        with connection.execute_wrapper(pause):
            actions.queue.send_now(turn=turn, actor=alice)

    def asks() -> Generation:
        assert given_back.wait(10)
        return send(other, alice)

    other = another_of(alice)
    at_once(sends_now, asks)
    assert Generation.objects.open().count() == 2
