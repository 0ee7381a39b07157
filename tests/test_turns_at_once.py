"""Whoever begins a turn while somebody else does: one of them is told so, and nobody waits for
the other for ever."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from conversations import access, actions
from conversations.actions import erasure
from conversations.actions.messages import Sent
from conversations.actions.refusals import TurnRunning
from conversations.models import Conversation, Generation, Message, State, User
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
            deadline = time.monotonic() + 2
            while not somebody_waits() and time.monotonic() < deadline:
                time.sleep(0.01)
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
            deadline = time.monotonic() + 2
            while not somebody_waits() and time.monotonic() < deadline:
                time.sleep(0.01)
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
