"""The page's socket: who may open it, what it may say, and when it is closed."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from pytest_django import Settings

from conversations import actions, events
from conversations.actions import people
from conversations.models import Conversation, Participant, RightsChange, Role, User
from conversations.relay import Relay
from tests.conftest import person as make
from tests.dictation import Dictation
from tests.relays import ask, db, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


# --- Who ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["", "nonsense", "x" * 4000])
async def test_without_a_session_it_is_closed_with_4401(cookie: str) -> None:
    async with Viewer(cookie) as viewer:
        assert await viewer.closed() == 4401
        assert viewer.heard == []


async def test_a_suspended_persons_session_is_closed_with_4401(alice: User) -> None:
    cookie = await db(session_of, alice)
    alice.is_active = False
    await alice.asave()
    async with Viewer(cookie) as viewer:
        assert await viewer.closed() == 4401


async def test_a_session_of_an_old_password_is_closed_with_4401(alice: User) -> None:
    cookie = await db(session_of, alice)
    await db(people.set_password, user=alice, password="another long one")
    async with Viewer(cookie) as viewer:
        assert await viewer.closed() == 4401


async def test_another_sites_page_gets_no_socket(alice: User) -> None:
    viewer = Viewer(await db(session_of, alice), origin="https://evil.example")
    accepted, code = await viewer._socket.connect()
    assert (accepted, code) == (False, 4403)


@pytest.mark.parametrize("name", ["foreign", "deleted", "missing", "\0", "x" * 5000])
async def test_charlie_watching_is_closed_with_4403_and_learns_nothing(
    conversation: Conversation, alice: User, charlie: User, name: str
) -> None:
    wanted = conversation.public_id if name in {"foreign", "deleted"} else name
    if name == "deleted":
        await db(actions.conversations.delete, conversation=conversation, actor=alice)
    async with Viewer(await db(session_of, charlie)) as viewer:
        await viewer.watch(wanted)
        assert await viewer.closed() == 4403
        assert viewer.heard == []


async def test_charlie_gets_no_frame_by_asking_for_keys(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, charlie: User
) -> None:
    generation = await ask(conversation, alice)
    dictation.say("secret")
    cookies = await db(session_of, alice), await db(session_of, charlie)
    async with Viewer(cookies[0]) as mine, Viewer(cookies[1]) as theirs:
        await mine.watch(conversation)
        await until(lambda: mine.text(generation.public_id) == "secret")
        await theirs.send({"t": "keys"})
        await theirs.send({"t": "keys", "c": conversation.public_id})
        dictation.say(" more")
        await until(lambda: mine.text(generation.public_id) == "secret more")
        assert theirs.heard == []


async def test_a_viewer_watches(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, bob: User
) -> None:
    await db(Participant.objects.create, conversation=conversation, user=bob, role=Role.VIEWER)
    generation = await ask(conversation, alice)
    dictation.say("Hello")
    async with Viewer(await db(session_of, bob)) as viewer:
        await viewer.watch(conversation)
        await until(lambda: viewer.text(generation.public_id) == "Hello")


async def test_watching_another_conversation_leaves_the_first(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        other = await db(_another, alice)
        await viewer.watch(other)
        await ask(conversation, alice)
        dictation.say("Hello")
        await viewer.next("row")
        await asyncio.sleep(0.2)
        assert viewer.all("frame") == []
        before = len(viewer.heard)
        await until(lambda: len(viewer.heard) >= before + 2)
        assert {message.get("c") for message in viewer.heard[before:]} == {other.public_id}


def _another(person: User) -> Conversation:
    row = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
    return row


async def test_a_persons_sockets_are_limited(alice: User, settings: Settings) -> None:
    settings.SOCKETS_PER_USER = 2
    cookie = await db(session_of, alice)
    async with Viewer(cookie), Viewer(cookie) as second:
        async with Viewer(cookie) as third:
            assert await third.closed() == 4429
        await second.__aexit__()
        async with Viewer(cookie) as fourth:
            await asyncio.sleep(0.1)
            assert fourth.code is None


# --- What it may say ------------------------------------------------------------------------------

NONSENSE = [
    "",
    "null",
    "[]",
    "{}",
    '"watch"',
    "{",
    "[" * 5000 + "]" * 5000,
    '{"t":"nothing"}',
    '{"t":"watch"}',
    '{"t":"watch","c":7}',
    '{"t":"watch","c":null}',
    '{"t":"watch","c":["x"]}',
    '{"t":"ack"}',
    '{"t":"ack","n":"7"}',
    '{"t":"ack","n":1e400}',
    '{"t":"ack","n":1.5}',
    '{"t":["ack"],"n":1}',
    '{"t":"\\ud800"}',
    '{"t":"typing"}',
    '{"t":"typing","on":1}',
    '{"t":"look","on":null}',
    '{"t":"send","c":"x","text":"Hello"}',
    '{"t":"stop","g":"x"}',
]


@pytest.mark.parametrize("text", NONSENSE)
async def test_nonsense_is_closed_with_4400(
    alice: User, caplog: pytest.LogCaptureFixture, text: Any
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer._socket.send_input({"type": "websocket.receive", "text": text})
        assert await viewer.closed() == 4400
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_bytes_are_closed_with_4400(alice: User) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.send_raw(data=b'{"t":"keys"}')
        assert await viewer.closed() == 4400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.fixed_dictionaries(
    {"t": st.sampled_from(["ack", "keys", "watch", "frame", "look", "typing"]) | JSON},
    optional={"n": JSON, "c": JSON, "on": st.booleans() | JSON},
)
FRAMES = (
    st.tuples(st.just("text"), st.builds(json.dumps, KEYS | JSON))
    | st.tuples(st.just("text"), st.text(min_size=1))
    | st.tuples(st.just("bytes"), st.binary(min_size=1))
)


@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(FRAMES, min_size=1, max_size=6))
async def test_whatever_is_sent_the_process_lives_and_logs_no_error(
    alice: User, caplog: pytest.LogCaptureFixture, frames: list[tuple[str, Any]]
) -> None:
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as viewer:
        for kind, content in frames:
            await viewer._socket.send_input({"type": "websocket.receive", kind: content})
    assert viewer.code in {None, 4400, 4403}
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert not events.hub.sockets


@pytest.mark.parametrize(("seconds", "later"), [(1.5, True), (0, False)])
async def test_a_question_waits_for_the_one_before_as_long_as_set(
    conversation: Conversation, alice: User, settings: Settings, seconds: float, later: bool
) -> None:
    settings.SOCKET_PAUSE_SECONDS = seconds
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        asked = time.monotonic()
        await viewer.watch(conversation)
        assert (time.monotonic() - asked > 0.5) is later


async def test_a_page_that_acknowledges_nothing_is_behind_after_as_many_characters_as_set(
    relay: Relay,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
    settings: Settings,
) -> None:
    settings.MAILBOX_CHARACTERS, settings.RELAY_FRAMES_PER_SECOND = 12_000, 60
    async with Viewer(await db(session_of, alice), acknowledges=False) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        for _ in range(60):
            dictation.say("word " * 120)
            await asyncio.sleep(0.01)
        dictation.finish()
        await settled(generation)
        assert 0 < sum(len(str(frame)) for frame in viewer.all("frame")) < 12_000


async def test_nothing_is_read_after_nonsense(conversation: Conversation, alice: User) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.send({"t": "nothing"})
        await viewer.send({"t": "watch", "c": conversation.public_id})
        assert await viewer.closed() == 4400
        await asyncio.sleep(0.1)
        assert viewer.heard == []


async def test_a_closed_socket_leaves_nothing_in_the_hub(
    conversation: Conversation, alice: User
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        assert events.hub.topics("conversation.")
    assert not events.hub.sockets
    assert not events.hub.topics("")


async def test_a_socket_that_ends_without_a_goodbye_leaves_nothing_in_the_hub(
    alice: User,
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await until(lambda: bool(events.hub.sockets))
        viewer.kill()
        await until(lambda: not events.hub.sockets)
        assert not events.hub.topics("")


# --- Rights that change ---------------------------------------------------------------------------


def sign_out(person: User, cookie: str) -> None:
    people.signed_out(user=person, session_key=cookie)
    _end_session(cookie)


def _end_session(cookie: str) -> None:
    Session.objects.filter(session_key=cookie).delete()


def suspend(person: User, _cookie: str) -> None:
    people.suspend(user=person, actor=make("Olga"))


def new_password(person: User, _cookie: str) -> None:
    people.set_password(user=person, password="another long one")


@pytest.mark.parametrize("change", [sign_out, suspend, new_password])
async def test_within_two_seconds_of_losing_the_session_it_is_closed_with_4401(
    relay: Relay,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
    change: Callable[[User, str], None],
) -> None:
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One")
        await until(lambda: viewer.text(generation.public_id) == "One")
        await db(change, alice, cookie)
        async with asyncio.timeout(4):  # with beats five times as fast as usual
            assert await viewer.closed() == 4401
        dictation.say(" secret")
        await asyncio.sleep(0.2)
        assert viewer.text(generation.public_id) == "One"


async def test_signing_out_in_one_browser_leaves_the_other_alone(alice: User) -> None:
    one, other = await db(session_of, alice), await db(session_of, alice)
    async with Viewer(one) as left, Viewer(other) as stays:
        await asyncio.sleep(0.1)
        await db(sign_out, alice, one)
        assert await left.closed() == 4401
        await asyncio.sleep(0.3)
        assert stays.code is None


async def test_a_removed_participants_socket_is_closed_with_4403(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, bob: User
) -> None:
    participant = await db(
        Participant.objects.create, conversation=conversation, user=bob, role=Role.EDITOR
    )
    generation = await ask(conversation, alice)
    dictation.say("One")
    async with Viewer(await db(session_of, bob)) as viewer:
        await viewer.watch(conversation)
        await until(lambda: viewer.text(generation.public_id) == "One")
        await db(participant.delete)
        await db(RightsChange.objects.create, user=bob, conversation=conversation)
        async with asyncio.timeout(4):  # with beats five times as fast as usual
            assert await viewer.closed() == 4403
        dictation.say(" secret")
        await asyncio.sleep(0.2)
        assert viewer.text(generation.public_id) == "One"


async def test_a_change_of_rights_that_leaves_reading_closes_nothing(
    conversation: Conversation, alice: User, bob: User
) -> None:
    participant = await db(
        Participant.objects.create, conversation=conversation, user=bob, role=Role.EDITOR
    )
    async with Viewer(await db(session_of, bob)) as viewer:
        await viewer.watch(conversation)
        participant.role = Role.VIEWER
        await participant.asave()
        await db(RightsChange.objects.create, user=bob, conversation=conversation)
        await asyncio.sleep(0.6)
        assert viewer.code is None


async def test_a_change_that_falls_between_two_beats_is_not_missed(
    conversation: Conversation, alice: User
) -> None:
    """The right goes while the socket is being opened."""
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as first:
        await first.watch(conversation)
        await db(sign_out, alice, cookie)
        async with Viewer(cookie) as second:
            assert await second.closed() == 4401
        assert await first.closed() == 4401


async def test_a_change_that_was_numbered_first_and_committed_later_is_not_missed(
    alice: User, bob: User
) -> None:
    await db(RightsChange.objects.create, pk=990, user=bob)
    await db(RightsChange.objects.create, pk=1000, user=bob)
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.next("tick")
        await db(RightsChange.objects.create, pk=995, user=alice)
        assert await viewer.closed() == 4401


# --- What it hears --------------------------------------------------------------------------------


async def test_a_question_is_told_to_all_who_watch(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, bob: User
) -> None:
    await db(Participant.objects.create, conversation=conversation, user=bob, role=Role.EDITOR)
    async with Viewer(await db(session_of, bob)) as viewer:
        await viewer.watch(conversation)
        await ask(conversation, alice, "Why is <b>it</b> slow?")
        added = await viewer.next("added")
        assert added["c"] == conversation.public_id
        assert "Why is &lt;b&gt;it&lt;/b&gt; slow?" in added["html"]
        assert added["html"].count("<article") == 2


async def test_the_row_in_the_sidebar_is_told_to_participants_alone(
    relay: Relay,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
    bob: User,
    charlie: User,
) -> None:
    await db(Participant.objects.create, conversation=conversation, user=bob, role=Role.VIEWER)
    cookies = await db(session_of, bob), await db(session_of, charlie)
    async with Viewer(cookies[0]) as inside, Viewer(cookies[1]) as outside:
        await ask(conversation, alice)
        row = await inside.next("row")
        assert (row["c"], row["top"]) == (conversation.public_id, True)
        await db(
            actions.conversations.rename,
            conversation=conversation,
            actor=alice,
            title="Secret plan",
        )
        assert "Secret plan" in (await inside.next("row", 2))["html"]
        assert outside.heard == []


async def test_a_tick_comes_even_when_nothing_happens(
    conversation: Conversation, alice: User
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        tick = {"t": "tick", "c": conversation.public_id, "rev": conversation.revision}
        await until(lambda: viewer.received.count(tick) >= 2)


async def test_a_change_made_elsewhere_shows_in_the_next_tick(
    conversation: Conversation, alice: User
) -> None:
    """By another process, whose events do not come here."""
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        conversation.revision = 41
        await conversation.asave()
        await until(lambda: any(tick.get("rev") == 41 for tick in viewer.all("tick")))
