"""What is told in one process reaches the others, over a real Redis that fails in every way."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from channels.layers import get_channel_layer
from pytest_django import Settings

from chatweb import layers
from conversations import events
from conversations.events.types import PROCESS, process_topic
from tests.engines import RedisServer
from tests.hubs import Heard, frame, keyframe, mailbox
from tests.processes import Program, program
from tests.viewers import until

TOPIC = events.conversation_topic("c1")
QUICK = {
    "REDIS_TIMEOUT": "0.5",
    "EXCHANGE_BEAT_SECONDS": "0.1",
    "EXCHANGE_SILENCE_SECONDS": "1",
    "EXCHANGE_OUTBOX": "256",
}


@pytest.fixture
def _over_redis(redis: RedisServer, settings: Settings) -> None:
    settings.CHANNEL_LAYERS = layers.configured([redis.url], timeout=0.5)
    settings.EXCHANGE_BEAT_SECONDS = 0.1
    settings.EXCHANGE_SILENCE_SECONDS = 1
    settings.EXCHANGE_OUTBOX = 256


@pytest.fixture
async def hub(_over_redis: None, _other_process: Program) -> AsyncIterator[events.Hub]:
    """This process's. It begins after the other, whose start would keep it waiting."""
    hub = events.Hub()
    joining = asyncio.ensure_future(hub.run())
    await until(lambda: is_up(hub))
    yield hub
    joining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await joining


@pytest.fixture
async def here(hub: events.Hub) -> Heard:
    """A socket of this process that watches the conversation."""
    heard = Heard()
    await hub.join(TOPIC, await opened(hub, heard))
    return heard


@pytest.fixture(scope="module")
def _other_process(redis_server: RedisServer) -> Iterator[Program]:
    env = {"DJANGO_SETTINGS_MODULE": "chatweb.settings", "REDIS_URL": redis_server.url, **QUICK}
    with program("-m", "tests.hub_process", env=env, listens=True) as other:
        other.line_with("ready", seconds=60)
        yield other


@pytest.fixture
async def there(_other_process: Program, redis: RedisServer) -> Program:
    """Another process, with a socket that watches nothing yet and no relay."""
    await ask(_other_process, "begin")
    _other_process.lines.clear()
    return _other_process


async def opened(hub: events.Hub, heard: Heard, user: str = "alice") -> events.Mailbox:
    box = mailbox(heard, user)
    await hub.open(box)
    return box


def is_up(hub: events.Hub) -> bool:
    return hub.exchange is not None and hub.exchange.is_up


async def ask(there: Program, line: str) -> None:
    """Returns when it is done."""
    there.say(line)
    await asyncio.to_thread(there.line_with, f"done {line}")


async def line_with(there: Program, text: str) -> str:
    return await asyncio.to_thread(there.line_with, text)


# --- When all is well -----------------------------------------------------------------------------


async def test_frames_reach_the_other_process_once_and_in_order(
    here: Heard, there: Program
) -> None:
    await ask(there, "frames c1 1 200")
    await until(lambda: len(here.frames) >= 200)
    await asyncio.sleep(0.2)
    assert here.frames == list(range(1, 201))


async def test_frames_of_this_process_are_heard_here_once_and_there_once(
    hub: events.Hub, here: Heard, there: Program
) -> None:
    await ask(there, "join c1")
    for number in range(1, 101):
        await hub.deliver(frame("c1", number))
    await line_with(there, '"n":100')
    await ask(there, "join c2")
    got = [line for line in there.lines if line.startswith("got")]
    assert [f'"n":{number}' in line for number, line in enumerate(got, 1)] == [True] * 100
    assert here.frames == list(range(1, 101))


async def test_who_watches_another_conversation_hears_nothing_of_it(
    hub: events.Hub, here: Heard, there: Program
) -> None:
    await ask(there, "join c2")
    await hub.deliver(frame("c1", 1))
    await hub.deliver(frame("c2", 2))
    assert '"n":2' in await line_with(there, "got")


async def test_a_relay_elsewhere_answers_the_one_mailbox_that_asked(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer
) -> None:
    await ask(there, "join c1")
    await ask(there, "relay")
    asking = Heard()
    box = await opened(hub, asking)
    with redis.client(decodes=False) as client, client.pubsub() as spy:
        spy.psubscribe("*")
        await hub.deliver(events.KeyframesWanted("c1", box.topic))
        await until(lambda: bool(asking.all("key")))
        keys = [message["channel"] for message in said(spy) if b"so far" in message["data"]]
    assert keys == [f"chatweb.__group__{process_topic(PROCESS)}"]
    assert asking.all("key")[0]["html"] == "<p>so far"
    assert here.all("key") == []
    assert not any('"t":"key"' in line for line in there.lines)


def said(spy: Any) -> Iterator[Any]:
    """What it has overheard; messages are packed."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        message = spy.get_message(timeout=0.1)
        if message and message["type"] == "pmessage":
            yield {**message, "channel": message["channel"].decode()}


async def test_a_question_here_wakes_a_relay_there(hub: events.Hub, there: Program) -> None:
    await ask(there, "relay")
    await hub.deliver(events.WorkQueued())
    assert "WorkQueued" in await line_with(there, "told")
    await hub.deliver(events.StopRequested("g1"))
    assert "g1" in await line_with(there, "told")


async def test_a_relay_here_is_woken_once_by_a_question_there(
    hub: events.Hub, there: Program
) -> None:
    told: list[events.RelayEvent] = []

    async def heed(event: events.RelayEvent) -> None:
        told.append(event)

    await hub.listen_as_relay(heed)
    await ask(there, "wake")
    await until(lambda: bool(told))
    await asyncio.sleep(0.2)
    assert told == [events.WorkQueued()]


async def test_who_leaves_and_joins_quickly_hears_what_comes_then(
    hub: events.Hub, there: Program
) -> None:
    heard = Heard()
    box = await opened(hub, heard)
    for turn in range(1, 30):
        await hub.join(TOPIC, box)
        await ask(there, f"frames c1 {turn} {turn}")
        await until(lambda: len(heard.frames) == turn)  # noqa: B023  waited for at once
        hub.leave(TOPIC, box)
        if turn % 2:
            await asyncio.sleep(0)
    assert heard.frames == list(range(1, 30))


async def test_nothing_is_received_for_those_who_have_left(
    hub: events.Hub, redis: RedisServer
) -> None:
    topic = events.conversation_topic("left")  # the other process may still watch the usual one
    box = await opened(hub, Heard())
    await hub.join(topic, box)
    assert subscribers(redis, topic) == 1
    hub.shut(box)
    await until(lambda: subscribers(redis, topic) == 0)


def subscribers(redis: RedisServer, topic: str) -> int:
    with redis.client() as client:
        [(_name, number)] = client.pubsub_numsub(f"chatweb.__group__{topic}")
        return int(number)


# --- When Redis is away ---------------------------------------------------------------------------


async def test_a_restart_is_noticed_told_and_over(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer
) -> None:
    await ask(there, "join c1")
    await asyncio.to_thread(redis.restart)
    await until(lambda: bool(here.all("missed")) and is_up(hub))
    await line_with(there, "missed")
    await ask(there, "frames c1 1 20")
    await until(lambda: len(here.frames) >= 20)
    await hub.deliver(frame("c1", 21))
    await line_with(there, '"n":21')
    assert here.frames == list(range(1, 22))


async def test_it_counts_as_away_while_it_is_gone(
    hub: events.Hub, here: Heard, redis: RedisServer
) -> None:
    await asyncio.to_thread(redis.stop)
    await until(lambda: not is_up(hub))
    assert here.all("missed") == []  # nobody could say so, and pages see no ticks of answers
    await asyncio.to_thread(redis.start)
    await until(lambda: is_up(hub))
    await until(lambda: len(here.all("missed")) == 1)


async def test_one_that_stands_still_keeps_no_answer_waiting_and_fills_no_memory(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer
) -> None:
    redis.pause()
    began = asyncio.get_running_loop().time()
    for number in range(1, 2001):
        await hub.deliver(frame("c1", number))
    assert asyncio.get_running_loop().time() - began < 1
    assert here.frames == list(range(1, 2001))  # those of this process need no Redis
    assert hub.exchange is not None
    assert hub.exchange.dropped >= 2000 - 256 - 1
    await until(lambda: not is_up(hub))
    await asyncio.sleep(1.5)  # for longer than it takes to try again
    redis.resume()
    await until(lambda: is_up(hub) and bool(here.all("missed")))
    await asyncio.to_thread(there.line_with, "missed")
    await ask(there, "frames c1 2001 2001")
    await until(lambda: 2001 in here.frames)


async def test_who_joins_while_it_is_away_hears_when_it_is_back(
    hub: events.Hub, there: Program, redis: RedisServer
) -> None:
    await asyncio.to_thread(redis.stop)
    await until(lambda: not is_up(hub))
    heard = Heard()
    box = await opened(hub, heard)
    async with asyncio.timeout(1):
        await hub.join(TOPIC, box)
    await asyncio.to_thread(redis.start)
    await until(lambda: bool(heard.all("missed")))
    await asyncio.to_thread(there.line_with, "missed")  # not to everybody at once, but to all
    await ask(there, "frames c1 1 1")
    await until(lambda: heard.frames == [1])


async def test_who_joins_as_it_stands_still_is_not_kept_for_long(
    hub: events.Hub, redis: RedisServer
) -> None:
    topic = events.conversation_topic("paused")  # the other process may still watch the usual one
    redis.pause()
    box = mailbox(Heard())
    async with asyncio.timeout(4):
        await hub.open(box)
        await hub.join(topic, box)
    redis.resume()
    await until(lambda: is_up(hub) and subscribers(redis, topic) == 1)


async def test_cut_connections_are_made_anew(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer
) -> None:
    for turn in range(1, 4):
        await asyncio.to_thread(redis.disconnect_all)
        await until(lambda: is_up(hub) and subscribers(redis, TOPIC) == 1)
        await heard_again(there, here, turn)


async def heard_again(there: Program, here: Heard, turn: int) -> None:
    """The other process may be cut off a little longer than we are."""
    async with asyncio.timeout(10):
        while turn not in here.frames:
            await ask(there, f"frames c1 {turn} {turn}")
            await asyncio.sleep(0.1)


async def test_connections_that_were_made_anew_in_secret_are_noticed(
    hub: events.Hub, here: Heard, redis: RedisServer
) -> None:
    """Redis' client comes back between two beats and says nothing: what came meanwhile is lost."""
    before = len(here.all("missed"))
    with redis.client() as client:
        client.client_kill_filter(_type="pubsub")
    await until(lambda: len(here.all("missed")) > before)
    await until(lambda: is_up(hub))


async def test_a_flushed_one_forgets_nothing_of_ours(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer
) -> None:
    await asyncio.to_thread(redis.flush)
    await ask(there, "frames c1 1 50")
    await until(lambda: here.frames == list(range(1, 51)))
    assert is_up(hub)
    assert here.all("missed") == []


async def test_a_full_one_carries_on(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer
) -> None:
    await asyncio.to_thread(redis.limit_memory, 1)
    await ask(there, "frames c1 1 50")
    await until(lambda: here.frames == list(range(1, 51)))
    assert is_up(hub)


# --- What others send -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"type": "event", "from": "elsewhere", "topic": TOPIC, "text": "of another version"},
        {"type": "event", "from": "elsewhere", "topic": "relay", "kind": "New", "fields": {}},
        {"type": "event", "from": "elsewhere", "topic": TOPIC, "kind": "StopRequested"},
        {"type": "event", "from": "elsewhere", "topic": 5, "wire": 6, "skip": "x"},
        {"type": "event", "from": "x", "topic": ["c1"], "wire": "{}", "skip": True},
        {"type": "event", "from": "x", "topic": TOPIC, "skip": True},
        {"type": "event", "from": "x", "topic": "relay", "kind": "StopRequested", "fields": 5},
        {
            "type": "event",
            "from": "x",
            "topic": "relay",
            "kind": "StopRequested",
            "fields": {"generation": ["g1"]},
        },
        {"from": "elsewhere"},
        {},
    ],
)
async def test_a_message_of_another_version_is_passed_over(
    hub: events.Hub, here: Heard, there: Program, message: dict[str, Any]
) -> None:
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(TOPIC, message)
    await ask(there, "frames c1 1 1")
    await until(lambda: here.frames == [1])
    assert is_up(hub)
    assert here.all("missed") == []


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x93\x01", b"[]", b"\x01\x02", b"\x90"])
async def test_what_is_no_message_at_all_is_passed_over(
    hub: events.Hub, here: Heard, there: Program, redis: RedisServer, packed: bytes
) -> None:
    with redis.client() as client:
        client.publish(f"chatweb.__group__{TOPIC}", packed)
    await ask(there, "frames c1 1 1")
    await until(lambda: here.frames == [1])
    assert is_up(hub)
    assert here.all("missed") == []


async def test_a_topic_that_its_last_listener_has_just_left_is_not_silent(
    hub: events.Hub, here: Heard
) -> None:
    """The pulse looks after a query, during which anybody may leave."""
    box = next(iter(hub.mailboxes(TOPIC)))
    assert hub.heard(TOPIC) > 0
    hub.shut(box)
    assert hub.heard(TOPIC) == 0


async def test_a_mailboxs_topic_stays_in_its_process(hub: events.Hub, redis: RedisServer) -> None:
    heard = Heard()
    box = await opened(hub, heard)
    with redis.client(decodes=False) as client, client.pubsub() as spy:
        spy.psubscribe(f"chatweb.__group__{box.topic}", "chatweb.__group__mailbox*")
        await hub.deliver(keyframe(box.topic))
        assert list(said(spy)) == []
    assert len(heard.all("key")) == 1
