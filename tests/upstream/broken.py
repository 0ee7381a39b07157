"""Scenarios: silence and broken connections (rows 13, 34 and 36)."""

import asyncio

from .answers import chunk
from .framing import stream_bytes
from .scenarios import scenario
from .wire import Request, Wire


@scenario(34)
async def silent(wire: Wire, request: Request) -> None:
    """Headers, then nothing."""
    await wire.head()
    await wire.until_gone()


@scenario(34)
async def mute(wire: Wire, request: Request) -> None:
    """Not even headers."""
    await wire.until_gone()


@scenario(34)
async def stall_midway(wire: Wire, request: Request) -> None:
    """Some text, then nothing, with the connection open."""
    await wire.head()
    await wire.event(chunk("Half an answer"))
    await wire.until_gone()


@scenario(34)
async def trickle(wire: Wire, request: Request, *, every: float = 1.0, after: str = "") -> None:
    """One byte every second; `after`: a first word at once."""
    await wire.head()
    if after:
        await wire.event(chunk(after))
    for byte in stream_bytes():
        await wire.send(bytes([byte]))
        await asyncio.sleep(every)
    await wire.end()


@scenario(34)
async def comments_for_ever(wire: Wire, request: Request, *, every: float = 0.5) -> None:
    """Comments and never a word."""
    await wire.head()
    while True:
        await wire.send(b": ping\n\n")
        await asyncio.sleep(every)


@scenario(34)
async def open_end(wire: Wire, request: Request) -> None:
    """A finish_reason, then silence with the connection open."""
    await wire.head()
    await wire.event(chunk("Hello, world", finish="stop"))
    await wire.until_gone()


@scenario(36)
async def drop(wire: Wire, request: Request, *, how: str = "close") -> None:
    """Take the request and hang up without a byte, as on a stale connection; how=close|reset."""
    await (wire.reset() if how == "reset" else wire.cut())


@scenario(36)
async def drop_in_headers(wire: Wire, request: Request) -> None:
    """Hang up in the middle of the headers."""
    await wire.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/ev")
    await wire.cut()


@scenario(13)
async def bad_chunk(wire: Wire, request: Request) -> None:
    """Some text, then bytes that are no chunk."""
    await wire.head()
    await wire.event(chunk("Half an answer"))
    await asyncio.sleep(0.02)
    await wire.raw(b"zz\r\nrubbish\r\n")
    await wire.until_gone()


@scenario(36)
async def bad_head(wire: Wire, request: Request) -> None:
    """An answer that is not HTTP."""
    await wire.raw(b"220 mail.example ESMTP\r\n\r\n")
    await wire.until_gone()
