"""A bad line: a TCP proxy in front of a server that slows, freezes and cuts what goes through."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self


class Line:
    """Passes on both ways until it is told otherwise. Belongs to one event loop."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        # Seconds for each byte on its way back; 0 is as it comes.
        self.seconds_a_byte = 0.0
        self._to = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = tuple(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    # --- Faults ---

    def freeze(self) -> None:
        """Connections stay open, new ones are taken, and nothing goes through."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Resets all that are open."""
        for writer in tuple(self._open):
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def refuse(self, refuses: bool = True) -> None:
        """Resets new ones at once."""
        self._refuses = refuses

    # --- Passing on ---

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open[writer] = task
        with suppress(OSError, asyncio.CancelledError):
            if self._refuses:
                self.cut()
                return
            back, forth = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                ways = {
                    asyncio.ensure_future(self._pump(reader, forth, slow=False)),
                    asyncio.ensure_future(self._pump(back, writer, slow=True)),
                }
                # Whichever side hangs up: these are HTTP's connections, of no use half open.
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                forth.close()
        self._open.pop(writer, None)
        writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            if slow and self.seconds_a_byte:
                for byte in data:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(self.seconds_a_byte)
            else:
                writer.write(data)
            await writer.drain()
