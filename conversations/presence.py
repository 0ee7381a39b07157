"""Who is here and who is typing, in each conversation that somebody of this process watches.

Nothing is written to any table: it is known from the sockets here, and from what other processes
tell of theirs at changes and every few seconds. A process that falls silent is forgotten, and so is
a page that acknowledges nothing. A tab that is hidden is not here; two tabs of a person are one.

What is told to sockets is the whole state, so that a message which was skipped needs no successor:
whoever has caught up is greeted anew.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field

from django.conf import settings

from conversations import events, fragments
from conversations.events import Attendance, Hub, Mailbox, Person, conversation_topic

log = logging.getLogger(__name__)

ROUND = 1.0  # seconds between two looks at everybody, and at least between two changes of a room
LONGEST_PAUSE = 4.0  # however many are in it: within 15 s of a lost connection nobody is shown
FORGOTTEN_AFTER = 3  # times the interval
ALONE = 4  # times the interval: nobody else waits for the word of who has a room for itself
TYPING_TOLD = 4  # more than are named even to one of them


@dataclass(frozen=True, slots=True)
class Gathering:
    """Sorted by name, each person once."""

    people: tuple[Person, ...] = ()
    typing: tuple[Person, ...] = ()


@dataclass(slots=True)
class Room:
    """A conversation as this process knows it. Moments are by time.monotonic()."""

    typing: dict[str, tuple[Person, float]] = field(default_factory=dict)  # here, until when
    others: dict[str, tuple[Gathering, float]] = field(default_factory=dict)  # process → when heard
    told: Gathering = Gathering()
    told_at: float = 0.0
    shown: Gathering = Gathering()
    looked_at: float = 0.0


class Presence:
    """One for a process. Everything belongs to the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rooms: dict[str, Room] = {}
        self._touched: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- What consumers say ---

    async def greet(self, mailbox: Mailbox, conversation: str) -> None:
        """A page watches the conversation, or may have missed something: it is shown who is here
        as far as all others have been, and they will be shown this one."""
        self.touch(conversation)
        room = self._rooms[conversation]
        if room.shown.people:
            await mailbox.put(_here(conversation, room.shown.people), skippable=True)
            await mailbox.put(_typing(conversation, room.shown, mailbox.user), skippable=True)

    def typing(self, mailbox: Mailbox, conversation: str, *, goes_on: bool) -> None:
        """The caller has asked whether this person may write there."""
        self.touch(conversation)
        typing = self._rooms[conversation].typing
        if goes_on and mailbox.person is not None:
            typing[mailbox.user] = (mailbox.person, time.monotonic() + settings.TYPING_SECONDS)
        else:
            typing.pop(mailbox.user, None)

    def touch(self, conversation: str) -> None:
        """Somebody came, left or looked away."""
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._begin()
        self._rooms.setdefault(conversation, Room())
        self._touched.add(conversation)
        self._wake.set()

    # --- What other processes tell ---

    def hear(self, event: Attendance) -> None:
        room = self._rooms.get(event.conversation)
        if room is None:
            return
        if event.process not in room.others:
            room.told_at = 0.0  # it knows as little of us
        theirs = Gathering(_sorted(event.people), _sorted(event.typing))
        room.others[event.process] = (theirs, time.monotonic())
        self.touch(event.conversation)

    def returned(self) -> None:
        """The channel layer was away: the others may have forgotten us."""
        for room in self._rooms.values():
            room.told_at = 0.0

    # --- What follows from it ---

    def _begin(self) -> None:
        self._rooms.clear()
        self._touched.clear()
        self._wake = asyncio.Event()
        self._hub.listen_for_people(self)
        # In a context of its own: it is nobody's request, though somebody's socket begins it.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self._task.add_done_callback(_log_failure)

    async def _run(self) -> None:
        next_round = time.monotonic()
        while self._rooms:
            names: Iterable[str] = self._touched
            if time.monotonic() >= next_round:
                next_round = time.monotonic() + ROUND
                names = tuple(self._rooms)
            self._touched = set()
            for name in names:
                await self._look_into(name)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, next_round - time.monotonic())):
                    await self._wake.wait()
            self._wake.clear()

    async def _look_into(self, name: str) -> None:
        room = self._rooms[name]
        mailboxes = self._hub.mailboxes(conversation_topic(name))
        now = time.monotonic()
        crowded = len(mailboxes) / settings.PRESENCE_MESSAGES_PER_SECOND
        if now - room.looked_at < min(max(ROUND, crowded), LONGEST_PAUSE):
            return  # the next round comes by
        room.looked_at = now
        own = _own(room, mailboxes, now)
        self._tell(name, room, own, now)
        if not mailboxes:
            del self._rooms[name]
            return
        here = _together(own, room, now)
        before, room.shown = room.shown, here
        if here.people != before.people:
            await self._hub.put(mailboxes, _here(name, here.people), skippable=True)
        if here.typing != before.typing:
            await self._show_typing(name, here, mailboxes)

    def _tell(self, name: str, room: Room, own: Gathering, now: float) -> None:
        pause = settings.PRESENCE_SECONDS * (1 if room.others else ALONE)
        if own == room.told and now - room.told_at < pause:
            return
        room.told, room.told_at = own, now
        self._hub.tell_processes(Attendance(name, events.PROCESS, own.people, own.typing))

    async def _show_typing(self, name: str, here: Gathering, mailboxes: set[Mailbox]) -> None:
        """Nobody is told of themselves."""
        authors = {person.public_id for person in here.typing}
        reading = [mailbox for mailbox in mailboxes if mailbox.user not in authors]
        await self._hub.put(reading, _typing(name, here, ""), skippable=True)
        for mailbox in mailboxes.difference(reading):
            await self._hub.put([mailbox], _typing(name, here, mailbox.user), skippable=True)


def _own(room: Room, mailboxes: Iterable[Mailbox], now: float) -> Gathering:
    """Those of this process whose page is seen and answers."""
    # An answering page acknowledges each tick within a second.
    patience = FORGOTTEN_AFTER * max(settings.PRESENCE_SECONDS, settings.TICK_SECONDS)
    here = {
        mailbox.person
        for mailbox in mailboxes
        if mailbox.person is not None and mailbox.is_seen and now - mailbox.heard < patience
    }
    ids = {person.public_id for person in here}
    room.typing = {
        user: (person, until)
        for user, (person, until) in room.typing.items()
        if now < until and user in ids
    }
    typing = sorted(person for person, _until in room.typing.values())
    people = sorted(here)[: settings.PRESENCE_PEOPLE]
    return Gathering(tuple(people), tuple(typing[:TYPING_TOLD]))


def _together(own: Gathering, room: Room, now: float) -> Gathering:
    patience = FORGOTTEN_AFTER * settings.PRESENCE_SECONDS
    room.others = {
        process: (theirs, heard)
        for process, (theirs, heard) in room.others.items()
        if theirs.people and now - heard < patience
    }
    all_ = [own, *(theirs for theirs, _heard in room.others.values())]
    return Gathering(
        _sorted(person for gathering in all_ for person in gathering.people),
        _sorted(person for gathering in all_ for person in gathering.typing),
    )


def _sorted(people: Iterable[Person]) -> tuple[Person, ...]:
    """Each once, though processes may know them by different names."""
    return tuple(sorted({person.public_id: person for person in people}.values()))


def _here(conversation: str, people: tuple[Person, ...]) -> str:
    listed = [person.public_id for person in people[: settings.PRESENCE_LISTED]]
    html = fragments.here(people) if len(people) > 1 else ""
    return events.wire("here", c=conversation, p=listed, n=len(people), html=html)


def _typing(conversation: str, here: Gathering, reader: str) -> str:
    names = [person.name for person in here.typing if person.public_id != reader]
    return events.wire("typing", c=conversation, text=fragments.typing(names))


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("presence broke off", exc_info=error)


presence = Presence(events.hub)
