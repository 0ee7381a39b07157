"""A page in miniature: one socket, and what it shows of a thread, as static/js/live.js does it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

from asgiref.testing import ApplicationCommunicator
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from chatweb.asgi import application
from conversations.markdown import Patch
from conversations.models import Conversation, User
from tests.markdown_page import Element, apply, parse

HOST = "testserver"


class Socket(WebsocketCommunicator):  # type: ignore[misc]  # Channels has no types
    """Channels' own lets no thread close its connection to the database while it is used, so that
    they would be missing in the pool."""

    send_input = ApplicationCommunicator.send_input
    receive_output = ApplicationCommunicator.receive_output


class Shown:
    """One growing answer in the page."""

    def __init__(self) -> None:
        self.seq = 0
        self.tree = parse("")
        self.reasoning = ""

    @property
    def shape(self) -> object:
        return self.tree.shape()


class Viewer:
    """`received` holds every message; `answers` what the frames have made of each generation."""

    def __init__(
        self, cookie: str, *, acknowledges: bool = True, origin: str = "", socket: Any = None
    ) -> None:
        headers = [(b"host", HOST.encode()), (b"origin", (origin or f"http://{HOST}").encode())]
        headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        self._socket: Any = socket or Socket(application, "/ws/", headers=headers)
        self._acknowledges = acknowledges
        self.received: list[dict[str, Any]] = []
        self.answers: dict[str, Shown] = {}
        self.skip: set[tuple[str, int]] = set()
        self._ended: dict[str, str] = {}
        self.code: int | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        accepted, self.code = await self._socket.connect(timeout=10)
        assert accepted, self.code
        self.code = None
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if not self._socket.future.cancelled():
            await self._socket.disconnect(timeout=10)

    async def send(self, message: object) -> None:
        await self._socket.send_to(text_data=json.dumps(message))

    async def send_raw(self, *, text: str | None = None, data: bytes | None = None) -> None:
        if text is not None:
            await self._socket.send_to(text_data=text)
        else:
            await self._socket.send_to(bytes_data=data)

    def kill(self) -> None:
        """Ends our side of the socket with no word to it, as a server does with what hangs."""
        self._socket.future.cancel()

    async def watch(self, conversation: Conversation | str) -> Self:
        name = conversation if isinstance(conversation, str) else conversation.public_id
        before = len(self.all("watching"))
        await self.send({"t": "watch", "c": name})
        if name:
            await until(lambda: len(self.all("watching")) > before or self.code is not None)
        return self

    async def _read(self) -> None:
        while True:
            output = await self._socket.receive_output(timeout=3600)
            if output["type"] == "websocket.close":
                self.code = output["code"]
                return
            message = json.loads(output["text"])
            self.received.append(message)
            await self._show(message)
            if self._acknowledges:
                await self.send({"t": "ack", "n": len(self.received)})

    async def _show(self, message: dict[str, Any]) -> None:
        match message["t"]:
            case "key":
                shown = self.answers.setdefault(message["g"], Shown())
                shown.seq, shown.reasoning = message["n"], message["r"]
                shown.tree = parse(message["html"])
            case "frame":
                await self._show_frame(message)
            case "settled":
                self._ended[message["m"]] = message["html"]
            case "tick" if "g" in message:
                if message["n"] != self.answers.setdefault(message["g"], Shown()).seq:
                    await self.send({"t": "keys"})

    async def _show_frame(self, message: dict[str, Any]) -> None:
        shown = self.answers.setdefault(message["g"], Shown())
        if not shown.seq and message["m"] in self._ended:  # an answer that goes on
            shown.tree = tree_of_article(self._ended[message["m"]])
        if (message["g"], message["n"]) in self.skip or message["n"] <= shown.seq:
            return
        if message["n"] != shown.seq + 1:
            await self.send({"t": "keys"})
            return
        if patch := message.get("p"):
            apply(shown.tree, Patch(tuple(patch["p"]), patch["t"], tuple(patch["h"])))
        shown.seq = message["n"]
        shown.reasoning += message.get("r", "")

    # --- What tests ask ---

    @property
    def heard(self) -> list[dict[str, Any]]:
        """All but the life signs that every socket gets."""
        return [message for message in self.received if message != {"t": "tick"}]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["t"] == kind]

    async def next(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits until there are `count` messages of this kind; the last of them."""
        await until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[count - 1]

    async def closed(self) -> int:
        await until(lambda: self.code is not None)
        assert self.code is not None
        return self.code

    def text(self, generation: str) -> str:
        return self.answers[generation].tree.text if generation in self.answers else ""


def session_of(user: User) -> str:
    """Signs the person in; the session's cookie."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def tree_of_article(html: str) -> Element:
    """The text part of a message's article."""
    start = html.index(">", html.index('<div class="text"')) + 1
    end = html.rindex("</div>", 0, html.index('<footer class="under"'))
    before_outcome = html.find('<div class="state', start)
    if before_outcome != -1:
        end = html.rindex("</div>", 0, before_outcome)
    return parse(html[start:end])


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  any condition, and few have an event
            await asyncio.sleep(0.005)
