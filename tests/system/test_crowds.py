"""Pages that read nothing, that all vanish at once, and that send more than pages do: whoever
behaves notices nothing, and the process forgets them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psutil
import pytest

from conversations.models import Conversation, State, User
from tests.crowds import BareSocket, masked
from tests.dictation import Dictation
from tests.house import House, Web, viewer
from tests.relays import ask, db, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "canary-metrics-token-7120"
CROWD, ROUNDS, OPENED_AT_ONCE = 1_000, 3, 40
DEAF, WORDS = 60, 600


@pytest.fixture
def house(upstream: ScriptedUpstream) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(
            programs,
            UPSTREAM_BASE_URL=upstream.base_url,
            SOCKETS_PER_USER="5000",
            METRICS_TOKEN=TOKEN,
            TICK_SECONDS="2",
            RIGHTS_CHECK_SECONDS="1",
        )


def megabytes(web: Web) -> float:
    return float(psutil.Process(web.program.process.pid).memory_info().rss / 1e6)


async def sockets_open(web: Web) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    # Plain text: to load the machine's certificates each time would cost more than the test.
    async with httpx.AsyncClient(headers=headers, timeout=30, verify=False) as http:
        text = (await http.get(f"{web.address}/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("chatweb_sockets_open ")]
    return int(float(line.split()[1]))


async def until_open(web: Web, number: int, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await sockets_open(web) != number:  # noqa: ASYNC110  no bell rings
            await asyncio.sleep(0.2)


async def watching(web: Web, cookie: str, conversation: Conversation) -> BareSocket:
    one = BareSocket(web.port, cookie)
    await one.open()
    one.send({"t": "watch", "c": conversation.public_id})
    await one.next("watching")
    return one


async def long_answer(
    upstream: ScriptedUpstream, watcher: Viewer, conversation: Conversation, user: User
) -> None:
    """Of a megabyte, which the watcher sees whole."""
    upstream.script("benchmark", tokens=WORDS, rate=150, text="lorem ipsum " * 100 + "\n\n")
    already = len(watcher.all("settled"))
    generation = await ask(conversation, user)
    assert (await settled(generation, seconds=60)).state == State.DONE
    await watcher.next("settled", already + 1)
    assert watcher.text(generation.public_id).count("lorem") == WORDS * 100


# --- Who reads nothing ----------------------------------------------------------------------------


async def test_pages_that_never_read_cost_no_memory_and_are_closed_in_the_end(
    house: House, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    web = house.web(MAILBOX_PATIENCE="25")
    cookie = await db(session_of, alice)
    async with await viewer(web, alice) as healthy:
        await healthy.watch(conversation)
        deaf = [await watching(web, cookie, conversation) for _ in range(DEAF)]
        await long_answer(upstream, healthy, conversation, alice)
        before = megabytes(web)
        for _answer in range(2):
            await long_answer(upstream, healthy, conversation, alice)
        # What was on its way to them would be 150 MB by now.
        assert megabytes(web) - before < 25
        await until_open(web, 1, seconds=60)
        assert healthy.code is None
    assert {await one.closed() for one in deaf} <= {4408, None}


# --- Who vanishes ---------------------------------------------------------------------------------


async def test_a_thousand_pages_cut_at_once_and_again_leave_nothing_behind(
    house: House, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    web = house.web()
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    cookie = await db(session_of, alice)
    process = psutil.Process(web.program.process.pid)
    async with await viewer(web, alice) as stays:
        await stays.watch(conversation)
        generation = await ask(conversation, alice)
        after = []
        said = ""
        for turn in range(ROUNDS):
            crowd = await come(web, cookie, conversation)
            assert await sockets_open(web) == CROWD + 1
            for one in crowd:
                one.cut()
            said += f"word{turn} "
            dictation.say(f"word{turn} ")
            await shown(stays, generation.public_id, said, seconds=10)
            await until_open(web, 1)
            after.append((megabytes(web), process.num_fds()))
        dictation.finish()
        assert (await settled(generation)).state == State.DONE
        await stays.next("settled")
        assert stays.code is None
    (first, files), (last, files_last) = after[0], after[-1]
    assert last - first < 25, after
    assert files_last <= files + 5, after
    assert "Traceback" not in web.program.output


async def come(web: Web, cookie: str, conversation: Conversation) -> list[BareSocket]:
    """As many at once as a browser's jitter lets through."""
    room = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one_more() -> BareSocket:
        async with room:
            return await watching(web, cookie, conversation)

    return list(await asyncio.gather(*(one_more() for _ in range(CROWD))))


async def shown(viewer: Viewer, generation: str, text: str, seconds: float) -> None:
    await until(lambda: viewer.text(generation).strip() == text.strip(), seconds)


# --- Who sends too much ---------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ['{"t":"keys"}', '{"t":"ack","n":1}', '{"t":"watch","c":"x"}'])
async def test_a_socket_that_floods_is_closed_and_the_others_go_on(
    frame: str, house: House, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    web = house.web()
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    cookie = await db(session_of, alice)
    async with await viewer(web, alice) as healthy:
        await healthy.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await shown(healthy, generation.public_id, "One", seconds=10)
        floods = [await watching(web, cookie, conversation) for _ in range(5)]
        pouring = [asyncio.ensure_future(pour(one, masked(frame.encode()))) for one in floods]
        began = time.monotonic()
        dictation.say("two")
        await shown(healthy, generation.public_id, "One two", seconds=5)
        took = time.monotonic() - began
        codes = set(await asyncio.gather(*pouring))
        dictation.finish()
        assert (await settled(generation)).state == State.DONE
        await healthy.next("settled")
        assert healthy.code is None
    assert codes <= {4429, None}  # who is still sending may be cut before it hears why
    assert took < 5
    await until_open(web, 0)


async def pour(one: BareSocket, frame: bytes) -> int | None:
    """A hundred thousand of them, or until it is closed; the code."""
    ending = asyncio.ensure_future(one.closed())
    for _ in range(200):
        if ending.done():
            break
        one.writer.write(frame * 500)
        with suppress(ConnectionError):
            await one.writer.drain()
    done, _pending = await asyncio.wait({ending}, timeout=20)
    if not done:
        ending.cancel()
        return 0
    return ending.result()
