"""Rights that change in one process act on the sockets of another within two seconds, with or
without Redis: the change is a row of a table that each process reads all the time."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from conversations import actions
from conversations.actions import erasure, people
from conversations.models import Conversation, Participant, Role, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, Person, ServedSocket, viewer
from tests.relays import ask, db, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)
Change = Callable[[User, Conversation], None]


def suspended(bob: User, conversation: Conversation) -> None:
    people.suspend(user=bob, actor=conversation.participants.get(role=Role.OWNER).user)


def new_password(bob: User, conversation: Conversation) -> None:
    people.set_password(user=bob, password="another horse battery")


def deleted(bob: User, conversation: Conversation) -> None:
    owner = conversation.participants.get(role=Role.OWNER).user
    actions.conversations.delete(conversation=conversation, actor=owner)


def removed(bob: User, conversation: Conversation) -> None:
    owner = conversation.participants.get(role=Role.OWNER).user
    actions.participants.remove(conversation=conversation, actor=owner, person=bob)


def erased(bob: User, conversation: Conversation) -> None:
    operator = User.objects.create_superuser("olga@example.com", "correct horse battery")
    erasure.erase(user=bob, actor=operator)


@pytest.fixture(scope="module", params=["redis", "redis is down"])
def is_down(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "redis is down")


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        # Half of what is set by default: a busy machine takes the rest of the two seconds.
        quick = {"RIGHTS_CHECK_SECONDS": "0.5", "TICK_SECONDS": "2"}
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url, REDIS_URL=redis.url, **quick)


@pytest.mark.parametrize(
    ("change", "code"),
    [(suspended, 4401), (new_password, 4401), (erased, 4401), (deleted, 4403), (removed, 4403)],
)
async def test_no_frame_comes_two_seconds_after_a_right_is_gone(
    house: House,
    redis: RedisServer,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    bob: User,
    is_down: bool,
    change: Change,
    code: int,
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    await db(Participant.objects.create, conversation=conversation, user=bob, role=Role.EDITOR)
    web = house.web()
    async with await viewer(web, bob) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await until(lambda: watching.text(generation.public_id) != "")
        if is_down:
            redis.stop()
        began = time.monotonic()
        await db(change, bob, conversation)
        assert await watching.closed() == code
        assert time.monotonic() - began < 2
        received = len(watching.received)
        dictation.say("two ", "three")
        dictation.finish()
        await settled(generation)
        assert len(watching.received) == received


async def test_who_signs_out_in_one_process_hears_nothing_more_in_another(
    house: House,
    redis: RedisServer,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    is_down: bool,
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    one, two = house.web("--relay", "outside"), house.web()
    cookie = await db(session_of, alice)
    async with (
        Person(one, cookie) as leaves,
        Viewer(cookie, socket=ServedSocket(two.port, cookie)) as watching,
    ):
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await until(lambda: watching.text(generation.public_id) != "")
        if is_down:
            redis.stop()
        await leaves.post("/accounts/logout/")
        began = time.monotonic()
        assert await watching.closed() == 4401
        assert time.monotonic() - began < 2
        received = len(watching.received)
        dictation.say("two")
        dictation.finish()
        await settled(generation)
        assert len(watching.received) == received


async def test_a_session_that_ends_by_itself_takes_its_socket_along(
    house: House,
    redis: RedisServer,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    is_down: bool,
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    web = house.web()
    cookie = await db(session_of, alice)
    ends = timezone.now() + timedelta(seconds=8)  # a busy machine may take most of them
    await db(Session.objects.filter(session_key=cookie).update, expire_date=ends)
    async with Viewer(cookie, socket=ServedSocket(web.port, cookie)) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await until(lambda: watching.text(generation.public_id) != "")
        if is_down:
            redis.stop()
        assert await watching.closed() == 4401
        assert timedelta(0) < timezone.now() - ends < timedelta(seconds=2)
        received = len(watching.received)
        dictation.say("two ", "three")
        dictation.finish()
        await settled(generation)
        assert len(watching.received) == received
