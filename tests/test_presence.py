"""Who is here and who is typing: told to all in a conversation, kept in no table."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from conversations import events, fragments
from conversations.events import Attendance, Envelope, Person
from conversations.models import Conversation, Participant, RightsChange, Role, User
from conversations.presence import Presence
from tests.hubs import Heard, mailbox
from tests.relays import db
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.presence.ROUND", 0.2)


@pytest.fixture
def both(conversation: Conversation, alice: User, bob: User) -> tuple[User, User]:
    """Alice and Bob, who may both write."""
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return alice, bob


@pytest.fixture
async def page(conversation: Conversation) -> AsyncIterator[Callable[[User], Any]]:
    """Opens a page of somebody's that watches the conversation."""
    async with AsyncExitStack() as pages:

        async def page(person: User) -> Viewer:
            cookie = await db(session_of, person)
            viewer = await pages.enter_async_context(Viewer(cookie))
            return await viewer.watch(conversation)

        yield page


def here(viewer: Viewer) -> set[str]:
    return set((viewer.all("here") or [{"p": []}])[-1]["p"])


def line(viewer: Viewer) -> str:
    text: str = (viewer.all("typing") or [{"text": ""}])[-1]["text"]
    return text


def ids(*people: User) -> set[str]:
    return {person.public_id for person in people}


# --- Who is here ----------------------------------------------------------------------------------


async def test_all_see_who_comes_and_who_leaves(page: Any, both: tuple[User, User]) -> None:
    alice, bob = both
    first = await page(alice)
    await until(lambda: here(first) == ids(alice))
    second = await page(bob)
    await until(lambda: here(first) == here(second) == ids(alice, bob))
    told = first.all("here")[-1]
    assert told["n"] == 2
    assert "Here now: Alice, Bob" in told["html"]
    await second.watch("")
    await until(lambda: here(first) == ids(alice))
    assert first.all("here")[-1]["html"] == ""  # nobody needs to be told of themselves


async def test_two_tabs_are_one_person_until_the_last_is_closed(
    page: Any, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    watching = await page(alice)
    one = await page(bob)
    await until(lambda: here(watching) == ids(alice, bob))
    before = len(watching.all("here"))
    other = await page(bob)
    await until(lambda: here(other) == ids(alice, bob))  # told at once, as all others see it
    await one.watch("")
    await asyncio.sleep(0.5)
    assert len(watching.all("here")) == before
    await other.watch("")
    await until(lambda: here(watching) == ids(alice))


async def test_a_hidden_tab_is_not_here(page: Any, both: tuple[User, User]) -> None:
    alice, bob = both
    watching, looking_away = await page(alice), await page(bob)
    await until(lambda: here(watching) == ids(alice, bob))
    await looking_away.send({"t": "look", "on": False})
    await until(lambda: here(watching) == ids(alice))
    await looking_away.send({"t": "look", "on": True})
    await until(lambda: here(watching) == ids(alice, bob))


async def test_a_page_that_answers_no_more_is_gone(
    page: Any, conversation: Conversation, both: tuple[User, User], settings: Settings
) -> None:
    settings.PRESENCE_SECONDS = 1
    alice, bob = both
    watching = await page(alice)
    async with Viewer(await db(session_of, bob), acknowledges=False) as lost:
        await lost.watch(conversation)
        await until(lambda: here(watching) == ids(alice, bob))
        await until(lambda: here(watching) == ids(alice), seconds=6)


async def test_a_removed_person_is_gone(
    page: Any, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    watching, removed = await page(alice), await page(bob)
    await until(lambda: here(watching) == ids(alice, bob))
    await db(Participant.objects.filter(user=bob).delete)
    await db(RightsChange.objects.create, user=bob, conversation=conversation)
    assert await removed.closed() == 4403
    await until(lambda: here(watching) == ids(alice))


async def test_charlie_is_shown_to_nobody_and_sees_nobody(
    page: Any, conversation: Conversation, alice: User, charlie: User
) -> None:
    watching = await page(alice)
    async with Viewer(await db(session_of, charlie)) as outside:
        await outside.send({"t": "look", "on": True})
        await outside.send({"t": "typing", "on": True})
        await outside.send({"t": "watch", "c": conversation.public_id})
        assert await outside.closed() == 4403
        await asyncio.sleep(0.5)
        assert outside.heard == []
    assert here(watching) == ids(alice)
    assert line(watching) == ""


async def test_whoever_has_caught_up_is_told_anew(
    page: Any, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    first = await page(alice)
    await page(bob)
    await until(lambda: here(first) == ids(alice, bob))
    before = len(first.all("here"))
    await first.send({"t": "keys"})
    await until(lambda: len(first.all("here")) > before)
    assert here(first) == ids(alice, bob)


# --- Who is typing --------------------------------------------------------------------------------


async def test_all_but_themselves_see_who_is_typing(
    page: Any, conversation: Conversation, both: tuple[User, User], rita: User
) -> None:
    alice, bob = both
    await db(Participant.objects.create, conversation=conversation, user=rita, role=Role.EDITOR)
    pages = [await page(person) for person in (alice, bob, rita)]
    await pages[1].send({"t": "typing", "on": True})
    await until(lambda: line(pages[0]) == line(pages[2]) == "Bob is typing…")
    await pages[2].send({"t": "typing", "on": True})
    await until(lambda: line(pages[0]) == "Bob and Rita are typing…")
    await until(lambda: line(pages[1]) == "Rita is typing…")
    assert line(pages[2]) == "Bob is typing…"
    await pages[1].send({"t": "typing", "on": False})
    await until(lambda: line(pages[0]) == "Rita is typing…")
    await pages[2].send({"t": "typing", "on": False})
    await until(lambda: line(pages[0]) == "")


async def test_typing_is_over_when_nothing_is_written_for_as_long_as_set(
    page: Any, both: tuple[User, User], settings: Settings
) -> None:
    settings.TYPING_SECONDS = 0.6
    watching, writing = await page(both[0]), await page(both[1])
    await writing.send({"t": "typing", "on": True})
    await until(lambda: line(watching) == "Bob is typing…")
    await until(lambda: line(watching) == "", seconds=4)


async def test_typing_is_over_when_the_page_is_gone(page: Any, both: tuple[User, User]) -> None:
    watching, writing = await page(both[0]), await page(both[1])
    await writing.send({"t": "typing", "on": True})
    await until(lambda: line(watching) == "Bob is typing…")
    writing.kill()
    await until(lambda: line(watching) == "", seconds=4)


async def test_a_viewers_typing_is_refused_and_shown_to_nobody(
    page: Any, conversation: Conversation, both: tuple[User, User]
) -> None:
    alice, bob = both
    participants = Participant.objects.filter(conversation=conversation, user=bob)
    watching, viewing = await page(alice), await page(bob)
    await viewing.send({"t": "typing", "on": True})
    await until(lambda: line(watching) == "Bob is typing…")
    await viewing.send({"t": "typing", "on": False})
    await until(lambda: line(watching) == "")
    await db(participants.update, role=Role.VIEWER)  # with his socket open
    told = len(watching.all("typing"))
    await viewing.send({"t": "typing", "on": True})
    await asyncio.sleep(0.5)
    assert len(watching.all("typing")) == told
    assert viewing.code is None  # what was pressed before the page knew is no offence


# --- What it costs --------------------------------------------------------------------------------


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the database from now on, in whichever thread."""
    asked: list[str] = []
    execute = CursorWrapper.execute

    def note(self: CursorWrapper, sql: str, *arguments: Any) -> Any:
        asked.append(sql)
        return execute(self, sql, *arguments)

    monkeypatch.setattr(CursorWrapper, "execute", note)
    return asked


async def test_being_there_asks_no_database_and_typing_only_reads(
    page: Any, both: tuple[User, User], settings: Settings, queries: list[str]
) -> None:
    settings.RIGHTS_CHECK_SECONDS = settings.TICK_SECONDS = 60
    watching, other = await page(both[0]), await page(both[1])
    await until(lambda: here(watching) == ids(*both))
    settings.TYPING_SECONDS = 60  # for as long as the twenty may take
    queries.clear()
    await other.send({"t": "look", "on": False})
    await until(lambda: here(watching) == ids(both[0]))
    assert queries == []
    await other.send({"t": "look", "on": True})
    for _ in range(20):
        await other.send({"t": "typing", "on": True})
    await until(lambda: line(watching) == "Bob is typing…")
    assert 1 <= len(queries) <= 4  # of the twenty one: session (two), person, right
    assert all(sql.startswith("SELECT") for sql in queries)


def attendance(*people: Person, typing: tuple[Person, ...] = (), process: str = "p") -> Attendance:
    return Attendance("c", process, people, typing)


def named(number: int) -> Person:
    return Person(f"Person {number:04}", f"id{number}", "P", 30)


@pytest.fixture
async def crowded(settings: Settings) -> tuple[events.Hub, Presence, list[Heard]]:
    """A conversation with 500 pages of 500 people, as one process has them."""
    hub = events.Hub()
    presence = Presence(hub)
    pages = []
    for number in range(500):
        heard = Heard()
        box = mailbox(heard, user=f"id{number}")
        box.person = named(number)
        await hub.join("conversation.c", box)
        presence.touch("c")
        await presence.greet(box, "c")
        pages.append(heard)
    return hub, presence, pages


async def test_in_a_crowded_room_changes_are_told_rarely_and_in_few_words(
    crowded: tuple[events.Hub, Presence, list[Heard]], settings: Settings
) -> None:
    settings.PRESENCE_MESSAGES_PER_SECOND = 250  # two seconds between two changes
    settings.PRESENCE_LISTED = 20
    hub, presence, pages = crowded
    boxes = sorted(hub.mailboxes("conversation.c"), key=lambda box: int(box.user[2:]))
    for number in range(30):  # three seconds of coming and going
        box = boxes[100 + number]
        box.is_seen = False
        presence.typing(box, "c", goes_on=number % 2 == 0)
        await asyncio.sleep(0.1)
    watching = pages[7].all("here")
    assert 1 <= len(watching) <= 3
    assert len(pages[7].all("typing")) <= 2
    assert len(watching[-1]["p"]) == 20
    assert 470 <= watching[-1]["n"] < 500
    assert f"+{watching[-1]['n'] - fragments.AVATARS}" in watching[-1]["html"]
    assert len(str(watching[-1])) < 4000


async def test_of_more_people_than_are_counted_the_number_stays_at_that(
    crowded: tuple[events.Hub, Presence, list[Heard]], settings: Settings
) -> None:
    settings.PRESENCE_PEOPLE = 300
    _hub, presence, pages = crowded
    presence.touch("c")
    await until(lambda: any(told["n"] == 300 for told in pages[0].all("here")))


# --- What other processes tell --------------------------------------------------------------------


async def test_people_of_another_process_are_here_until_it_falls_silent(
    settings: Settings,
) -> None:
    settings.PRESENCE_SECONDS = 0.5
    hub, heard = events.Hub(), Heard()
    presence = Presence(hub)
    box = mailbox(heard, user="id1")
    box.person = named(1)
    await hub.join("conversation.c", box)
    await presence.greet(box, "c")
    presence.hear(attendance(named(1), named(2), typing=(named(2),)))
    await until(lambda: bool(heard.all("here")) and heard.all("here")[-1]["p"] == ["id1", "id2"])
    await until(lambda: bool(heard.all("typing")))
    assert heard.all("typing")[-1]["text"] == "Person 0002 is typing…"
    box.heard += 60  # our own page answers
    await until(lambda: heard.all("here")[-1]["p"] == ["id1"], seconds=6)
    assert heard.all("typing")[-1]["text"] == ""


def test_what_is_told_between_processes_comes_out_as_it_was() -> None:
    event = attendance(named(1), Person("Zoë <b>", "x", "Z", 0), typing=(named(1),))
    packed = Envelope.around(event).packed()
    assert Envelope.unpacked(packed).event == event


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"conversation": "c", "process": "p", "people": "nonsense"},
        {"conversation": "c", "process": "p", "people": "[[],[],[]]"},
        {"conversation": "c", "process": "p", "people": '[[["name",7,"N",30]],[]]'},
        {"conversation": "c", "process": "p", "people": '[[["name"]],[]]'},
    ],
)
def test_what_no_process_of_ours_tells_is_an_error(fields: dict[str, str]) -> None:
    message = {"topic": "conversation.c", "kind": "Attendance", "fields": fields}
    with pytest.raises((KeyError, TypeError, ValueError)):
        Envelope.unpacked(message)


async def test_what_is_told_of_a_conversation_that_nobody_here_watches_is_dropped() -> None:
    presence = Presence(events.Hub())
    presence.hear(attendance(named(1)))
    assert presence._rooms == {}
