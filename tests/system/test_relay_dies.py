"""A relay that is killed in the middle of an answer, and what is left when the next one comes."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pytest_django import Settings

from conversations.models import Conversation, State, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.processes import Program, program
from tests.relays import (
    answer_of,
    ask,
    database_url,
    db,
    kept,
    load,
    running,
    settled,
    text_of,
    when,
)
from tests.upstream import ScriptedUpstream
from tests.viewers import until

Start = Callable[[], Program]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(upstream: ScriptedUpstream) -> Iterator[Callable[[], Program]]:
    env = {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATABASE_URL": database_url(),
        "UPSTREAM_BASE_URL": upstream.base_url,
        "UPSTREAM_CONTINUES": "on",
        "RELAY_POLL_SECONDS": "0.1",
    }
    with ExitStack() as programs:
        yield lambda: programs.enter_context(program("-m", "tests.relay_process", env=env))


async def test_after_a_kill_at_most_a_second_of_text_is_missing_and_it_says_so(
    start: Start,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    relay = start()
    generation = await ask(conversation, alice)
    dictation.say("Said a second ago. ")
    said = time.monotonic()
    await kept(generation, "Said a second ago. ", seconds=20)
    # From here on the text is in the table, whatever happens; the process took a second at most.
    dictation.say("Said just now.")
    row = await db(load, generation)
    assert row.state == State.RUNNING
    relay.send(signal.SIGKILL)
    await until(dictation.left.is_set)
    assert (await db(load, generation)).state == State.RUNNING
    text = await text_of(generation)
    assert "Said a second ago. Said just now.".startswith(text)
    assert text.startswith("Said a second ago. ")
    relay.ended()

    began = time.monotonic()
    async with running(Relay()):  # on the same machine: nobody waits for the lease
        row = await settled(generation, seconds=5)
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")
    assert time.monotonic() - began < settings.RELAY_LEASE_SECONDS
    assert await text_of(generation) == text
    assert time.monotonic() - said < 30


async def test_a_relay_that_froze_writes_nothing_once_its_lease_was_taken(
    start: Start,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
) -> None:
    """The process stands still for longer than its lease, then goes on as if nothing had been."""
    settings.RELAY_LEASE_SECONDS = 1
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    relay = start()
    generation = await ask(conversation, alice)
    dictation.say("Before.")
    await kept(generation, "Before.", seconds=20)
    relay.send(signal.SIGSTOP)
    try:
        async with running(Relay()):
            row = await settled(generation, seconds=20)
        assert row.state == State.INTERRUPTED
        dictation.say(" After.")
    finally:
        relay.send(signal.SIGCONT)
    await until(dictation.left.is_set)  # it has noticed
    row = await db(load, generation)
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")
    assert await text_of(generation) == "Before."


async def test_another_machines_relay_is_given_up_within_twenty_seconds_of_its_last_beat(
    start: Start, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    """With the lease that operators have. A process that stands still is known to be there, as one
    of a machine that was switched off would be to all others: the lease alone tells."""
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    relay = start()
    generation = await ask(conversation, alice)
    dictation.say("Before.")
    await kept(generation, "Before.", seconds=20)
    async with running(Relay()):
        relay.send(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            row = await settled(generation, seconds=20)
        finally:
            relay.send(signal.SIGCONT)
    assert time.monotonic() - stopped < 20
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")
    assert await text_of(generation) == "Before."


async def test_a_continued_answer_keeps_both_its_parts_when_the_relay_dies(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    """The second part is in the table as text; the first one's HTML must not hide it."""
    from conversations import actions

    first, second = Dictation(), Dictation()
    upstream.script("dictated", by=first).script("dictated", by=second)
    async with running(Relay()):
        generation = await ask(conversation, alice)
        first.say("One")
        first.finish("length")
        await settled(generation)
    message = await db(answer_of, generation)
    await db(_go_on, message.public_id, alice)
    worker = f"elsewhere:{os.getpid()}:abc"
    [choice] = await db(actions.generations.claim, worker=worker, most=1)
    claimed = choice.generation
    more = actions.generations.Kept(
        generation_id=claimed.pk, message_id=message.pk, text="One **two**", reasoning=""
    )
    await db(actions.generations.keep, worker=worker, kept=[more], running=[claimed.pk])
    assert await db(actions.generations.give_up, lost={worker}) == 1
    row = await when(claimed, lambda row: row.settled_at)
    assert row.state == State.INTERRUPTED
    message = await db(answer_of, generation)
    assert message.text == "One **two**"
    assert "<strong>two</strong>" in message.rendered


def _go_on(public_id: str, person: User) -> None:
    from conversations import access, actions

    message = access.message(person, public_id, to="write")
    actions.generations.go_on(answer=message, actor=person)
