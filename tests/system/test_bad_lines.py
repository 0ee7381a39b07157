"""A line to the model server that freezes, crawls, breaks or comes and goes: what people see."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from conversations.models import Conversation, Generation, State, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, Web, person, viewer
from tests.lines import Line
from tests.relays import ask, db, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def line(upstream: ScriptedUpstream) -> AsyncIterator[Line]:
    async with Line(upstream.port) as line:
        yield line


@pytest.fixture
def house(line: Line, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(
            programs,
            UPSTREAM_BASE_URL=f"http://127.0.0.1:{line.port}/v1",
            UPSTREAM_IDLE_TIMEOUT="3",
            REDIS_URL=redis.url,
        )


@pytest.fixture
async def web(house: House) -> Web:
    """Pages in one process, answers in another; started in threads, for the line is on our loop."""
    web, _relay = await asyncio.gather(
        asyncio.to_thread(house.web, "--relay", "outside"), asyncio.to_thread(house.relay)
    )
    return web


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


async def begun(viewer: Viewer, dictation: Dictation, generation: Generation) -> None:
    dictation.say("One ")
    await until(lambda: viewer.text(generation.public_id).strip() == "One")


async def ended(viewer: Viewer, generation: Generation, words: str) -> None:
    """Interrupted in the table, and said so on the screen, with what there is."""
    row = await settled(generation)
    assert row.state == State.INTERRUPTED
    assert (await text_of(generation)).strip() == words
    shown = (await viewer.next("settled"))["html"]
    assert row.error_message in shown
    assert words in shown
    assert "/continuations/" in shown
    assert "/alternatives/" in shown


async def test_a_frozen_line_is_given_up_with_what_came_through(
    web: Web, line: Line, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await begun(watching, dictation, generation)
        line.freeze()
        dictation.say("two")
        await ended(watching, generation, "One")


async def test_a_line_that_thaws_in_time_loses_nothing(
    web: Web, line: Line, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await begun(watching, dictation, generation)
        line.freeze()
        dictation.say("two ")
        await asyncio.sleep(0.5)
        line.thaw()
        dictation.say("three")
        dictation.finish()
        assert (await settled(generation)).state == State.DONE
        await watching.next("settled")
        assert watching.text(generation.public_id) == "One two three"
    assert await text_of(generation) == "One two three"


async def test_a_line_of_a_byte_now_and_then_counts_as_dead_and_can_be_stopped(
    web: Web, line: Line, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """A word takes longer than the silence that is allowed: bytes alone are no words."""
    async with await viewer(web, alice) as watching, await person(web, alice) as presses:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await begun(watching, dictation, generation)
        line.seconds_a_byte = 0.1
        dictation.say("two")
        began = time.monotonic()
        await asyncio.sleep(0.5)
        await presses.post(f"/g/{generation.public_id}/stop/")
        row = await settled(generation)
        assert time.monotonic() - began < 2
        assert row.state == State.STOPPED
        line.seconds_a_byte = 0
    assert (await text_of(generation)).strip() == "One"


async def test_a_byte_now_and_then_does_not_keep_an_answer_open_for_ever(
    web: Web, line: Line, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await begun(watching, dictation, generation)
        line.seconds_a_byte = 0.1
        dictation.say("two")
        await ended(watching, generation, "One")


async def test_a_cut_line_keeps_what_came_and_asks_nobody_again(
    web: Web,
    line: Line,
    upstream: ScriptedUpstream,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
) -> None:
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await begun(watching, dictation, generation)
        line.cut()
        await ended(watching, generation, "One")
    assert len(upstream.asked) == 1


async def test_a_line_that_comes_and_goes_makes_one_answer_of_one_request(
    web: Web,
    line: Line,
    upstream: ScriptedUpstream,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
) -> None:
    """Before the first word it is tried again: what did not come through cost nothing."""
    line.refuse()
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await until(lambda: line.connections > 0)
        line.refuse(False)
        await begun(watching, dictation, generation)
        dictation.say("two")
        dictation.finish()
        assert (await settled(generation)).state == State.DONE
        await watching.next("settled")
        assert watching.text(generation.public_id) == "One two"
    assert len(upstream.asked) == 1
    assert await db(Generation.objects.filter(conversation=conversation).count) == 1
