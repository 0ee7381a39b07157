"""A database that fails between two steps of an answer, or keeps relays waiting."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from pytest_django import Settings

from conversations.models import Conversation, Participant, Role, State, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.relays import ask, database_locked, database_url, db, kept, running, settled, text_of
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)
LEASE = 1


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


@contextmanager
def failing(part: str, number: int = 1) -> Iterator[list[str]]:
    """A relay's statement with this part finds its connection cut, the first or the given one.
    Yields those that there were up to it."""
    met: list[str] = []

    def fail_once(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        ours = threading.current_thread().name.startswith("relay-database")
        if ours and part in sql and len(met) < number:
            met.append(sql)
            if len(met) == number:
                raise OperationalError("terminating connection due to administrator command")
        return execute(sql, params, many, context)

    def listen(connection: Any, **_more: Any) -> None:
        connection.execute_wrappers.append(fail_once)

    connection_created.connect(listen)
    try:
        yield met
    finally:
        connection_created.disconnect(listen)


async def test_a_database_that_is_away_while_a_request_is_composed_fails_no_answer(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_SETTLE_PAUSE = 0.05
    with failing('public_id" IN') as failed:
        async with running(Relay()):
            row = await settled(await ask(conversation, alice))
    assert len(failed) == 1
    assert row.state == State.DONE
    assert len(upstream.requests) == 1


async def test_a_database_that_is_away_as_an_answer_is_claimed_leaves_it_in_the_queue(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    """Nothing that writing it needs is read once it is taken: it would be nobody's."""
    with failing('FROM "conversations_choice" INNER JOIN') as failed:
        async with running(Relay()):
            row = await settled(await ask(conversation, alice), seconds=5)
    assert len(failed) == 1
    assert row.state == State.DONE
    assert len(upstream.requests) == 1


async def test_of_several_that_were_to_be_claimed_those_that_were_are_written(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    other = await db(talk_of, alice)
    generations = [await ask(conversation, alice), await ask(other, alice)]
    with failing('"state" = %s, "worker" = %s', 2) as failed:
        async with running(Relay()):
            rows = [await settled(generation, seconds=5) for generation in generations]
    assert len(failed) == 2
    assert [row.state for row in rows] == [State.DONE, State.DONE]
    assert len(upstream.requests) == 2


def talk_of(person: User) -> Conversation:
    row = Conversation.objects.create(title="Another", model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
    return row


@contextmanager
def answers_locked() -> Iterator[None]:
    """Whoever writes answers waits; beats come through."""
    with psycopg.connect(database_url()) as session:
        session.execute("LOCK TABLE conversations_generation, conversations_message IN SHARE MODE")
        yield


async def written_while_locked(
    lock: Any, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """One relay writes an answer and another looks whether it lives, for longer than the lease."""
    async with running(Relay()):
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await kept(generation, "One ")
        async with running(Relay()):
            await asyncio.sleep(LEASE / 2)
            with lock():
                dictation.say("two ")
                await asyncio.sleep(LEASE * 2.5)
            await asyncio.sleep(LEASE)
            dictation.say("three")
            dictation.finish()
            row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two three")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no table alone")
async def test_a_relay_that_waits_for_a_lock_is_not_taken_for_dead(
    dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_LEASE_SECONDS = LEASE
    await written_while_locked(answers_locked, dictation, conversation, alice)


async def test_of_relays_that_could_not_write_for_longer_than_their_lease_none_is_given_up(
    dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    """When the lock goes, the one that looks may be faster than the one that beats."""
    settings.RELAY_LEASE_SECONDS = LEASE
    await written_while_locked(database_locked, dictation, conversation, alice)
