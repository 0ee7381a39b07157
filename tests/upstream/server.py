"""A real HTTP server on loopback that answers as it is told to."""

import asyncio
import contextlib
import inspect
import re
import ssl
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

from . import scenarios
from .answers import MODELS, answer, complaint, question
from .wire import HungUp, Request, Wire

_IN_TEXT = re.compile(r"#scenario\s+([\w-]+)((?:\s+\w+=\S+)*)")


class ScriptedUpstream:
    """Serves /v1/models and /v1/chat/completions; sensible unless told otherwise.

    What an answer does is taken from `script()`, then from `#scenario NAME key=value` in the
    last user message, then from `scenario`, else it is a short Markdown echo. `key` empty: every
    caller is welcome. `rate` is in tokens a second; 0 means as fast as possible.
    """

    def __init__(
        self,
        *,
        key: str = "",
        port: int = 0,
        host: str = "127.0.0.1",
        rate: float = 0.0,
        scenario: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.key = key
        self.requests: list[Request] = []
        # Connections in all, and how many of them are open now.
        self.accepted = 0
        self.open = 0
        self.wires: list[Wire] = []
        self._host = host
        self._port = port
        self._rate = rate
        self._tls = tls
        self._scenario = scenario
        self._script: deque[tuple[str, dict[str, Any]]] = deque()
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{self._host}:{self._port}/v1"

    @property
    def port(self) -> int:
        return self._port

    @property
    def asked(self) -> list[Request]:
        """The requests for answers: portals also look at the models every now and then."""
        return [request for request in self.requests if request.method == "POST"]

    def script(self, name: str, **options: Any) -> Self:
        """Make the next unscripted answer play this scenario; calls queue up."""
        scenarios.find(name)
        self._script.append((name, options))
        return self

    def forget(self) -> None:
        """Drop what was scripted and not yet played."""
        self._script.clear()

    async def until_idle(self) -> None:
        """Wait until every connection is closed."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: not self.open)

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, backlog=1000, limit=2**24, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @classmethod
    @contextmanager
    def in_thread(cls, **options: Any) -> Iterator[Self]:
        """Run on a loop of its own, for callers without one."""
        upstream = cls(**options)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="scripted-upstream", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(upstream.start(), loop).result(5)
            yield upstream
        finally:
            asyncio.run_coroutine_threadsafe(upstream.stop(), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        async with self._connection(Wire(reader, writer)) as wire:
            while wire.keep_alive and (request := await wire.read_request()) is not None:
                self.requests.append(request)
                await self._respond(wire, request)
        self._tasks.discard(task)

    @asynccontextmanager
    async def _connection(self, wire: Wire) -> AsyncIterator[Wire]:
        self.accepted += 1
        self.open += 1
        self.wires.append(wire)
        try:
            with contextlib.suppress(HungUp, ConnectionError, asyncio.IncompleteReadError):
                yield wire
        except asyncio.CancelledError:
            # The server stops: a cancelled handler would be logged as a failure.
            wire.writer.transport.abort()
        finally:
            wire.writer.close()
            async with self._changed:
                self.open -= 1
                self._changed.notify_all()

    async def _respond(self, wire: Wire, request: Request) -> None:
        if wrong := complaint(request, self.key):
            await wire.error(*wrong)
        elif request.path == "/v1/models":
            await self._play_or(wire, request, self._models)
        elif request.path == "/v1/chat/completions" and request.method == "POST":
            await self._play_or(wire, request, self._answer)
        else:
            await wire.error(404, f"Unknown request URL: {request.method} {request.path}.")

    async def _play_or(self, wire: Wire, request: Request, usual: Any) -> None:
        name, options = self._choose(request)
        if not name:
            await usual(wire, request)
            return
        try:
            scenario = scenarios.find(name)
        except LookupError as error:
            await wire.error(400, str(error))
            return
        known = inspect.signature(scenario.play).parameters
        options = {key: value for key, value in options.items() if key in known}
        await scenario.play(wire, request, **options)

    def _choose(self, request: Request) -> tuple[str, dict[str, Any]]:
        asks = request.method == "POST"  # a look at the models takes nothing that was prepared
        if asks and self._script:
            return self._script.popleft()
        if asks and (found := _IN_TEXT.search(question(request.json))):
            pairs = (pair.split("=", 1) for pair in found[2].split())
            return found[1], {key: _value(text) for key, text in pairs}
        return self._scenario, {}

    async def _models(self, wire: Wire, request: Request) -> None:
        data = [{"id": name, "object": "model", "owned_by": "chatweb"} for name in MODELS]
        await wire.json(200, {"object": "list", "data": data})

    async def _answer(self, wire: Wire, request: Request) -> None:
        await answer(wire, request, rate=self._rate)


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
