"""Somebody's page of a channel in Open WebUI, as its own behaves in a browser."""

import asyncio
import json
import time
from uuid import uuid4

import httpx
from websockets.asyncio.client import connect

from .answer import WORD
from .pages import Watched
from .people import MODEL

HEARTBEAT_SECONDS = 30
JOIN_SECONDS = 60


class ChannelPage:
    """Speaks Engine.IO 4 and Socket.IO 5 by hand: a client of theirs would read the whole of each
    message, and take more of the machine than the server does."""

    def __init__(
        self, http: httpx.AsyncClient, base: str, *, user: str, token: str, channel: str
    ) -> None:
        self.watched = Watched(0)
        self._http = http
        self._base = base
        self._user = user
        self._token = token
        self._channel = channel
        self._read = 0  # characters of the answer
        self._joined = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        self._socket = await connect(
            self._base.replace("http:", "ws:") + "/ws/socket.io/?EIO=4&transport=websocket",
            origin=self._base,  # type: ignore[arg-type]  # its type for this is private
            # It compresses by default (permessage-deflate) for whoever offers it, each message for
            # each viewer anew. The portal declines, so nothing is offered: that spares it the work.
            compression=None,
            ping_interval=None,  # a browser sends none, and so gives up no server that is late
        )
        self._tasks = [asyncio.ensure_future(self._listen())]
        async with asyncio.timeout(JOIN_SECONDS):
            await self._joined.wait()
        self._tasks.append(asyncio.ensure_future(self._beat()))

    async def join(self) -> None:
        """Whoever watches has the same socket as who asks."""
        await self.open()

    def expect(self, tokens: int) -> None:
        self.watched = Watched(tokens, asked_at=time.monotonic_ns())
        self._read = 0

    async def ask(self, question: str, tokens: int) -> None:
        """A model that is mentioned answers."""
        self.expect(tokens)
        response = await self._http.post(
            f"{self._base}/api/v1/channels/{self._channel}/messages/post",
            json={
                "content": f"<@M:{MODEL}|{MODEL}> {question}",
                "data": {},
                "temp_id": str(uuid4()),
            },
            headers={"Authorization": f"Bearer {self._token}"},
        )
        response.raise_for_status()

    async def close(self) -> None:
        await self._socket.close()
        for task in self._tasks:
            task.cancel()

    async def _listen(self) -> None:
        auth = {"token": self._token}
        async for text in self._socket:
            assert isinstance(text, str)
            now = time.monotonic_ns()
            if text.startswith('42["events:channel"'):
                self._hear(text, now)
            elif text == "2":  # a ping
                await self._socket.send("3")
            elif text.startswith("0"):  # Engine.IO is open
                await self._socket.send(f"40{json.dumps(auth)}")
            elif text.startswith("40"):  # and so is Socket.IO
                await self._socket.send(f"420{json.dumps(['user-join', {'auth': auth}])}")
            elif text.startswith("430") and self._user in text:
                self._joined.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._socket.send('42["heartbeat",{}]')

    def _hear(self, text: str, now: int) -> None:
        """Each update, of six a second, has the whole answer so far, twice: as content and as data.
        Only what is new in the first is looked at."""
        if '"message:update"' not in text[:400]:
            return
        start = text.index('"content":"') + len('"content":"')
        end = text.index('","data":', start)
        words = [*WORD.finditer(text, start + self._read, end)]
        if words:
            self.watched.hear(text[start + self._read : words[-1].end()], now)
            self._read = words[-1].end() - start
        if text.find('"done":true', end) >= 0:
            self.watched.over.set()
