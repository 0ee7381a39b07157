"""Processes whose loop is busy, whose clock is moved, that get no files and no room on the disk."""

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from django.db import connection

from conversations.models import Conversation, Generation, State, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, Person, person, viewer
from tests.processes import Program
from tests.relays import ask, db, kept, load, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, until

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = 3600


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        house = House(programs, UPSTREAM_BASE_URL=upstream.base_url, REDIS_URL=redis.url)
        house.manage = ("-m", "tests.odd_process")
        yield house


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


async def shows(viewer: Viewer, generation: Generation, text: str, seconds: float = 15) -> None:
    await until(lambda: viewer.text(generation.public_id).strip() == text, seconds)


# --- The loop -------------------------------------------------------------------------------------


async def test_three_seconds_without_a_loop_delay_an_answer_and_lose_nothing(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """Of the process that shows it and of the one that writes it, while a third looks on and might
    take the one for dead."""
    busy = {"BUSY_SECONDS": "3", "EXCHANGE_BEAT_SECONDS": "0.2", "EXCHANGE_SILENCE_SECONDS": "1"}
    web = house.web("--relay", "outside", **busy)
    writes = house.relay(**busy)
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await shows(watching, generation, "One")
        house.relay()
        for process in (web.program, writes):
            process.send(signal.SIGUSR1)
            dictation.say("more ")
            await asyncio.sleep(3.5)
        dictation.say("and all")
        await shows(watching, generation, "One more more and all")
        dictation.finish()
        row = await settled(generation)
        await watching.next("settled")
        assert watching.code is None
    assert (row.state, await text_of(generation)) == (State.DONE, "One more more and all")


# --- The clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", [HOUR, -HOUR])
async def test_a_clock_that_is_moved_ends_no_answer(
    moves: int, house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """Neither of the relay that writes it, nor of the one that judges whether that one lives."""
    moved = {"CLOCK_MOVES": str(moves), "RELAY_LEASE_SECONDS": "2"}
    writes = house.relay(**moved)
    generation = await ask(conversation, alice)
    dictation.say("One ")
    await kept(generation, "One ")
    judges = house.relay(**moved)
    for process in (writes, judges):
        process.send(signal.SIGUSR2)
        await asyncio.sleep(2.5)  # longer than the lease
    dictation.say("two")
    dictation.finish()
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two")


@pytest.mark.parametrize("moves", [HOUR, -HOUR])
async def test_who_waits_for_a_moment_in_time_does_not_wait_for_an_hour(
    moves: int,
    house: House,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
) -> None:
    """The relay that was told "later" has another clock than the one that looks whether it is."""
    upstream.script("rate_limited", retry_after="3")
    says_when = house.relay(CLOCK_MOVES=str(moves))
    says_when.send(signal.SIGUSR2)
    await asyncio.sleep(0.2)
    generation = await ask(conversation, alice)
    await until_postponed(generation)
    says_when.send(signal.SIGKILL)
    house.relay()
    began = time.monotonic()
    row = await settled(generation, seconds=20)
    assert row.state == State.DONE
    assert time.monotonic() - began < 10


async def until_postponed(generation: Generation) -> None:
    async with asyncio.timeout(10):
        while not (await db(load, generation)).attempts:  # noqa: ASYNC110  tables ring no bell
            await asyncio.sleep(0.02)


# --- Files ----------------------------------------------------------------------------------------


def limit(process: Program, what: int, most: int | None) -> None:
    """None is no limit but the machine's."""
    hard = resource.prlimit(process.process.pid, what)[1]
    resource.prlimit(process.process.pid, what, (hard if most is None else most, hard))


def open_files(process: Program) -> int:
    return psutil.Process(process.process.pid).num_fds()


async def test_without_another_file_nobody_is_let_in_and_nobody_is_put_out(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """The relay is inside: its answer survives what its visitors do to the process."""
    web = house.web()
    async with await viewer(web, alice) as watching, await person(web, alice) as page:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await shows(watching, generation, "One")
        limit(web.program, resource.RLIMIT_NOFILE, max(64, open_files(web.program) + 4))
        with ExitStack() as crowd:
            for _ in range(100):
                line = crowd.enter_context(socket.create_connection(("127.0.0.1", web.port)))
                line.sendall(b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(1)
            dictation.say("two ")
            await shows(watching, generation, "One two")
            busy = psutil.Process(web.program.process.pid).cpu_percent(1)
            assert busy < 90, "it spins"
        dictation.say("three")
        dictation.finish()
        assert (await settled(generation, seconds=20)).state == State.DONE
        await watching.next("settled")
        assert watching.code is None
        assert await text_of(generation) == "One two three"
        await lets_in(page, conversation)
        async with await viewer(web, alice) as another:
            await another.watch(conversation)
            assert another.code is None


async def lets_in(page: Person, conversation: Conversation) -> None:
    async with asyncio.timeout(10):
        address = f"/c/{conversation.public_id}/"
        while (await page.get(address)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


# --- The disk -------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "sqlite", reason="another server's disk is its own affair")
async def test_an_answer_outlives_a_full_disk_and_nothing_is_taken_that_cannot_be_kept(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """Files may not grow, as on a disk without room; SQLite's log of writes is one."""
    web = house.web()
    async with await viewer(web, alice) as watching, await person(web, alice) as writes:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await kept(generation, "One ")
        limit(web.program, resource.RLIMIT_FSIZE, 1)
        dictation.say("two ")
        await shows(watching, generation, "One two")
        answer = await writes.post(f"/g/{generation.public_id}/stop/")
        assert answer.status_code == 503
        assert (await writes.get(f"/c/{conversation.public_id}/")).status_code == 200
        dictation.say("three")
        dictation.finish()
        await shows(watching, generation, "One two three")
        await asyncio.sleep(1)
        limit(web.program, resource.RLIMIT_FSIZE, None)
        row = await settled(generation, seconds=20)
        assert (row.state, await text_of(generation)) == (State.DONE, "One two three")
        await watching.next("settled")
        sent = await writes.post(f"/m/{await db(name_of, generation)}/alternatives/")
        assert sent.status_code == 204


def name_of(generation: Generation) -> str:
    return generation.choices.get(index=0).message.public_id
