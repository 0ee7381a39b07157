"""Redis restarts, stands still, forgets all or is full: answers are written, shown and asked for
in other processes all the same."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import httpx
import pytest

from conversations.models import Conversation, Participant, Role, State, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, person, viewer
from tests.relays import ask, db, kept, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, until

Fault = Callable[[RedisServer], Callable[[], None]]
pytestmark = pytest.mark.django_db(transaction=True)


def restarts(redis: RedisServer) -> Callable[[], None]:
    redis.stop()
    return redis.start


def stands_still(redis: RedisServer) -> Callable[[], None]:
    redis.pause()
    return redis.resume


def forgets_all(redis: RedisServer) -> Callable[[], None]:
    redis.flush()
    return lambda: None


def is_full(redis: RedisServer) -> Callable[[], None]:
    redis.limit_memory(1)
    return partial(redis.limit_memory, 0)


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url, REDIS_URL=redis.url)


def shows(viewer: Viewer, generation: str, text: str) -> bool:
    return viewer.text(generation).strip() == text


@pytest.mark.parametrize(
    ("fault", "seconds"), [(restarts, 3), (stands_still, 20), (forgets_all, 0), (is_full, 5)]
)
async def test_answers_go_on_and_everybody_sees_all_of_them(
    fault: Fault,
    seconds: float,
    house: House,
    redis: RedisServer,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    bob: User,
) -> None:
    """With the settings that operators have: pages in two processes, answers in a third."""
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    await db(Participant.objects.create, conversation=conversation, user=bob, role=Role.EDITOR)
    own = await db(talk_of, bob)
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    house.relay()
    async with (
        await viewer(one, alice) as first,
        await viewer(two, bob) as second,
        await person(two, bob) as page,
    ):
        for watching in (first, second):
            await watching.watch(conversation)
        generation = await ask(conversation, alice)
        name = generation.public_id
        dictation.say("One ")
        await until(lambda: shows(first, name, "One") and shows(second, name, "One"))

        undo = await asyncio.to_thread(fault, redis)
        began = time.monotonic()
        dictation.say("two ")
        await kept(generation, "One two ", seconds=5)
        thread = await page.get(f"/c/{conversation.public_id}/messages/")
        assert "One two" in thread.text
        sent = await page.post(f"/c/{own.public_id}/messages/", text="Hi", request_id=uuid4())
        assert sent.status_code == 200
        asked = await db(own.generations.get)
        assert (await settled(asked, seconds=10)).state == State.DONE
        assert time.monotonic() - began < 15, "Redis kept somebody waiting"
        await asyncio.sleep(max(0, seconds - (time.monotonic() - began)))
        await asyncio.to_thread(undo)

        dictation.say("three")
        await until(
            lambda: shows(first, name, "One two three") and shows(second, name, "One two three")
        )
        dictation.finish()
        assert (await settled(generation)).state == State.DONE
        endings = [await watching.next("settled") for watching in (first, second)]
        assert (first.code, second.code) == (None, None)
    assert endings[0]["html"] == endings[1]["html"]
    assert await text_of(generation) == "One two three"


async def test_a_process_says_that_redis_is_away_and_when_it_is_back(
    house: House, redis: RedisServer
) -> None:
    """With the settings that operators have. Pages work without Redis: it stays in rotation."""
    web = house.web()
    async with httpx.AsyncClient(base_url=web.address, trust_env=False) as http:

        async def told(layer: str, state: str) -> int:
            async with asyncio.timeout(60):
                while True:
                    got = await http.get("/readyz", timeout=10)
                    told = got.json()
                    if (told["parts"]["layer"]["state"], told["state"]) == (layer, state):
                        return got.status_code
                    await asyncio.sleep(0.1)

        assert await told("up", "ready") == 200
        await asyncio.to_thread(redis.stop)
        assert await told("down", "degraded") == 200
        await asyncio.to_thread(redis.start)
        assert await told("up", "ready") == 200


def talk_of(person: User) -> Conversation:
    row = Conversation.objects.create(title="Bob's", model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
    return row
