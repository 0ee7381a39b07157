"""Sockets of people's pages with as little around them as can be, so that a test has a thousand."""

import asyncio
import base64
import json
import os
import socket
import struct
from contextlib import suppress
from typing import Any

from django.conf import settings


class BareSocket:
    """One connection that does what it is told, and reads only then."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port = port
        self._cookie = cookie
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self) -> None:
        # A small buffer of the kernel's, or it would read for who does not.
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", self._port))
        self.reader, self.writer = await asyncio.open_connection(sock=line, limit=2**16)
        key = base64.b64encode(os.urandom(16)).decode()
        head = [
            "GET /ws/ HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            f"Origin: http://127.0.0.1:{self._port}",
            f"Cookie: {settings.SESSION_COOKIE_NAME}={self._cookie}",
            *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            *(f"Sec-WebSocket-Key: {key}", "", ""),
        ]
        self.writer.write("\r\n".join(head).encode())
        answer = await self.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer, answer

    def send(self, message: object) -> None:
        self.writer.write(masked(json.dumps(message).encode()))

    async def receive(self) -> dict[str, Any] | int:
        """The next message, or the code with which it was closed."""
        while True:
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(size)
            match first & 0x0F:
                case 1:  # text
                    message: dict[str, Any] = json.loads(payload)
                    return message
                case 8:  # the end
                    return int.from_bytes(payload[:2], "big")
                case _:
                    continue

    async def next(self, kind: str) -> dict[str, Any]:
        while True:
            message = await self.receive()
            assert isinstance(message, dict), message
            if message["t"] == kind:
                return message

    async def closed(self) -> int | None:
        """Reads on to the end: its code, or None where the connection was cut."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while isinstance(code := await self.receive(), dict):
                pass
            return code
        return None

    def cut(self) -> None:
        """With a reset, as when a machine or a proxy is gone."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def masked(payload: bytes) -> bytes:
    """A frame as browsers send it, with a mask of zeros."""
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload
