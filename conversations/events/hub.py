"""Who listens to what in this process, and the bounded mailbox in front of each socket."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol

from django.db import transaction

from conversations.events.types import RELAY, Event, RelayEvent, SocketEvent, user_topic

log = logging.getLogger(__name__)
_serial = count(1)


class Connection(Protocol):
    """The socket behind a mailbox."""

    async def write(self, wire: str) -> None: ...
    async def hang_up(self, code: int) -> None: ...
    async def catch_up(self) -> None: ...
    async def reauthorise(self) -> None: ...


class Mailbox:
    """Stands between events and one socket.

    A page acknowledges how many messages it has received. While more than `frames` messages or
    `size` characters are on their way, it is behind: whatever may be skipped is, and when it has
    caught up the connection asks for keyframes. What may not be skipped is still sent, up to twice
    the limit; after that the mailbox counts as overflowing and its socket is to be closed.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        user: str,
        session_hash: str,
        frames: int,
        size: int,
        lasts: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topic = f"mailbox:{next(_serial)}"
        self.connection = connection
        self.user = user
        self.session_hash = session_hash
        self.overflowing = False
        self.behind_since: float | None = None
        self._frames = frames
        self._size = size
        self._clock = clock
        self._until = clock() + lasts
        self._on_their_way: deque[int] = deque()
        self._unacknowledged = 0
        self._acknowledged = 0

    async def put(self, wire: str, *, skippable: bool) -> None:
        if self._is_full(1):
            if self.behind_since is None:
                self.behind_since = self._clock()
            if skippable:
                return
            if self._is_full(2):
                self.overflowing = True
                return
        self._on_their_way.append(len(wire))
        self._unacknowledged += len(wire)
        await self.connection.write(wire)

    async def acknowledge(self, received: int) -> None:
        """`received` counts all messages of this socket. One that was never sent is ignored."""
        while self._acknowledged < received and self._on_their_way:
            self._unacknowledged -= self._on_their_way.popleft()
            self._acknowledged += 1
        if self.behind_since is not None and not self._is_full(0.5):
            self.behind_since = None
            await self.connection.catch_up()

    @property
    def is_over(self) -> bool:
        """The session, which was to last for `lasts` seconds more, has ended by itself."""
        return self._clock() >= self._until

    def behind_for(self) -> float:
        """Seconds, 0 when it keeps up."""
        return 0.0 if self.behind_since is None else self._clock() - self.behind_since

    def _is_full(self, times: float) -> bool:
        return (
            len(self._on_their_way) >= self._frames * times
            or self._unacknowledged >= self._size * times
        )


RelayListener = Callable[[RelayEvent], Awaitable[None]]


class Hub:
    """The listeners of one process. All methods but `tell` belong to its event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mailboxes: dict[str, set[Mailbox]] = {}
        self.sockets: set[Mailbox] = set()
        self._relay: RelayListener | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, mailbox: Mailbox) -> None:
        """A socket opened: it hears what concerns its person, and what is for it alone."""
        self.sockets.add(mailbox)
        self.join(mailbox.topic, mailbox)
        self.join(user_topic(mailbox.user), mailbox)

    def shut(self, mailbox: Mailbox) -> None:
        self.sockets.discard(mailbox)
        for topic in [topic for topic, all_ in self._mailboxes.items() if mailbox in all_]:
            self.leave(topic, mailbox)

    def join(self, topic: str, mailbox: Mailbox) -> None:
        self._loop = asyncio.get_running_loop()
        self._mailboxes.setdefault(topic, set()).add(mailbox)

    def leave(self, topic: str, mailbox: Mailbox) -> None:
        listeners = self._mailboxes.get(topic, set())
        listeners.discard(mailbox)
        if not listeners:
            self._mailboxes.pop(topic, None)

    def listen_as_relay(self, listener: RelayListener | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._relay = listener

    def mailboxes(self, topic: str) -> set[Mailbox]:
        return self._mailboxes.get(topic, set())

    def topics(self, prefix: str) -> list[str]:
        return [topic for topic in self._mailboxes if topic.startswith(prefix)]

    async def deliver(self, event: Event) -> None:
        if event.topic == RELAY:
            if self._relay is not None:
                await self._relay(event)  # type: ignore[arg-type]  # the topic says which kind
            return
        await self._deliver_to_sockets(event)  # type: ignore[arg-type]

    async def _deliver_to_sockets(self, event: SocketEvent) -> None:
        listeners = self._mailboxes.get(event.topic)
        if not listeners:
            return
        wire = event.wire()
        # A copy: a socket may close while another is being written to.
        for mailbox in tuple(listeners):
            try:
                await mailbox.put(wire, skippable=event.skippable)
            except Exception:
                # One broken socket is no other viewer's concern, nor the answer's.
                log.warning("a socket could not be written to", exc_info=True)

    def tell(self, event: Event) -> None:
        """From any thread. An event that nobody here listens to costs nothing."""
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
