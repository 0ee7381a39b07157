"""Several processes of one portal, as an operator runs them, and people's programs around them."""

import asyncio
import re
from contextlib import ExitStack, suppress
from typing import Any, Self

import httpx
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from conversations.models import User
from tests.processes import Program, program
from tests.relays import database_url
from tests.viewers import Viewer, session_of


class Web:
    """One `manage.py serve`."""

    def __init__(self, running: Program, patience: float = 120) -> None:
        self.program = running
        ready = running.line_with(" serves Chatweb at ", patience)
        self.port = int(ready.rpartition(":")[2])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class House:
    """Starts processes that share a database, a Redis and an upstream; all end with the test.
    They are run by `manage.py`, or what takes its place."""

    def __init__(self, programs: ExitStack, **env: str) -> None:
        self._programs = programs
        self.manage: tuple[str, ...] = ("manage.py",)
        self.patience = 120.0  # seconds for a process to be there, on a machine with other work
        self.env = {
            "DJANGO_SETTINGS_MODULE": "chatweb.settings",
            "DATABASE_URL": database_url(),
            "SECRET_KEY": settings.SECRET_KEY,  # or the sessions of our making were none
            "SECURE": "off",
            "LOCAL_MODEL": "off",
            "UPSTREAM_CONTINUES": "on",
            "RELAY_POLL_SECONDS": "0.2",
            "TICK_SECONDS": "0.3",
            "RIGHTS_CHECK_SECONDS": "0.2",
        } | env

    def web(self, *options: str, **env: str) -> Web:
        return Web(self.start("serve", "--port", "0", *options, **env), self.patience)

    def relay(self, **env: str) -> Program:
        running = self.start("runrelay", **env)
        running.line_with("The relay is ready.", self.patience)
        return running

    def start(self, *command: str, **env: str) -> Program:
        arguments = (*self.manage, *command)
        return self._programs.enter_context(program(*arguments, env=self.env | env))


class ServedSocket:
    """What `Viewer` asks of a socket, over a real connection to a process."""

    def __init__(self, port: int, cookie: str) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._port = port
        self._cookie = cookie
        self._socket: ClientConnection | None = None

    async def connect(self, **_limits: float) -> tuple[bool, None]:
        self._socket = await connect(
            f"ws://127.0.0.1:{self._port}/ws/",
            origin=Origin(f"http://127.0.0.1:{self._port}"),
            additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={self._cookie}"},
            proxy=None,
            max_size=None,
        )
        return True, None

    async def send_to(self, *, text_data: str) -> None:
        assert self._socket is not None
        with suppress(ConnectionClosed):  # whoever reads is told
            await self._socket.send(text_data)

    async def receive_output(self, **_limits: float) -> dict[str, Any]:
        assert self._socket is not None
        try:
            return {"type": "websocket.send", "text": await self._socket.recv()}
        except ConnectionClosed:
            return {"type": "websocket.close", "code": self._socket.close_code}

    async def disconnect(self, **_limits: float) -> None:
        if self._socket is not None:
            await self._socket.close()


async def viewer(web: Web, user: User) -> Viewer:
    """Signed in and with an open socket to this process; to be used with `async with`."""
    from tests.relays import db

    cookie = await db(session_of, user)
    return Viewer(cookie, socket=ServedSocket(web.port, cookie))


class Person:
    """A browser without a page: signed in, with a CSRF token, sending forms to one process."""

    def __init__(self, web: Web, cookie: str) -> None:
        self.web = web
        self._client = httpx.AsyncClient(
            base_url=web.address, cookies={settings.SESSION_COOKIE_NAME: cookie}, timeout=70
        )

    async def __aenter__(self) -> Self:
        page = await self._client.get("/account/")
        assert page.status_code == 200, page.text
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
        self._client.headers.update({"X-CSRFToken": token, "HX-Request": "true"})
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(path)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        return await self._client.post(path, data=fields)


async def person(web: Web, user: User) -> Person:
    from tests.relays import db

    return Person(web, await db(session_of, user))
