"""The bounded mailbox in front of each socket."""

import math
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from conversations.counts import counts
from conversations.events.types import PROCESS, Person, mailbox_topic

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
        person: Person | None = None,
        lasts: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topic = mailbox_topic(PROCESS, next(_serial))
        self.connection = connection
        self.user = user
        self.session_hash = session_hash
        self.person = person  # as the others in a conversation see who this is
        self.is_seen = True  # False while the page's tab is hidden
        self.heard = clock()  # when the page last said something
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
                counts.skipped += 1
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
