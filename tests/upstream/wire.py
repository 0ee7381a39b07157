"""One HTTP/1.1 connection at the level of bytes, so that a scenario can misbehave anywhere."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    version: str = "HTTP/1.1"

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class HungUp(Exception):
    """The scenario is over: the connection was closed by one side or the other."""


@dataclass
class Wire:
    """Writes an answer. Every write is its own packet as far as TCP allows."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keep_alive: bool = True
    chunked: bool = field(default=False, init=False)
    bytes_sent: int = field(default=0, init=False)

    async def read_request(self) -> Request | None:
        """The next request, or None when the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, path, version = first.split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        if "chunked" in headers.get("transfer-encoding", ""):
            return Request(method, path, headers, await self._read_chunks(), version)
        length = int(headers.get("content-length", 0))
        return Request(method, path, headers, await self.reader.readexactly(length), version)

    async def _read_chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body

    async def raw(self, data: bytes) -> None:
        """Exactly these bytes, unframed."""
        if self.writer.is_closing():
            raise HungUp
        self.writer.write(data)
        self.bytes_sent += len(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            raise HungUp from None

    async def head(self, status: int = 200, *, chunked: bool = True, **headers: str | None) -> None:
        """Status line and headers; `content_type=None` leaves that header out."""
        fields: dict[str, str | None] = {"content_type": "text/event-stream; charset=utf-8"}
        fields |= headers
        if chunked:
            fields["transfer_encoding"] = "chunked"
        self.chunked = chunked
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in fields.items() if v is not None]
        await self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes) -> None:
        """A piece of the body, as a chunk of its own where the answer is chunked."""
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    async def event(self, value: Any) -> None:
        await self.send(b"data: " + orjson.dumps(value) + b"\n\n")

    async def done(self) -> None:
        await self.send(b"data: [DONE]\n\n")

    async def end(self) -> None:
        """The end of the body as HTTP wants it; the connection stays open for the next request."""
        if self.chunked:
            await self.raw(b"0\r\n\r\n")
        else:
            await self.cut()

    async def body(self, status: int, data: bytes, **headers: str | None) -> None:
        """A whole answer with a length."""
        fields = {"content_type": "application/json", "content_length": str(len(data))} | headers
        await self.head(status, chunked=False, **fields)
        await self.raw(data)

    async def json(self, status: int, value: Any, **headers: str | None) -> None:
        await self.body(status, orjson.dumps(value), **headers)

    async def error(
        self, status: int, message: str, code: str | None = None, **headers: str
    ) -> None:
        kind = "invalid_request_error" if status < 500 else "server_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        await self.json(status, {"error": error}, **headers)

    async def cut(self) -> None:
        """Close without the end of the body."""
        self.writer.close()
        raise HungUp

    async def reset(self) -> None:
        """Close with RST instead of FIN, once what was written has left."""
        await asyncio.sleep(0.02)
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise HungUp

    async def until_gone(self) -> None:
        """Say nothing more until the client hangs up."""
        while await self.reader.read(1024):
            pass
        raise HungUp

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
