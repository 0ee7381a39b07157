"""Answers that a test dictates word by word, while it looks at the page."""

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.upstream.answers import chunk, usage_chunk
from tests.upstream.scenarios import scenario
from tests.upstream.wire import HungUp, Request, Wire

SECONDS = 20


class Dictation:
    """What the upstream says, and when. Called by the test; played on the upstream's own loop."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()
        self.request: Any = None
        self.was_hung_up = False
        self._lines: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None

    def say(self, *pieces: str) -> None:
        for piece in pieces:
            self._put("say", piece)

    def finish(self, reason: str = "stop") -> None:
        self._put("finish", reason)
        self.wait_until_over()

    def die(self) -> None:
        """The connection is reset in the middle of the answer."""
        self._put("die", None)
        self.wait_until_over()

    def wait_until_asked(self) -> None:
        assert self.asked.wait(SECONDS), "the upstream was not asked"

    def wait_until_over(self) -> None:
        assert self.over.wait(SECONDS), "the upstream's connection is still open"

    def _put(self, verb: str, value: Any) -> None:
        self.wait_until_asked()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._lines.put_nowait, (verb, value))

    async def play(self, wire: Wire, request: Request) -> None:
        self.request = request.json
        self._loop = asyncio.get_running_loop()
        self.asked.set()
        try:
            await wire.head()
            await self._speak(wire)
        finally:
            self.over.set()

    async def _speak(self, wire: Wire) -> None:
        gone = asyncio.ensure_future(wire.reader.read(1))
        try:
            while True:
                line = asyncio.ensure_future(self._lines.get())
                await asyncio.wait({gone, line}, return_when=asyncio.FIRST_COMPLETED)
                if not line.done():
                    line.cancel()
                    self.was_hung_up = True
                    raise HungUp
                if await self._did_end(wire, *line.result()):
                    return
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await gone

    async def _did_end(self, wire: Wire, verb: str, value: Any) -> bool:
        if verb == "say":
            await wire.event(chunk(value))
            return False
        if verb == "die":
            await wire.reset()
        await wire.event(chunk(finish=value))
        await wire.event(usage_chunk(prompt=25, completion=150))
        await wire.done()
        await wire.end()
        return True


Dictate = Callable[[], Dictation]


@scenario()
async def by_a_test(wire: Wire, request: Request, *, dictation: Dictation) -> None:
    """What a test says, when it says it."""
    await dictation.play(wire, request)


@scenario()
async def recited(wire: Wire, request: Request, *, text: str, seed: int = 0) -> None:
    """`text` in pieces of 1 to 60 characters, some 30 pieces a second."""
    sizes = random.Random(seed)
    await wire.head()
    while text:
        size = sizes.randint(1, 60)
        await wire.event(chunk(text[:size]))
        text = text[size:]
        await asyncio.sleep(1 / 30)
    await wire.event(chunk(finish="stop"))
    await wire.done()
    await wire.end()


@scenario()
async def complaining(wire: Wire, request: Request, *, message: str) -> None:
    """400 with a message of the server's own."""
    await wire.error(400, message)
