"""Server-sent events (WHATWG HTML, 9.2.6), decoded from bytes.

Only CR, LF and CRLF end a line: U+2028, NEL or VT inside JSON are text like any other.
"""

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """`data` is not decoded: the JSON parser wants bytes. `complete` is False when the stream
    ended before the blank line that closes an event.
    """

    event: str
    data: bytes
    complete: bool = True


class EventTooLarge(Exception):
    """An event grew over the decoder's limit; `ahead` of it came others in the same bytes."""

    def __init__(self, ahead: list[ServerSentEvent]) -> None:
        super().__init__(f"after {len(ahead)} events")
        self.ahead = ahead


class SSEDecoder:
    """Turns the bytes of a stream, cut anywhere, into events. It is fed; it never reads.

    Time is linear in what is fed, however small the pieces; memory is bounded by
    `max_event_bytes`. Raises EventTooLarge; the decoder is of no use afterwards.
    """

    def __init__(self, max_event_bytes: int = 1024 * 1024) -> None:
        self.comments = 0
        self._max = max_event_bytes
        self._at_start = True
        self._after_cr = False
        self._line = bytearray()
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        if self._at_start:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            # The CR already ended the line; its LF belongs to it.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        events: list[ServerSentEvent] = []
        if len(lines) > 1:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
            for line in lines[:-1]:
                self._take(line, events)
        self._line += lines[-1]
        if self._size + len(self._line) > self._max:
            raise EventTooLarge(events)
        return events

    def flush(self) -> list[ServerSentEvent]:
        """Give what is left at the end of the stream. WHATWG drops it; servers forget the last
        blank line, so the caller decides whether it makes sense.
        """
        events: list[ServerSentEvent] = []
        if self._line:
            self._take(bytes(self._line), events)
            self._line.clear()
        if self._data:
            self._dispatch(events, complete=False)
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        start = bytes(self._line) + chunk
        self._line.clear()
        if len(start) < len(BOM) and BOM.startswith(start):
            self._line += start
            return b""
        self._at_start = False
        return start.removeprefix(BOM)

    def _take(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if not line:
            if self._data:
                self._dispatch(events, complete=True)
            self._event = b""
            return
        if line[0] == 0x3A:
            self.comments += 1
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value) + 1
            if self._size > self._max:
                raise EventTooLarge(events)
            self._data.append(value)
        elif field == b"event":
            self._event = value[:100]

    def _dispatch(self, events: list[ServerSentEvent], *, complete: bool) -> None:
        name = self._event.decode("utf-8", "replace") if self._event else "message"
        events.append(ServerSentEvent(name, b"\n".join(self._data), complete))
        self._data.clear()
        self._size = 0
        self._event = b""
