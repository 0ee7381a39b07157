"""One answer over HTTP: headers once, then a body in one piece or event by event."""

from typing import Any

import orjson

from conversations.gateway.problems import Problem

PIECE_BYTES = 65_536
COMMON = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
EVENTS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # nginx would gather words until its buffer is full.
    "X-Accel-Buffering": "no",
}
DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": still here\n\n"


class Answering:
    """What was already said decides how an error is told: as a status, or as the last event.

    Sending waits while the caller does not read; who leaves meanwhile ends the wait."""

    def __init__(self, send: Any, *, bodiless: bool) -> None:
        self._send = send
        self._bodiless = bodiless  # HEAD
        self.status = 0
        self.is_over = False
        self.headers: dict[str, str] = {}  # what else is known by the time that it begins

    @property
    def has_begun(self) -> bool:
        return self.status != 0

    async def json(self, value: Any, *, status: int = 200, **headers: str) -> None:
        body = orjson.dumps(value)
        head = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        await self._begin(status, head | headers)
        if self._bodiless:
            body = b""
        # In pieces, between which a caller who does not read is noticed.
        for start in range(0, len(body) - PIECE_BYTES, PIECE_BYTES):
            await self._piece(body[start : start + PIECE_BYTES], more=True)
        rest = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES if body else 0
        await self._piece(body[rest:], more=False)

    async def event(self, data: bytes) -> None:
        """Whole events, framed already."""
        if not self.has_begun:
            await self._begin(200, EVENTS)
        await self._piece(data, more=True)

    async def end(self) -> None:
        await self._piece(b"", more=False)

    async def fail(self, problem: Problem) -> None:
        """Tells it as long as it can be told."""
        if self.is_over:
            return
        if self.has_begun:
            await self.event(framed(problem.body()))
            await self.end()
        else:
            await self.json(problem.body(), status=problem.status, **problem.headers)

    async def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        told = COMMON | self.headers | headers
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def _piece(self, data: bytes, *, more: bool) -> None:
        self.is_over = not more
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def framed(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
