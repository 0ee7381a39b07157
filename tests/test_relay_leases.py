"""Leases and moments: what happens between two steps of an answer's life."""

import asyncio

import pytest
from pytest_django import Settings

from conversations.models import Conversation, Generation, State, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.relays import ask, db, running, settled
from tests.upstream import ScriptedUpstream
from tests.upstream.scenarios import scenario
from tests.upstream.wire import Request, Wire
from tests.viewers import Viewer, session_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


@scenario()
async def later_when_told(
    wire: Wire, request: Request, *, asked: asyncio.Event, told: asyncio.Event
) -> None:
    """429, at the moment that a test chooses."""
    asked.set()
    await told.wait()
    await wire.error(429, "Rate limit exceeded.", "rate_limit_exceeded", retry_after="5")


async def test_what_is_stopped_as_the_upstream_says_later_is_settled_at_once(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_KEEP_SECONDS = 60  # nothing but the postponing finds out
    asked, told = asyncio.Event(), asyncio.Event()
    upstream.script("later_when_told", asked=asked, told=told)
    async with running(Relay()):
        generation = await ask(conversation, alice)
        await asked.wait()
        await db(Generation.objects.update, state=State.STOPPED, stopped_by=alice)
        told.set()
        row = await settled(generation, seconds=5)
    assert (row.state, row.stopped_by) == (State.STOPPED, alice)


async def test_what_was_claimed_and_never_begun_is_explained_when_the_portal_ends(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    relay = Relay()
    async with running(relay):
        generation = await ask(conversation, alice)
        await settled(generation)
        await db(Generation.objects.update, state=State.RUNNING, settled_at=None)
    row = await settled(generation, seconds=1)
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")


async def test_a_page_has_the_answer_before_it_hears_how_it_goes(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_POLL_SECONDS = 60  # the relay begins when it is woken and not by chance
    async with running(Relay()), Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        await settled(await ask(conversation, alice))
        await viewer.next("settled")
        kinds = [message["t"] for message in viewer.received]
    assert kinds.index("added") < kinds.index("progress")
