"""Who is here, and who is typing, where pages are connected to different processes."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from chatweb import env
from conversations.models import Conversation, Participant, Role, User
from tests.engines import RedisServer
from tests.house import House, ServedSocket, person, viewer
from tests.relays import db
from tests.test_presence import here, ids, line
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(
            programs,
            REDIS_URL=redis.url,
            UPSTREAM_BASE_URL="http://127.0.0.1:9/v1",  # nobody answers, and nobody has to
            EXCHANGE_BEAT_SECONDS="0.2",
            EXCHANGE_SILENCE_SECONDS="1",
        )


@pytest.fixture
def both(conversation: Conversation, alice: User, bob: User) -> tuple[User, User]:
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return alice, bob


async def test_people_of_two_processes_see_each_other_come_type_and_leave(
    house: House, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    async with await viewer(one, alice) as first, await viewer(two, alice) as tab:
        await first.watch(conversation)
        await tab.watch(conversation)
        async with await viewer(two, bob) as second:
            await second.watch(conversation)
            await until(lambda: here(first) == here(second) == here(tab) == ids(alice, bob))
            assert first.all("here")[-1]["n"] == 2  # Alice's two tabs are one person
            await second.send({"t": "typing", "on": True})
            await until(lambda: line(first) == line(tab) == "Bob is typing…")
            assert line(second) == ""
            await first.send({"t": "typing", "on": True})
            await until(lambda: line(second) == "Alice is typing…")
            assert line(tab) == "Bob is typing…"  # nobody is told of themselves
            await second.send({"t": "typing", "on": False})
            await until(lambda: line(first) == "")
        await until(lambda: here(first) == here(tab) == ids(alice))


async def test_what_is_read_in_one_process_is_read_in_the_others(
    house: House, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    async with await viewer(one, bob) as reads, await viewer(two, bob) as tab:
        await reads.watch(conversation)
        async with await person(two, alice) as asks:
            sent = await asks.post(
                f"/c/{conversation.public_id}/messages/", text="Why?", request_id=str(uuid4())
            )
            assert sent.status_code == 200, sent.text
        assert 'class="unread">1' in (await tab.next("row"))["html"]
        await reads.send({"t": "read", "n": (await reads.next("added"))["rev"]})
        assert "unread" not in (await tab.next("row", 2))["html"]


async def test_people_of_a_killed_process_are_gone_within_15_seconds(
    house: House, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    async with await viewer(one, alice) as stays, await viewer(two, bob) as dies:
        await stays.watch(conversation)
        await dies.watch(conversation)
        await dies.send({"t": "typing", "on": True})
        await until(lambda: line(stays) == "Bob is typing…")
        two.program.send(signal.SIGKILL)
        began = time.monotonic()
        await until(lambda: here(stays) == ids(alice) and line(stays) == "")
        assert time.monotonic() - began < 15


async def test_a_page_whose_line_is_lost_is_gone_elsewhere_within_15_seconds(
    house: House, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    house.env["TICK_SECONDS"] = env.DECLARED["TICK_SECONDS"].default  # of presence it is as well
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    cookie = await db(session_of, bob)
    silent = Viewer(cookie, acknowledges=False, socket=ServedSocket(two.port, cookie))
    async with await viewer(one, alice) as stays, silent as lost:
        await stays.watch(conversation)
        await lost.watch(conversation)
        await until(lambda: here(stays) == ids(alice, bob))
        await lost.send({"t": "typing", "on": True})  # the last that is heard of it
        began = time.monotonic()
        await until(lambda: line(stays) == "Bob is typing…")
        await until(lambda: here(stays) == ids(alice) and line(stays) == "")
        assert time.monotonic() - began < 15
        assert lost.code is None  # nobody has closed it


async def test_they_find_each_other_again_when_redis_is_back(
    house: House, redis: RedisServer, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    quick = {"PRESENCE_SECONDS": "0.5"}
    one = house.web("--relay", "outside", **quick)
    two = house.web("--relay", "outside", **quick)
    async with await viewer(one, alice) as first, await viewer(two, bob) as second:
        await first.watch(conversation)
        await second.watch(conversation)
        await until(lambda: here(first) == here(second) == ids(alice, bob))
        redis.stop()
        await until(lambda: here(first) == ids(alice) and here(second) == ids(bob))
        redis.start()
        await until(lambda: here(first) == here(second) == ids(alice, bob))
        await asyncio.sleep(2)  # and stay so, but for a moment that the machine takes off
        await until(lambda: here(first) == here(second) == ids(alice, bob))
