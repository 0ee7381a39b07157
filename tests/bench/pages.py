"""Somebody's page: it asks, watches, acknowledges and notes when each word came."""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from . import answer

# As static/js/socket.js does.
ACKNOWLEDGE_EVERY = 16
ACKNOWLEDGE_CHARACTERS = 64_000
CHECK_SECONDS = 1.0

_TOKEN = re.compile(r'name="csrf-token" content="(\w+)"')
_MESSAGE = re.compile(r'"m":"(\w+)"')


@dataclass
class Watched:
    """One answer as its viewer had it. Times are readings of time.monotonic_ns()."""

    tokens: int
    asked_at: int = 0
    first_at: int = 0
    size: int = 0
    newest: int = 0
    arrivals: list[tuple[int, int]] = field(default_factory=list)  # (when, how many ns late)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, text: str, now: int) -> None:
        """The same words may come again when a block is redrawn: only newer ones count."""
        self.size += len(text)
        for tick in answer.ticks(text, now // answer.TICK_NS):
            if tick > self.newest:
                self.newest = tick
                self.arrivals.append((now, max(0, now - tick * answer.TICK_NS)))
        if self.arrivals and not self.first_at:
            self.first_at = now
            self.started.set()


class Page(Protocol):
    watched: Watched

    async def open(self) -> None: ...
    async def ask(self, question: str, tokens: int) -> None: ...
    async def has_whole_answer(self) -> bool: ...
    async def close(self) -> None: ...


class PortalPage:
    """Behaves as ours does in a browser."""

    def __init__(self, http: httpx.AsyncClient, base: str, session: str, conversation: str) -> None:
        self.watched = Watched(0)
        self._http = http
        self._base = base
        self._cookie = f"sessionid={session}"
        self._conversation = conversation
        self._token = ""
        self._message = ""
        self._received = self._acknowledged = self._characters = 0
        self._watching = asyncio.Event()
        self._whole = asyncio.Event()  # a keyframe came
        self._opened = 0.0
        self.final = ""  # the message with the whole answer
        self.frames = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        path = f"/c/{self._conversation}/"
        response = await self._http.get(self._base + path, headers={"Cookie": self._cookie})
        response.raise_for_status()
        self._cookie += f"; csrftoken={response.cookies['csrftoken']}"
        self._token = _TOKEN.findall(response.text)[0]
        await self._connect()

    async def open_like(self, other: "PortalPage") -> None:
        """Another tab of the same browser: what it was given is known."""
        self._cookie, self._token = other._cookie, other._token
        await self._connect()

    async def join(self) -> None:
        """The socket alone, of somebody who watches and asks nothing."""
        await self._connect()

    async def _connect(self) -> None:
        self._socket = await connect(
            self._base.replace("http:", "ws:") + "/ws/",
            origin=self._base,  # type: ignore[arg-type]  # its type for this is private
            additional_headers={"Cookie": self._cookie},
        )
        self._opened = time.monotonic()
        self._received = self._acknowledged = self._characters = 0
        self._watching.clear()
        self._whole.clear()
        self._tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._check())]
        await self._send({"t": "watch", "c": self._conversation})
        await self._watching.wait()

    @property
    def is_closed(self) -> bool:
        return self._socket.close_code is not None

    def expect(self, tokens: int) -> None:
        """The answer to somebody else's question is watched."""
        self.watched = Watched(tokens, asked_at=time.monotonic_ns())
        self.frames = 0

    async def come_back(self) -> float:
        """Loses its socket and opens another; ms from there to the whole of the answer so far."""
        await self.close()
        await self._connect()
        async with asyncio.timeout(30):
            await self._whole.wait()
        return (time.monotonic() - self._opened) * 1e3

    async def ask(self, question: str, tokens: int) -> None:
        self.expect(tokens)
        response = await self._http.post(
            f"{self._base}/c/{self._conversation}/messages/",
            data={"text": question, "request_id": str(uuid4())},
            headers={"Cookie": self._cookie, "X-CSRFToken": self._token, "HX-Request": "true"},
        )
        response.raise_for_status()

    async def has_whole_answer(self) -> bool:
        """As it was kept, and as the viewer saw it come."""
        response = await self._http.get(
            f"{self._base}/m/{self._message}/text/", headers={"Cookie": self._cookie}
        )
        kept = answer.WORD.sub("@", response.raise_for_status().text)
        tokens = self.watched.tokens
        return kept == answer.skeleton(tokens) and len(self.watched.arrivals) == tokens

    async def close(self) -> None:
        await self._socket.close()
        for task in self._tasks:
            task.cancel()

    async def _listen(self) -> None:
        async for text in self._socket:
            assert isinstance(text, str)
            self.watched.hear(text, time.monotonic_ns())
            self._received += 1
            self._characters += len(text)
            if text.startswith('{"t":"settled"'):
                self._message = _MESSAGE.findall(text)[0]
                self.final = text
                self.watched.over.set()
            elif text.startswith('{"t":"watching"'):
                self._watching.set()
            elif text.startswith('{"t":"key"'):
                self._whole.set()
            elif text.startswith('{"t":"frame"'):
                self.frames += 1
            if (
                self._received - self._acknowledged >= ACKNOWLEDGE_EVERY
                or self._characters >= ACKNOWLEDGE_CHARACTERS
            ):
                await self._acknowledge()

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._received > self._acknowledged:
                await self._acknowledge()

    async def _acknowledge(self) -> None:
        self._acknowledged, self._characters = self._received, 0
        await self._send({"t": "ack", "n": self._received})

    async def _send(self, message: dict[str, object]) -> None:
        await self._socket.send(json.dumps(message))


class BarePage:
    """The same for the bare relay, which has no page, no people and nothing to acknowledge."""

    def __init__(self, base: str, model: str) -> None:
        self.watched = Watched(0)
        self._address = base.replace("http:", "ws:")
        self._model = model
        self._socket: ClientConnection
        self._listening: asyncio.Task[None]

    async def open(self) -> None:
        self._socket = await connect(self._address)
        self._listening = asyncio.ensure_future(self._listen())

    async def ask(self, question: str, tokens: int) -> None:
        self.watched = Watched(tokens, asked_at=time.monotonic_ns())
        messages = [{"role": "user", "content": question}]
        body = {"model": self._model, "messages": messages, "stream": True}
        await self._socket.send(json.dumps(body))

    async def has_whole_answer(self) -> bool:
        return len(self.watched.arrivals) == self.watched.tokens

    async def close(self) -> None:
        await self._socket.close()
        self._listening.cancel()

    async def _listen(self) -> None:
        async for text in self._socket:
            assert isinstance(text, str)
            self.watched.hear(text, time.monotonic_ns())
            if "[DONE]" in text:
                self.watched.over.set()
