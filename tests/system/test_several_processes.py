"""Any process serves any viewer of any answer: pages in two processes, answers in others."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from conversations.models import Conversation, Generation, Participant, Role, State, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, person, viewer
from tests.relays import answer_of, ask, db, kept, load, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, tree_of_article, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url, REDIS_URL=redis.url)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


@pytest.fixture
def both(conversation: Conversation, alice: User, bob: User) -> tuple[User, User]:
    """Alice and Bob, who may both write."""
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return alice, bob


async def same(generation: Generation, text: str, *viewers: Viewer) -> None:
    await until(lambda: all(v.text(generation.public_id).strip() == text for v in viewers))


async def test_everybody_sees_the_same_wherever_they_and_the_answer_are(
    house: House, dictation: Dictation, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    house.relay()
    async with await viewer(one, alice) as first, await viewer(two, bob) as second:
        await first.watch(conversation)
        await second.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One **two**", " three.\n\n")
        await same(generation, "One two three.", first, second)
        # Who joins in the middle sees the whole.
        async with await viewer(two, alice) as late:
            await late.watch(conversation)
            await same(generation, "One two three.", late)
            dictation.say("- a\n- b\n")
            dictation.finish()
            row = await settled(generation)
            endings = [await v.next("settled") for v in (first, second, late)]
    assert row.state == State.DONE
    assert len({ending["html"] for ending in endings}) == 1
    final = tree_of_article(endings[0]["html"]).shape()
    assert (
        final
        == second.answers[generation.public_id].shape
        == late.answers[generation.public_id].shape
    )


async def test_a_stop_in_one_process_ends_what_another_writes(
    house: House, dictation: Dictation, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    house.relay(RELAY_KEEP_SECONDS="5")  # by being told, not by looking
    async with (
        await viewer(two, alice) as watching,
        await person(one, bob) as presses,
        await person(two, alice) as presses_too,
    ):
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("As far as here")
        await same(generation, "As far as here", watching)
        began = time.monotonic()
        answers = await asyncio.gather(
            presses.post(f"/g/{generation.public_id}/stop/"),
            presses_too.post(f"/g/{generation.public_id}/stop/"),
        )
        await until(dictation.left.is_set)
        assert time.monotonic() - began < 4
        assert [answer.status_code for answer in answers] == [204, 204]
        row = await settled(generation)
        ending = await watching.next("settled")
    assert row.state == State.STOPPED
    assert row.stopped_by in both
    assert await text_of(generation) == "As far as here"
    assert row.stopped_by is not None
    assert row.stopped_by.display_name in ending["html"]


async def test_one_retry_each_in_two_processes_makes_one_generation(
    house: House, upstream: ScriptedUpstream, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    one, two = house.web(), house.web()
    generation = await ask(conversation, alice)
    await settled(generation, seconds=20)
    answer = await db(answer_of, generation)
    upstream.script("dictated", by=Dictation())
    async with await person(one, alice) as first, await person(two, bob) as second:
        answers = await asyncio.gather(
            *(who.post(f"/m/{answer.public_id}/alternatives/") for who in (first, second))
        )
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [204, 409])
    assert await db(Generation.objects.filter(conversation=conversation).count) == 2


async def test_ending_the_pages_process_cuts_no_answer(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    house.relay()
    async with await viewer(one, alice) as leaves, await viewer(two, alice) as stays:
        await leaves.watch(conversation)
        await stays.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("Before. ")
        await same(generation, "Before.", leaves, stays)
        one.program.send(signal.SIGTERM)
        assert await leaves.closed() == 4012
        assert one.program.ended() == 0
        dictation.say("After.")
        await same(generation, "Before. After.", stays)
        dictation.finish()
        assert (await settled(generation)).state == State.DONE


async def test_a_relay_that_is_asked_to_end_finishes_what_it_writes(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    relay = house.relay()
    generation = await ask(conversation, alice)
    dictation.say("Nearly")
    await kept(generation, "Nearly", seconds=20)
    relay.send(signal.SIGTERM)
    waiting = await ask(await db(another, alice), alice)
    await asyncio.sleep(1)
    assert (await db(load, waiting)).state == State.QUEUED  # it takes on nothing new
    dictation.say(" done")
    dictation.finish()
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "Nearly done")
    assert relay.ended() == 0


async def test_a_relay_that_cannot_wait_hands_its_answer_on(
    house: House, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    first, second = Dictation(), Dictation()
    upstream.script("dictated", by=first).script("dictated", by=second)
    web = house.web("--relay", "outside")
    leaving = house.relay(RELAY_DRAIN_SECONDS="0.2", RELAY_CONTINUES="2")
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        first.say("One ")
        await same(generation, "One", watching)
        house.relay(RELAY_CONTINUES="2")
        leaving.send(signal.SIGTERM)
        row = await settled(generation)
        assert (row.state, row.error_code) == (State.INTERRUPTED, "restarting")
        second.say("two")
        second.finish()
        rest = await next_of(generation)
        row = await settled(rest)
        assert row.state == State.DONE
        await same(rest, "One two", watching)
        await watching.next("settled", 2)
    assert await text_of(rest) == "One two"
    assert upstream.asked[-1].json["messages"][-1] == {"role": "assistant", "content": "One "}


async def test_what_a_killed_relay_wrote_is_explained_by_another_and_continued_if_allowed(
    house: House, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    first, second = Dictation(), Dictation()
    upstream.script("dictated", by=first).script("dictated", by=second)
    killed = house.relay()
    generation = await ask(conversation, alice)
    first.say("One ")
    await kept(generation, "One ", seconds=20)
    house.relay(RELAY_LEASE_SECONDS="2", RELAY_CONTINUES="1")
    killed.send(signal.SIGKILL)
    began = time.monotonic()
    row = await settled(generation, seconds=20)
    assert time.monotonic() - began < 20
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")
    second.say("two")
    second.finish()
    rest = await next_of(generation)
    assert (await settled(rest)).state == State.DONE
    assert await text_of(rest) == "One two"


async def test_with_redis_down_an_answer_is_read_from_the_table_and_afterwards_live_again(
    house: House,
    redis: RedisServer,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
) -> None:
    quick = {"EXCHANGE_BEAT_SECONDS": "0.2", "EXCHANGE_SILENCE_SECONDS": "1"}
    web = house.web("--relay", "outside", **quick)
    house.relay(**quick)
    async with await viewer(web, alice) as watching, await person(web, alice) as page:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await same(generation, "One", watching)
        redis.stop()
        dictation.say("two ")
        await watching.next("silent")
        await kept(generation, "One two ")
        thread = await page.get(f"/c/{conversation.public_id}/messages/")
        assert "One two" in thread.text
        redis.start()
        await watching.next("missed")
        dictation.say("three")
        await same(generation, "One two three", watching)
        dictation.finish()
        assert (await settled(generation)).state == State.DONE
        await watching.next("settled")


async def test_a_page_connects_while_redis_is_away(
    house: House, redis: RedisServer, conversation: Conversation, alice: User
) -> None:
    """And costs Redis nothing while it is there: each process listens for all its sockets."""
    web = house.web("--relay", "outside", EXCHANGE_BEAT_SECONDS="0.2", EXCHANGE_SILENCE_SECONDS="1")
    async with await viewer(web, alice) as first, await viewer(web, alice) as second:
        await first.watch(conversation)
        await second.watch(conversation)
        channels = await asyncio.to_thread(channels_in, redis)
        assert len(channels) == 4, channels  # the process's own two; the conversation; Alice
        redis.stop()
        async with await viewer(web, alice) as third:
            await third.watch(conversation)
            await third.next("tick", 3)
            assert third.code is None


def channels_in(redis: RedisServer) -> list[str]:
    with redis.client() as client:
        return [str(name) for name in client.pubsub_channels()]


def another(owner: User) -> Conversation:
    row = Conversation.objects.create(title="Another", model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=owner, role=Role.OWNER)
    return row


async def next_of(generation: Generation) -> Generation:
    """What its conversation was asked next, as soon as it is."""
    later = Generation.objects.filter(conversation=generation.conversation_id, pk__gt=generation.pk)
    async with asyncio.timeout(10):
        while (found := await db(later.first)) is None:  # noqa: ASYNC110  tables ring no bell
            await asyncio.sleep(0.05)
    return found
