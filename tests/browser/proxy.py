"""A proxy in front of the portal that lets no socket through, as some companies have one."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def proxy_without_sockets(port: int) -> Iterator[str]:
    """Its address while it runs; `port` is the portal's."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    serving = _Proxy(port)
    try:
        own = asyncio.run_coroutine_threadsafe(serving.start(), loop).result(5)
        yield f"http://127.0.0.1:{own}"
    finally:
        asyncio.run_coroutine_threadsafe(serving.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


class _Proxy:
    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                writer.write(REFUSAL)
                await writer.drain()
            else:
                await self._pass_on(head, reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        forth.write(head)
        try:
            await asyncio.gather(_pump(reader, forth), _pump(back, writer))
        finally:
            forth.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
