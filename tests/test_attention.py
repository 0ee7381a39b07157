"""What is unread, how far somebody has read, and what they want to hear of."""

import asyncio
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from conversations import actions, events
from conversations.models import Conversation, Message, Participant, Role, State, User
from conversations.models.conversations import LOOKED_BACK
from conversations.reading import Reading
from conversations.relay import Relay
from conversations.views import sidebar
from tests.conftest import person as make
from tests.dictation import Dictation
from tests.relays import ask, db, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def both(conversation: Conversation, alice: User, bob: User) -> tuple[User, User]:
    """Alice and Bob, who may both write."""
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return alice, bob


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


def row(person: User) -> Conversation:
    """As the person's sidebar has it."""
    [found] = sidebar.page(person)["rows"]
    assert isinstance(found, Conversation)
    return found


def revision(conversation: Conversation) -> int:
    return Conversation.objects.get(pk=conversation.pk).revision


def read(person: User, conversation: Conversation, up_to: int) -> None:
    actions.attention.read(up_to={(person.public_id, conversation.public_id): up_to})


def say(conversation: Conversation, author: User) -> None:
    actions.messages.send(
        conversation=conversation, author=author, text="Why is it slow?", request_id=uuid4()
    )


def give_up(conversation: Conversation) -> None:
    """What is queued has been claimed by a relay that died."""
    conversation.generations.update(state=State.RUNNING, worker="dead")
    actions.generations.give_up(lost=["dead"])


# --- What is unread -------------------------------------------------------------------------------


def test_what_others_said_is_unread_and_ones_own_never(
    conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    say(conversation, alice)
    assert (row(alice).unread, row(bob).unread) == (0, 1)  # the answer is not there yet
    give_up(conversation)
    assert (row(alice).unread, row(bob).unread) == (1, 2)


async def test_an_answer_is_unread_from_its_end_on(
    relay: Relay, dictation: Dictation, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, _bob = both
    generation = await ask(conversation, alice)
    dictation.say("Because")
    await until(dictation.asked.is_set)
    assert (await db(row, alice)).unread == 0
    dictation.finish()
    await settled(generation)
    assert (await db(row, alice)).unread == 1


def test_reading_makes_it_read_up_to_there(
    conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    say(conversation, alice)
    seen = revision(conversation)
    give_up(conversation)
    read(bob, conversation, seen)
    assert row(bob).unread == 1  # the answer, which came after
    read(bob, conversation, revision(conversation))
    assert row(bob).unread == 0
    read(bob, conversation, seen)  # by another tab, late
    assert row(bob).unread == 0
    assert row(alice).unread == 1  # each reads for themselves


def test_what_the_conversation_has_not_reached_cannot_be_read(
    conversation: Conversation, both: tuple[User, User]
) -> None:
    read(both[1], conversation, revision(conversation) + 1)
    read(both[1], conversation, 2**63 - 1)
    say(conversation, both[0])
    assert row(both[1]).unread == 1


def test_charlie_reads_nothing(conversation: Conversation, alice: User, charlie: User) -> None:
    say(conversation, alice)
    read(charlie, conversation, revision(conversation))
    assert not Participant.objects.filter(user=charlie).exists()
    assert Participant.objects.get(user=alice).read_revision == 0


def test_what_was_deleted_and_what_is_older_than_reading_is_unread_by_nobody(
    conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    say(conversation, alice)
    Message.objects.filter(author=alice).update(news=0)
    assert row(bob).unread == 0
    Message.objects.filter(author=alice).update(news=1, deleted_at=F("created_at"))
    assert row(bob).unread == 0


def test_it_looks_back_only_so_far(conversation: Conversation, both: tuple[User, User]) -> None:
    alice, bob = both
    Message.objects.bulk_create(
        Message(conversation=conversation, role="user", author=alice, text="x", news=number)
        for number in range(1, LOOKED_BACK + 101)
    )
    Conversation.objects.update(revision=LOOKED_BACK + 100)
    assert row(bob).unread == LOOKED_BACK


# --- What pages are told --------------------------------------------------------------------------


async def test_reading_in_one_tab_clears_the_row_in_the_other(
    conversation: Conversation, both: tuple[User, User], settings: Settings
) -> None:
    settings.READ_SECONDS = 0.1
    alice, bob = both
    cookie = await db(session_of, bob)
    async with Viewer(cookie) as one, Viewer(cookie) as other:
        await one.watch(conversation)
        await ask(conversation, alice)
        told = await other.next("row")
        assert 'class="unread">1' in told["html"]
        await one.send({"t": "read", "n": (await one.next("added"))["rev"]})
        told = await other.next("row", 2)
        assert "unread" not in told["html"]
        assert told["top"] is False
    assert (await db(row, bob)).unread == 0


async def test_each_is_told_their_own_number(
    conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    cookies = await db(session_of, alice), await db(session_of, bob)
    async with Viewer(cookies[0]) as mine, Viewer(cookies[1]) as theirs:
        await ask(conversation, alice)
        assert 'class="unread">1' in (await theirs.next("row"))["html"]
        assert "unread" not in (await mine.next("row"))["html"]


async def test_what_is_read_of_a_conversation_that_is_not_watched_is_dropped(
    conversation: Conversation, alice: User, charlie: User, settings: Settings
) -> None:
    settings.READ_SECONDS = 0.05
    await ask(conversation, alice)
    async with Viewer(await db(session_of, charlie)) as viewer:
        await viewer.send({"t": "read", "n": 1})
        await asyncio.sleep(0.3)
        assert viewer.heard == []
    assert not await Participant.objects.exclude(read_revision=0).aexists()


async def test_many_words_of_reading_are_one_write(
    conversation: Conversation, both: tuple[User, User], settings: Settings
) -> None:
    settings.READ_SECONDS = 0.4
    await ask(conversation, both[0])
    until_now = await db(revision, conversation)
    reading = Reading()
    for number in range(until_now):
        for person in both:
            reading.note(person.public_id, conversation.public_id, number + 1)
    assert await Participant.objects.filter(read_revision=0).acount() == 2
    await asyncio.sleep(1)
    assert await Participant.objects.filter(read_revision=until_now).acount() == 2
    assert reading._up_to == {}


# --- Muted ----------------------------------------------------------------------------------------


def test_muting_is_for_oneself_and_can_be_taken_back(
    client: Client, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/c/{conversation.public_id}/mute/"
    assert client.post(address).status_code == 204
    assert (row(bob).is_muted, row(alice).is_muted) == (True, False)
    assert "data-muted" in client.get("/conversations/").content.decode()
    assert client.delete(address).status_code == 204
    assert row(bob).is_muted is False


# --- Notices --------------------------------------------------------------------------------------


async def test_who_asked_gets_word_of_the_end_unless_muted(
    relay: Relay,
    dictation: Dictation,
    conversation: Conversation,
    both: tuple[User, User],
) -> None:
    alice, bob = both
    cookies = await db(session_of, alice), await db(session_of, bob)
    async with Viewer(cookies[0]) as asked, Viewer(cookies[1]) as other:
        generation = await ask(conversation, alice)
        dictation.say("Because.")
        dictation.finish()
        await settled(generation)
        notice = await asked.next("notice")
        assert notice == {
            "t": "notice",
            "c": conversation.public_id,
            "title": conversation.title,
            "text": "Your answer is there.",
        }
        assert other.all("notice") == []


@pytest.mark.parametrize(
    ("muted", "stopped", "told"),
    [(False, False, ["Your answer broke off."]), (True, False, []), (False, True, [])],
)
def test_a_muted_conversation_and_a_stopped_answer_tell_nothing(
    conversation: Conversation,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    muted: bool,
    stopped: bool,
    told: list[str],
) -> None:
    say(conversation, alice)
    if muted:
        actions.attention.mute(conversation=conversation, person=alice, is_muted=True)
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "tell", heard.append)
    if stopped:
        actions.generations.stop(generation=conversation.generations.get(), actor=make("Bo"))
    else:
        give_up(conversation)
    assert [event.text for event in heard if isinstance(event, events.Notice)] == told
