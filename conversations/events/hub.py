"""Who listens to what in this process."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from channels.layers import get_channel_layer
from django.db import transaction

from conversations.events.mailbox import Mailbox
from conversations.events.types import (
    PROCESS,
    RELAY,
    Attendance,
    Envelope,
    Event,
    Missed,
    RelayEvent,
    process_of,
    user_topic,
)

if TYPE_CHECKING:
    from conversations.events.exchange import Exchange

log = logging.getLogger(__name__)

RelayListener = Callable[[RelayEvent], Awaitable[None]]


class People(Protocol):
    """Who is where; see conversations.presence."""

    def hear(self, event: Attendance) -> None: ...
    def returned(self) -> None: ...


class Hub:
    """The listeners of one process. All methods but `tell` belong to its event loop.

    With an exchange, other processes have listeners too: an event is handed to those here and then
    travels once to each process that has joined its topic.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mailboxes: dict[str, set[Mailbox]] = {}
        self.sockets: set[Mailbox] = set()
        self.exchange: Exchange | None = None
        self._relay: RelayListener | None = None
        self._people: People | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # When something was last told of a topic that is listened to, by time.monotonic().
        self._heard: dict[str, float] = {}

    async def run(self) -> None:
        """Joins the other processes, if the settings say that there are any. Until cancelled."""
        self._loop = asyncio.get_running_loop()
        layer = get_channel_layer()
        if layer is None:
            await asyncio.Event().wait()
        from conversations.events.exchange import Exchange  # with redis: only where it is used

        self.exchange = Exchange(layer)
        for topic in self._mailboxes:
            if not process_of(topic):
                await self.exchange.subscribe(topic)
        if self._relay is not None:
            await self.exchange.subscribe(RELAY)
        try:
            await self.exchange.run(self._hear, self._returned)
        finally:
            self.exchange = None

    async def open(self, mailbox: Mailbox) -> None:
        """A socket opened: it hears what concerns its person, and what is for it alone."""
        self.sockets.add(mailbox)
        await self.join(mailbox.topic, mailbox)
        await self.join(user_topic(mailbox.user), mailbox)

    def shut(self, mailbox: Mailbox) -> None:
        self.sockets.discard(mailbox)
        for topic in [topic for topic, all_ in self._mailboxes.items() if mailbox in all_]:
            self.leave(topic, mailbox)

    async def join(self, topic: str, mailbox: Mailbox) -> None:
        """Returns when the mailbox hears of the topic whichever process tells, or when the
        channel layer has been silent for so long that it will have to catch up later."""
        self._loop = asyncio.get_running_loop()
        self._mailboxes.setdefault(topic, set()).add(mailbox)
        self._heard.setdefault(topic, time.monotonic())
        if self.exchange is not None and not process_of(topic):
            await self.exchange.subscribe(topic)

    def leave(self, topic: str, mailbox: Mailbox) -> None:
        listeners = self._mailboxes.get(topic, set())
        listeners.discard(mailbox)
        if not listeners and self._mailboxes.pop(topic, None) is not None:
            self._heard.pop(topic, None)
            if self.exchange is not None and not process_of(topic):
                self.exchange.unsubscribe(topic)

    async def listen_as_relay(self, listener: RelayListener | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._relay = listener
        if self.exchange is not None and listener is not None:
            await self.exchange.subscribe(RELAY)

    def listen_for_people(self, people: People) -> None:
        """Who is told what other processes know of the conversations that are watched here."""
        self._people = people

    def tell_processes(self, event: Attendance) -> None:
        """The other ones, as far as they listen to its topic."""
        if self.exchange is not None:
            self.exchange.publish(Envelope.around(event))

    def mailboxes(self, topic: str) -> set[Mailbox]:
        return self._mailboxes.get(topic, set())

    def topics(self, prefix: str) -> list[str]:
        return [topic for topic in self._mailboxes if topic.startswith(prefix)]

    def heard(self, topic: str) -> float:
        """Seconds since a relay, or whoever else, told something of this topic; 0 for one that
        nobody listens to, as when its last listener has just left."""
        now = time.monotonic()
        return now - self._heard.get(topic, now)

    async def deliver(self, event: Event) -> None:
        """To all who listen, wherever. Returns when those here have been handed it; those in other
        processes never keep it waiting."""
        process = process_of(event.topic)
        here = process in {"", PROCESS}
        away = self.exchange if process != PROCESS else None
        if isinstance(event, RelayEvent):
            if away is not None:
                away.publish(Envelope.around(event))
            if self._relay is not None:
                await self._relay(event)
            return
        if away is None and event.topic not in self._mailboxes:
            return
        envelope = Envelope.around(event)  # encoded once for all
        if away is not None:
            away.publish(envelope)
        if here:
            await self._arrived(envelope)

    async def _arrived(self, envelope: Envelope) -> None:
        if envelope.topic in self._mailboxes:
            self._heard[envelope.topic] = time.monotonic()
            await self.deliver_here(envelope)

    async def deliver_here(self, envelope: Envelope) -> None:
        listeners = self._mailboxes.get(envelope.topic, ())
        await self.put(listeners, envelope.wire, skippable=envelope.skippable)

    async def put(self, mailboxes: Iterable[Mailbox], wire: str, *, skippable: bool) -> None:
        # A copy: a socket may close while another is being written to.
        for mailbox in tuple(mailboxes):
            try:
                await mailbox.put(wire, skippable=skippable)
            except Exception:
                # One broken socket is no other viewer's concern, nor the answer's.
                log.warning("a socket could not be written to", exc_info=True)

    async def _hear(self, envelope: Envelope) -> None:
        """What another process told."""
        if envelope.event is None:
            await self._arrived(envelope)
        elif isinstance(envelope.event, Attendance):
            if self._people is not None:
                self._people.hear(envelope.event)
        elif self._relay is not None:
            await self._relay(envelope.event)

    async def _returned(self) -> None:
        """The channel layer was away: whatever was told meanwhile is not known here."""
        if self._people is not None:
            self._people.returned()
        await self.put(self.sockets, Missed().wire(), skippable=False)

    def tell(self, event: Event) -> None:
        """From any thread. An event that nobody listens to costs nothing."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(self._spawn, event)

    def _spawn(self, event: Event) -> None:
        task = asyncio.ensure_future(self.deliver(event))
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)


hub = Hub()


def tell(event: Event) -> None:
    hub.tell(event)


def on_commit(event: Event) -> None:
    # Robust: what is committed stays so, and is never reported as failed for the telling's sake.
    transaction.on_commit(lambda: hub.tell(event), robust=True)
