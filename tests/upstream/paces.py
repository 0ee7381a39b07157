"""Scenarios: good answers at a pace, for hand trials and for measuring."""

import time

from .answers import Pace, chunk, usage_chunk
from .scenarios import scenario
from .wire import Request, Wire


@scenario()
async def slow(wire: Wire, request: Request, *, tokens: int = 50, rate: float = 5.0) -> None:
    """`tokens` words at `rate` a second."""
    await wire.head()
    pace = Pace(rate)
    for number in range(int(tokens)):
        await wire.event(chunk(f"word{number + 1} "))
        await pace.wait()
    await _end(wire, int(tokens))


@scenario()
async def benchmark(
    wire: Wire, request: Request, *, tokens: int = 100, rate: float = 50.0, text: str = "{ns} "
) -> None:
    """`tokens` at `rate` a second; `{ns}` in `text` is the monotonic time of writing in ns."""
    await wire.head()
    pace = Pace(rate)
    for _ in range(int(tokens)):
        now = time.monotonic_ns()
        await wire.event({**chunk(text.replace("{ns}", str(now))), "written_ns": now})
        await pace.wait()
    await _end(wire, int(tokens))


@scenario()
async def long(wire: Wire, request: Request, *, kilobytes: int = 30, rate: float = 200.0) -> None:
    """A long answer that is one fenced file."""
    await wire.head()
    pace = Pace(rate)
    await wire.event(chunk("```python\n"))
    lines = int(kilobytes) * 1024 // 32
    for number in range(lines):
        await wire.event(chunk(f"value_{number:05} = compute({number:05})\n"))
        await pace.wait()
    await wire.event(chunk("```\n"))
    await _end(wire, lines + 2)


async def _end(wire: Wire, tokens: int) -> None:
    await wire.event(chunk(finish="stop"))
    await wire.event(usage_chunk(prompt=25, completion=tokens))
    await wire.done()
    await wire.end()
