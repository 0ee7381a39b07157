"""`python -m tests.bench.upstream`: the scripted upstream, with one more scenario."""

import asyncio
import time

import uvloop

from tests.upstream import ScriptedUpstream
from tests.upstream.answers import Pace, chunk, usage_chunk
from tests.upstream.scenarios import scenario
from tests.upstream.wire import Request, Wire

from .answer import TICK_NS, gap, word


@scenario()
async def stamped(wire: Wire, request: Request, *, tokens: int = 100, rate: float = 50.0) -> None:
    """`tokens` words at `rate` a second, the first at once; each says when it was written."""
    await wire.head()
    pace = Pace(rate)
    last = 0
    for number in range(tokens):
        # Words that were late come in one go, and still each has a tick of its own.
        last = max(last + 1, time.monotonic_ns() // TICK_NS)
        await wire.event(chunk(gap(number) + word(last)))
        await pace.wait()
    await wire.event(chunk(finish="stop"))
    await wire.event(usage_chunk(prompt=25, completion=tokens))
    await wire.done()
    await wire.end()


async def main() -> None:
    async with ScriptedUpstream() as upstream:
        print(f"upstream {upstream.base_url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
