"""A page without a browser: follows a conversation as static/js does, wherever it can connect."""

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.typing import Origin

from conversations.markdown import Patch
from tests.markdown_page import Element, apply, parse
from tests.viewers import tree_of_article

ARTICLE = re.compile(r'<article id="m-(\w+)"(.*?)>(.*?)</article>', re.DOTALL)
SILENCE = 6.0  # as in static/js/socket.js


@dataclass
class Shown:
    """A message as the page shows it."""

    tree: Element
    version: str
    generation: str  # empty once it has ended
    html: str

    def offers(self, what: str) -> bool:
        """`alternatives` or `continuations`."""
        return f"/{what}/" in self.html

    @property
    def said_why(self) -> bool:
        """It tells that it did not simply end."""
        return '<div class="state' in self.html


@dataclass(frozen=True)
class Ending:
    """What an answer looked like when its end was told: as it had grown, and as it is. It was
    followed between two times of time.monotonic()."""

    generation: str
    grown: object
    final: object
    since: float
    until: float


class Page:
    """`where` gives the port of some process that serves."""

    def __init__(
        self, conversation: str, cookie: str, where: Callable[[], int], chance: random.Random
    ) -> None:
        self.articles: dict[str, Shown] = {}
        self.endings: list[Ending] = []
        self.connections = 0
        self._revision = -1
        self.conversation = conversation
        self._cookie = cookie
        self._where = where
        self._chance = chance
        self._seqs: dict[str, int] = {}
        self._followed: dict[str, float] = {}
        self._asked = False
        self._socket: ClientConnection | None = None
        self._port = 0
        self._syncing = asyncio.Lock()
        self._behind = False
        self._client = httpx.AsyncClient(
            cookies={settings.SESSION_COOKIE_NAME: cookie}, timeout=20, trust_env=False
        )
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def shows_writing(self) -> bool:
        return any(shown.generation for shown in self.articles.values())

    async def run(self) -> None:
        """Until it is cancelled; comes back after whatever happens to its socket."""
        failures = 0
        try:
            while True:
                try:
                    await self._stay()
                    failures = 0
                except (OSError, WebSocketException, InvalidHandshake, TimeoutError):
                    failures = min(failures + 1, 4)
                self._socket = None
                await asyncio.sleep(0.3 * 2**failures * (0.5 + self._chance.random()))
        finally:
            for task in self._tasks:
                task.cancel()
            await self._client.aclose()

    def cut(self) -> None:
        """The network breaks, with no word to either side."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _stay(self) -> None:
        port = self._port = self._where()
        async with connect(
            f"ws://127.0.0.1:{port}/ws/",
            origin=Origin(f"http://127.0.0.1:{port}"),
            additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={self._cookie}"},
            proxy=None,
            max_size=None,
            open_timeout=20,
            close_timeout=0.5,
        ) as socket:
            self._socket = socket
            self.connections += 1
            await self._watch()
            received = 0
            while True:
                async with asyncio.timeout(SILENCE):
                    message = json.loads(await socket.recv())
                received += 1
                self._take(message)
                await socket.send(json.dumps({"t": "ack", "n": received}))

    async def _watch(self) -> None:
        self._seqs.clear()
        self._asked = False
        await self._send({"t": "watch", "c": self.conversation})

    async def _send(self, message: object) -> None:
        if self._socket is not None:
            with suppress(WebSocketException, OSError):
                await self._socket.send(json.dumps(message))

    def _soon(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- What it is told: static/js/live.js ---

    def _take(self, message: dict[str, Any]) -> None:
        match message["t"]:
            case "watching":
                self._tick(message)
            case "key" if (shown := self._written(message)) is not None:
                self._asked = False
                self._seqs[message["g"]] = message["n"]
                self._followed.setdefault(message["g"], time.monotonic())
                shown.tree = parse(message["html"])
            case "frame" if (shown := self._written(message)) is not None:
                self._grow(shown, message)
            case "settled" if message["rev"] > self._revision:
                self._settle(message)
            case "added" if message["rev"] > self._revision:
                for name, fresh in _listed(message["html"]):
                    self._place(name, fresh)
                self._seen(message["rev"])
            case "changed":
                self._sync()
            case "silent":
                self._sync(with_growing=True)
            case "missed":
                self._soon(self._watch())
                self._sync()
            case "tick":
                self._tick(message)

    def _tick(self, message: dict[str, Any]) -> None:
        if "g" in message:
            is_open = any(one.generation == message["g"] for one in self.articles.values())
            if is_open and message["n"] != self._seqs.get(message["g"], 0):
                self._ask_for_keys()
        elif message.get("rev", self._revision) != self._revision:
            self._sync()

    def _written(self, message: dict[str, Any]) -> Shown | None:
        shown = self.articles.get(message["m"])
        if shown is None:
            self._sync()
        return shown if shown is not None and shown.generation == message["g"] else None

    def _grow(self, shown: Shown, message: dict[str, Any]) -> None:
        known = self._seqs.get(message["g"], 0)
        self._followed.setdefault(message["g"], time.monotonic())
        if message["n"] != known + 1:
            if message["n"] > known:
                self._ask_for_keys()
            return
        if patch := message.get("p"):
            try:
                apply(shown.tree, Patch(tuple(patch["p"]), patch["t"], tuple(patch["h"])))
            except (IndexError, AssertionError):  # patch.js refuses these as well
                self._ask_for_keys()
                return
        self._seqs[message["g"]] = message["n"]

    def _settle(self, message: dict[str, Any]) -> None:
        old = self.articles.get(message["m"])
        if old is None:
            self._sync()
            return
        [(name, fresh)] = _listed(message["html"])
        if fresh.generation and fresh.generation == old.generation:
            fresh.tree = old.tree  # it had ended and goes on
        elif old.generation and old.generation in self._seqs and not self._asked:
            grown, final = (one.tree.shape(with_colours=False) for one in (old, fresh))
            since = self._followed.get(old.generation, 0.0)
            self.endings.append(Ending(old.generation, grown, final, since, time.monotonic()))
        self.articles[name] = fresh
        self._seqs.clear()
        self._seen(message["rev"])

    def _ask_for_keys(self) -> None:
        if not self._asked:
            self._asked = True
            self._soon(self._send({"t": "keys"}))

    def _seen(self, revision: int) -> None:
        if revision > self._revision + 1:
            self._sync()
        elif revision > self._revision:
            self._revision = revision

    # --- What it fetches: static/js/sync.js and articles.js ---

    def _sync(self, *, with_growing: bool = False) -> None:
        """Calls that come while one is under way make one more."""
        if self._behind:
            return
        self._behind = self._syncing.locked()
        self._soon(self._fetch(with_growing))

    async def _fetch(self, with_growing: bool) -> None:
        async with self._syncing:
            self._behind = False
            address = f"http://127.0.0.1:{self._port}/c/{self.conversation}/messages/"
            try:
                answer = await self._client.get(address)
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                self._merge(answer.text, with_growing)

    def _merge(self, html: str, with_growing: bool) -> None:
        wanted = _listed(html)
        names = [name for name, _fresh in wanted]
        for name, fresh in wanted:
            self._place(name, fresh, with_growing=with_growing)
        self.articles = {name: self.articles[name] for name in names}
        revision = re.search(r'data-revision="(\d+)"', html)
        assert revision is not None, html
        self._revision = int(revision[1])

    def _place(self, name: str, fresh: Shown, *, with_growing: bool = False) -> None:
        old = self.articles.get(name)
        if old is not None:
            if old.version == fresh.version and not (with_growing and fresh.generation):
                return
            grows = fresh.generation and fresh.generation == old.generation
            if grows and not with_growing:
                fresh.tree = old.tree
        self.articles[name] = fresh


def _listed(html: str) -> list[tuple[str, Shown]]:
    """The articles of a piece of the page, in its order."""
    found = []
    for article in ARTICLE.finditer(html):
        name, attributes, _inside = article.groups()
        values = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', attributes))
        tree = tree_of_article(article[0])
        shown = Shown(tree, values["version"], values.get("generation", ""), article[0])
        found.append((name, shown))
    return found
