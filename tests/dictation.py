"""An answer that a test dictates: what the upstream says next, and when it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.upstream.answers import chunk, usage_chunk
from tests.upstream.scenarios import scenario
from tests.upstream.wire import HungUp, Request, Wire

Step = Callable[[Wire], Awaitable[None]]


class Dictation:
    """Steps that the scripted upstream plays in order. `left` is set when the portal hangs up."""

    def __init__(self) -> None:
        self.steps: asyncio.Queue[Step] = asyncio.Queue()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    def event(self, value: Any) -> None:
        self.steps.put_nowait(lambda wire: wire.event(value))

    def say(self, *words: str) -> None:
        for word in words:
            self.event(chunk(word))

    def finish(self, reason: str | None = "stop", *, tokens: int | None = None) -> None:
        if reason is not None:
            self.event(chunk(finish=reason))
        if tokens is not None:
            self.event(usage_chunk(prompt=25, completion=tokens))
        self.steps.put_nowait(_end)

    def cut(self) -> None:
        self.steps.put_nowait(lambda wire: wire.cut())


async def _end(wire: Wire) -> None:
    await wire.done()
    await wire.cut()


@scenario()
async def dictated(wire: Wire, request: Request, *, by: Dictation) -> None:
    """What a test says, when it says it."""
    by.asked.set()
    await wire.head()
    leaving = asyncio.ensure_future(wire.reader.read(1))
    try:
        while True:
            step = asyncio.ensure_future(by.steps.get())
            await asyncio.wait({step, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                step.cancel()
                by.left.set()
                raise HungUp
            await step.result()(wire)
    finally:
        leaving.cancel()
