"""Between processes: what is told here travels once to each other process that listens to it.

A channel layer may lose anything, silently. So nothing here is trusted to arrive: frames carry
their position, pages are told how far the tables are, and a process that does not hear its own
beat knows that it is cut off, joins everything anew and says so when it is back.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from chatweb import layers
from conversations.events.types import PROCESS, Envelope, process_of, process_topic

log = logging.getLogger(__name__)

_OWN = process_topic(PROCESS)

Hear = Callable[[Envelope], Awaitable[None]]
Returned = Callable[[], Awaitable[None]]


class CutOff(Exception):
    """Our own beat does not come back."""


class Exchange:
    """One process's end of the channel layer. Everything belongs to the event loop.

    One Channels channel receives for the whole process; topics are groups that it joins. One task
    sends, one message after the other, so that the order of an answer's frames is kept.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channel = ""
        self._topics: set[str] = {_OWN}
        self._changed: set[str] = set()
        self._following = asyncio.Lock()
        self._outbox: deque[Envelope] = deque()
        self._filled = asyncio.Event()
        self._sent = asyncio.Event()
        self._broken = asyncio.Event()
        self._heard = time.monotonic()
        self._beats_heard = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_up = False
        self.dropped = 0

    @property
    def age(self) -> float:
        """Seconds since this process last heard its own beat."""
        return time.monotonic() - self._heard

    async def run(self, hear: Hear, returned: Returned) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._stay(hear, returned)
            except (RedisError, OSError, CutOff) as error:
                log.warning("the channel layer is away: %s", error or type(error).__name__)
            finally:
                self.is_up = False
                self._channel = ""
                await self._hang_up()
            await asyncio.sleep(settings.EXCHANGE_BEAT_SECONDS)

    async def _stay(self, hear: Hear, returned: Returned) -> None:
        """Joins all topics and goes on until something breaks, which it raises."""
        # Frames are stale, and whoever waited has noticed; a row that is missing nobody would.
        self._outbox = deque(envelope for envelope in self._outbox if not envelope.skippable)
        self._filled.set()
        self._beats_heard = 0
        self._broken.clear()
        async with asyncio.timeout(settings.EXCHANGE_SILENCE_SECONDS):
            self._channel = await self._layer.new_channel()
            self._changed = set(self._topics)
            await self._follow()
        jobs = [
            asyncio.ensure_future(job)
            for job in (
                self._receive(hear, returned),
                self._send(),
                self._beat(),
                self._notice_break(),
            )
        ]
        try:
            done, _others = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            self.is_up = False
            for job in done:
                job.result()
        finally:
            if self.is_up:  # ended, not broken: what was said last still goes out
                with suppress(TimeoutError):
                    async with asyncio.timeout(settings.REDIS_TIMEOUT):
                        await self._sent.wait()
            self._channel = ""  # the layer forgets it with whoever receives
            await _end(jobs)

    async def _hang_up(self) -> None:
        try:
            async with asyncio.timeout(settings.EXCHANGE_SILENCE_SECONDS):
                await self._layer.flush()
        except (RedisError, OSError) as error:
            log.warning("the channel layer's connections did not close: %s", error)

    # --- What the hub does ---

    def publish(self, envelope: Envelope) -> None:
        """Never waits and never fails. What finds no room is lost, which its listeners notice."""
        if envelope.skippable and not self.is_up:
            return
        if len(self._outbox) >= settings.EXCHANGE_OUTBOX:
            self.dropped += 1
            return
        self._outbox.append(envelope)
        self._sent.clear()
        self._filled.set()

    async def subscribe(self, topic: str) -> None:
        """Returns when the topic is joined; cut off, at once, since returning joins them all."""
        self._topics.add(topic)
        self._changed.add(topic)
        await self._follow_or_break()

    def unsubscribe(self, topic: str) -> None:
        self._topics.discard(topic)
        self._changed.add(topic)
        task = asyncio.ensure_future(self._follow_or_break())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow_or_break(self) -> None:
        if not self._channel or self._broken.is_set():
            return
        try:
            async with asyncio.timeout(settings.EXCHANGE_SILENCE_SECONDS):
                await self._follow()
        except (RedisError, OSError):  # a TimeoutError is an OSError
            self._broken.set()

    async def _follow(self) -> None:
        """One after the other, or a topic that is left and joined again could end up left."""
        async with self._following:
            while self._changed and self._channel:
                topic = self._changed.pop()
                try:
                    if topic in self._topics:
                        await self._layer.group_add(topic, self._channel)
                    else:
                        await self._layer.group_discard(topic, self._channel)
                except BaseException:  # it may be others who wait for it
                    self._changed.add(topic)
                    raise

    # --- Jobs ---

    async def _receive(self, hear: Hear, returned: Returned) -> None:
        while True:
            try:
                message = await self._layer.receive(self._channel)
            except ValueError:  # not packed as we do
                log.warning("what is no message was passed over", exc_info=True)
                continue
            if not isinstance(message, dict) or message.get("from") != PROCESS:
                await self._open(message, hear)
            elif message.get("type") == "beat":
                await self._own_beat(message.get("number"), returned)

    async def _own_beat(self, number: object, returned: Returned) -> None:
        """Raises CutOff when one before it is missing: whatever came with that is missing too."""
        self._heard = time.monotonic()
        self._beats_heard += 1
        if number != self._beats_heard:
            raise CutOff("own beats were lost")
        if not self.is_up:
            self.is_up = True
            log.info("the channel layer is there")
            await returned()

    async def _open(self, message: Any, hear: Hear) -> None:
        try:
            envelope = Envelope.unpacked(message)
        except (KeyError, TypeError, ValueError):
            log.warning("another version's message was not understood", exc_info=True)
            return
        await hear(envelope)

    async def _send(self) -> None:
        while True:
            while self._outbox:
                envelope = self._outbox[0]
                process = process_of(envelope.topic)
                await self._layer.group_send(
                    process_topic(process) if process else envelope.topic,
                    {"type": "event", "from": PROCESS, **envelope.packed()},
                )
                self._outbox.popleft()  # only now: what broke off is sent again
            self._sent.set()
            self._filled.clear()
            await self._filled.wait()

    async def _beat(self) -> None:
        began, connections = time.monotonic(), 0
        for number in count(1):
            beat = {"type": "beat", "from": PROCESS, "number": number}
            await self._layer.group_send(_OWN, beat)
            # Redis' client connects again by itself, and says nothing of it.
            connections = connections or layers.connections.made
            await asyncio.sleep(settings.EXCHANGE_BEAT_SECONDS)
            if layers.connections.made > connections:
                raise CutOff("a connection was made anew: what came meanwhile is lost")
            silence = time.monotonic() - max(began, self._heard)
            if silence > settings.EXCHANGE_SILENCE_SECONDS:
                raise CutOff(f"own beat unheard for {silence:.1f} s")

    async def _notice_break(self) -> None:
        await self._broken.wait()
        raise CutOff("joining a topic failed")


async def _end(jobs: list["asyncio.Task[None]"]) -> None:
    """Again and again: Redis' client swallows a cancellation that comes as it times out."""
    while pending := [job for job in jobs if not job.done()]:
        for job in pending:
            job.cancel()
        await asyncio.wait(pending, timeout=settings.EXCHANGE_BEAT_SECONDS)
    # Of several that broke at once the first is told; asyncio would log the others.
    await asyncio.gather(*jobs, return_exceptions=True)
