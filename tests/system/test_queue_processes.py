"""One queue for the people of several processes, and relays that send from it at once."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import pytest

from conversations.models import Conversation, Generation, Message, QueuedTurn, State, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, person, viewer
from tests.relays import ask, db, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url, REDIS_URL=redis.url)


def shows(viewer: Viewer, text: str) -> bool:
    return any(text in message["html"] for message in viewer.all("added"))


async def test_people_in_two_processes_share_a_queue_and_two_relays_send_each_turn_once(
    house: House, upstream: ScriptedUpstream, shared: Conversation, alice: User, bob: User
) -> None:
    dictations = [Dictation() for _ in range(3)]
    for dictation in dictations:
        upstream.script("dictated", by=dictation)
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    house.relay(RELAY_POLL_SECONDS="0.05")
    house.relay(RELAY_POLL_SECONDS="0.05")
    address = f"/c/{shared.public_id}/messages/"
    async with (
        await viewer(one, alice) as watching,
        await viewer(two, bob) as watching_too,
        await person(one, alice) as hers,
        await person(two, bob) as his,
    ):
        await watching.watch(shared)
        await watching_too.watch(shared)
        running = await ask(shared, alice, "One?")
        await until(lambda: len(upstream.asked) == 1)
        texts = ("Two?", "Three?")
        for client, text in zip((his, hers), texts, strict=True):
            answer = await client.post(address, text=text, request_id=str(uuid4()))
            assert answer.status_code == 200
        for v in (watching, watching_too):
            assert "2 turns wait" in (await v.next("queue", 2))["html"]

        # An owner and the author press at once, each in their process.
        turn = await db(QueuedTurn.objects.get, text="Two?")
        now = f"/q/{turn.public_id}/now/"
        answers = await asyncio.gather(hers.post(now), his.post(now))
        codes = sorted(answer.status_code for answer in answers)
        assert codes[0] == 204
        assert codes[1] in {404, 409}
        await until(lambda: len(upstream.asked) == 2)
        assert (await settled(running)).state == State.STOPPED
        for v in (watching, watching_too):
            await until(partial(shows, v, "Two?"))
            assert "1 turn waits" in v.all("queue")[-1]["html"]

        # Both relays look many times a second; one of them sends the last.
        dictations[1].finish()
        await until(lambda: len(upstream.asked) == 3)
        dictations[2].finish()
        last = await db(Generation.objects.latest, "pk")
        assert (await settled(last)).state == State.DONE
        for v in (watching, watching_too):
            await until(partial(shows, v, "Three?"))
    assert await db(Message.objects.filter(role="user").count) == 3
    assert await db(Generation.objects.count) == 3
    assert len(upstream.asked) == 3
