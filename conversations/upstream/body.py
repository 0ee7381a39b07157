"""The bytes of an answer: compressed or not, events or one JSON value."""

import zlib
from collections.abc import AsyncIterator
from typing import Literal, cast

import httpx

from .errors import Unreadable
from .sentences import gettext_noop
from .sse import BOM

INFLATED_PIECE_BYTES = 64 * 1024
WEB_PAGE = gettext_noop("The model's server answered with a web page.")
_FIELDS = (b":", b"data", b"event", b"id", b"retry")

Form = Literal["events", "json"]


def raw_bytes(response: httpx.Response) -> AsyncIterator[bytes]:
    """Give the body as it comes from the transport, past two generators of `aiter_raw`."""
    return aiter(cast("httpx.AsyncByteStream", response.stream))


class Inflater:
    """gzip or deflate, given out in bounded pieces: a small bomb must not become a big string.

    Raises zlib.error for what is neither.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        self._fresh = True

    @property
    def pending(self) -> bool:
        return bool(self._zlib.unconsumed_tail)

    def feed(self, data: bytes) -> bytes:
        data = self._zlib.unconsumed_tail + data
        try:
            inflated = self._zlib.decompress(data, INFLATED_PIECE_BYTES)
        except zlib.error:
            if not self._fresh:
                raise
            # "deflate" means zlib's format, but some servers leave its header out.
            self._zlib = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
            inflated = self._zlib.decompress(data, INFLATED_PIECE_BYTES)
        self._fresh = False
        return inflated


def inflater(encoding: str) -> Inflater | None:
    """Give the decoder for a Content-Encoding; None for plain bytes. Raises Unreadable.

    We ask for `identity`; some proxies compress all the same.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return None
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return Inflater()
    raise Unreadable(detail=f"Content-Encoding {encoding[:100]!r} was not asked for")


def form(start: bytes, content_type: str) -> Form | None:
    """Tell from the first bytes what the body is, since content types lie; None: not enough yet.

    `start` comes without leading blanks and byte order mark. Raises Unreadable for anything but
    events or JSON.
    """
    if BOM.startswith(start):
        return None
    if start[0] in b"{[":
        return "json"
    if start[0] in b"<":
        raise Unreadable(
            WEB_PAGE,
            detail=f"Content-Type {content_type[:100]!r}, and the body begins with <",
        )
    events = content_type.lower().startswith("text/event-stream")
    if events or any(start.startswith(f) or f.startswith(start) for f in _FIELDS):
        return "events"
    raise Unreadable(detail=f"Content-Type {content_type[:100]!r}, neither events nor JSON")
