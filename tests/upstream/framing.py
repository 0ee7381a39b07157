"""Scenarios: the same stream in other bytes (rows 10 to 23)."""

import asyncio
import gzip
import zlib

import orjson

from .answers import chunk
from .scenarios import hello, scenario
from .wire import Request, Wire

SEPARATORS = "a\u2028b\u2029c\x85d\x0be"
ACCENTS = "Grüße, 世界 🎉"


def stream_bytes(*words: str, finish: str | None = "stop", done: bool = True) -> bytes:
    """A good stream as bytes with LF line ends."""
    events = [orjson.dumps(chunk(word)) for word in words or ("Hello", ", ", "world")]
    if finish:
        events.append(orjson.dumps(chunk(finish=finish)))
    if done:
        events.append(b"[DONE]")
    return b"".join(b"data: %s\n\n" % event for event in events)


@scenario(10)
async def no_done(wire: Wire, request: Request) -> None:
    """A finish_reason and the end of the body, but no [DONE]."""
    await wire.head()
    await hello(wire, done=False)


@scenario(11)
async def eof_midway(wire: Wire, request: Request) -> None:
    """The body ends cleanly in the middle: no finish_reason, no [DONE]."""
    await wire.head()
    await hello(wire, "Half an ", "answer", finish=None, done=False)


@scenario(12)
async def done_without_finish(wire: Wire, request: Request) -> None:
    """[DONE], but finish_reason was null all the time."""
    await wire.head()
    await hello(wire, finish=None)


@scenario(13)
async def cut_midway(wire: Wire, request: Request) -> None:
    """The connection closes in the middle of a chunked body."""
    await wire.head()
    await wire.event(chunk("Half an "))
    await wire.event(chunk("answer"))
    await wire.cut()


@scenario(13)
async def reset_midway(wire: Wire, request: Request) -> None:
    """The connection is reset in the middle of the body."""
    await wire.head()
    await wire.event(chunk("Half an "))
    await wire.event(chunk("answer"))
    await wire.reset()


@scenario(14)
async def line_ends(wire: Wire, request: Request, *, style: str = "mixed") -> None:
    """Lines end in CR LF, CR or all sorts; style=crlf|cr|mixed|split."""
    data = stream_bytes()
    if style == "mixed":
        pieces = [
            part + end
            for part, end in zip(data.split(b"\n"), [b"\r", b"\r\n", b"\n"] * 20, strict=False)
        ]
        data = b"".join(pieces)
    else:
        data = data.replace(b"\n", b"\r" if style == "cr" else b"\r\n")
    await wire.head()
    if style == "split":
        for piece in data.replace(b"\r", b"\r\0").split(b"\0"):
            await wire.send(piece)
            await asyncio.sleep(0.002)
    else:
        await wire.send(data)
    await wire.end()


@scenario(15)
async def unicode_separators(wire: Wire, request: Request) -> None:
    """Characters inside the JSON that some libraries take for line ends."""
    await wire.head()
    await hello(wire, SEPARATORS)


@scenario(16)
async def split_characters(wire: Wire, request: Request) -> None:
    """Multi-byte characters cut in two by the network."""
    await wire.head()
    for byte in stream_bytes(ACCENTS):
        await wire.send(bytes([byte]))
    await wire.end()


@scenario(16)
async def bad_utf8(wire: Wire, request: Request) -> None:
    """A byte that is no UTF-8."""
    await wire.head()
    await wire.send(stream_bytes("Caf@!").replace(b"@", b"\xe9"))
    await wire.end()


@scenario(16)
async def half_surrogates(wire: Wire, request: Request) -> None:
    """An escaped emoji with its halves in two chunks."""
    await wire.head()
    await wire.send(stream_bytes("a@", "#b").replace(b"@", rb"\ud83d").replace(b"#", rb"\ude00"))
    await wire.end()


@scenario(17)
async def several_data_lines(wire: Wire, request: Request) -> None:
    """One event's JSON is spread over several data lines."""
    await wire.head()
    pretty = orjson.dumps(chunk("Hello, world"), option=orjson.OPT_INDENT_2)
    await wire.send(b"".join(b"data: %s\n" % line for line in pretty.split(b"\n")) + b"\n")
    await wire.event(chunk(finish="stop"))
    await wire.done()
    await wire.end()


@scenario(18)
async def spaces(wire: Wire, request: Request, *, count: int = 0) -> None:
    """`data:` with no space or several behind it."""
    await wire.head()
    await wire.send(stream_bytes().replace(b"data: ", b"data:" + b" " * count))
    await wire.end()


@scenario(19)
async def bom_and_fields(wire: Wire, request: Request) -> None:
    """A byte order mark, blank lines, id, retry and unknown event names."""
    await wire.head()
    await wire.send(b"\xef\xbb\xbf\n\n\nid: 1\nretry: 3000\n\nevent: ping\ndata: {}\n\n")
    fields = b"event: completion.chunk\nid: 7\nunknown: x\nlonely\ndata: "
    await wire.send(stream_bytes().replace(b"data: ", fields, 1))
    await wire.end()


@scenario(19)
async def blanks(wire: Wire, request: Request) -> None:
    """Hundreds of blank lines in several pieces ahead of the first event."""
    await wire.head()
    for start in (b"\xef\xbb", b"\xbf", b"\n" * 100, b"\r\n" * 100):
        await wire.send(start)
        await asyncio.sleep(0.002)
    await wire.send(stream_bytes())
    await wire.end()


@scenario(19)
async def named_error(wire: Wire, request: Request) -> None:
    """An event called `error`."""
    await wire.head()
    await wire.event(chunk("Half an answer"))
    await wire.send(b'event: error\ndata: {"message": "The model crashed."}\n\n')
    await wire.end()


@scenario(20)
async def no_last_blank(wire: Wire, request: Request) -> None:
    """The body ends right behind the last event, without a blank line."""
    await wire.head()
    await wire.send(stream_bytes(done=False).rstrip(b"\n"))
    await wire.end()


@scenario(21)
async def huge_event(wire: Wire, request: Request, *, size: int = 2_000_000) -> None:
    """Some text, then an event of `size` bytes."""
    await wire.head()
    await wire.event(chunk("Hello"))
    await wire.event(chunk("x" * size))
    await hello(wire, "!")


@scenario(21)
async def endless(wire: Wire, request: Request, *, size: int = 1000, pause: float = 0.0) -> None:
    """Text without end, `size` bytes a token."""
    await wire.head()
    while True:
        await wire.event(chunk("x" * size))
        await asyncio.sleep(pause)


@scenario(22)
async def long_line(wire: Wire, request: Request, *, size: int = 200_000) -> None:
    """One long event in very small pieces."""
    await wire.head()
    data = stream_bytes("x" * size)
    for start in range(0, len(data), 64):
        await wire.send(data[start : start + 64])
    await wire.end()


@scenario(23)
async def compressed(wire: Wire, request: Request, *, encoding: str = "gzip") -> None:
    """A compressed body though none was asked for; encoding=gzip|deflate|raw|br."""
    data = stream_bytes()
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(data),
        "deflate": zlib.compress(data),
        "raw": raw.compress(data) + raw.flush(),
        "br": data,
    }[encoding]
    await wire.head(content_encoding="deflate" if encoding == "raw" else encoding)
    for start in range(0, len(packed), 10):
        await wire.send(packed[start : start + 10])
    await wire.end()


@scenario(23)
async def bomb(wire: Wire, request: Request, *, megabytes: int = 200) -> None:
    """A compressed body that grows a thousandfold."""
    await wire.head(content_encoding="gzip")
    packer = zlib.compressobj(wbits=31)
    await wire.send(packer.compress(stream_bytes("Hello", finish=None, done=False)))
    comment = b":" + b"x" * 999_998 + b"\n"
    for _ in range(megabytes):
        if piece := packer.compress(comment):
            await wire.send(piece)
        await asyncio.sleep(0)
    await wire.send(packer.flush())
    await wire.end()
