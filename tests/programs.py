"""A program that calls the gateway as the server hands it over, piece by piece."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from chatweb.asgi import application
from conversations import catalogue
from conversations.actions import keys
from conversations.gateway import calls
from conversations.models import Key, User
from tests.processes import Program, program
from tests.relays import database_url, db
from tests.upstream import ScriptedUpstream

COMPLETIONS = "/v1/chat/completions"
MODEL = "crimson-falcon-4"
UPSTREAM_KEY = "canary-upstream-key-66231"


@asynccontextmanager
async def gateway_at_work() -> AsyncIterator[None]:
    """The gateway's job on this test's loop, which closes its connections in the end."""
    job = asyncio.ensure_future(calls.run())
    try:
        yield
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


def port_of(running: Program) -> int:
    """Of a served portal. What its log says may have the word in it, too."""
    while not (line := running.line_with("port ")).startswith("port "):
        pass
    return int(line.split()[1])


@contextmanager
def served(upstream: ScriptedUpstream, **more: str) -> Iterator[str]:
    """A portal in a process of its own, on this test's database; the address of its gateway."""
    env = {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATABASE_URL": database_url(),
        "UPSTREAM_BASE_URL": upstream.base_url,
        "UPSTREAM_API_KEY": UPSTREAM_KEY,
        "UPSTREAM_RETRIES": "0",
        "RIGHTS_CHECK_SECONDS": "0.5",
    }
    with program("-m", "tests.portal_process", env=env | more) as running:
        yield f"http://127.0.0.1:{port_of(running)}/v1"


def until(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.01)
    return time.monotonic() - begun


async def key_of(user: User, **fields: Any) -> tuple[Key, str]:
    return await db(keys.make, user=user, actor=user, name="Test", **fields)


def body(text: str = "Hello?", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]} | more


def gives_one_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model server, from now on."""
    server = catalogue.upstream()
    assert server is not None
    monkeypatch.setattr(catalogue, "upstream", lambda _name: replace(server, gives_choices=False))


# asgiref has no types for it.
_communicator: Any = ApplicationCommunicator


class Called:
    """One request under way."""

    def __init__(
        self,
        token: str = "",
        sent: Any = None,
        *,
        method: str = "POST",
        path: str = COMPLETIONS,
        headers: dict[str, str] | None = None,
        authorizations: Sequence[bytes] = (),
    ) -> None:
        given = ({"authorization": f"Bearer {token}"} if token else {}) | (headers or {})
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [
                *((name.encode(), value.encode()) for name, value in given.items()),
                *((b"authorization", value) for value in authorizations),
            ],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 8000),
        }
        self._body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        self._application: Any = _communicator(application, scope)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []

    async def begin(self) -> "Called":
        """Returns with the headers."""
        await self._application.send_input({"type": "http.request", "body": self._body})
        head = await self._application.receive_output(10)
        assert head["type"] == "http.response.start"
        self.status = head["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in head["headers"]}
        return self

    async def piece(self) -> bytes | None:
        """What comes next; None at the end."""
        message = await self._application.receive_output(10)
        self.pieces.append(message["body"])
        return message["body"] if message.get("more_body") else None

    async def all(self) -> "Called":
        if not self.status:
            await self.begin()
        while await self.piece() is not None:
            pass
        await self.wait()
        return self

    async def wait(self) -> None:
        """Until the application has ended; raises what it raised."""
        await self._application.wait(10)

    async def leave(self) -> None:
        await self._application.send_input({"type": "http.disconnect"})
        await self._application.wait(10)

    async def send_only(self) -> None:
        await self._application.send_input({"type": "http.request", "body": self._body})

    @property
    def text(self) -> str:
        return b"".join(self.pieces).decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"message", "type", "param", "code"}
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """Each event's data, comments left out; `[DONE]` as it stands."""
        found = [line.removeprefix("data: ") for line in self.text.split("\n\n") if line]
        data = [one for one in found if not one.startswith(":")]
        return [one if one == "[DONE]" else json.loads(one) for one in data]


async def call(token: str, sent: Any = None, **more: Any) -> Called:
    return await Called(token, sent, **more).all()
