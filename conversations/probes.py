"""/healthz, /readyz and /metrics: what machines ask, in front of everything that people ask.

Answered before Django sees the request, on the event loop: a process whose threads all wait for a
database is still alive and says so. No session, no cookie, no redirect, and any Host: balancers ask
by address and over plain HTTP, and the answers depend on nothing that a request says but the token.
A process without pages, or one of several on the same port, answers on a port of its own.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from django.conf import settings

from conversations import health, metrics
from conversations.origins import App, Scope

log = logging.getLogger(__name__)

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
REQUEST_MAX_BYTES = 8_192
REQUEST_TIMEOUT = 5  # seconds, to send its few lines
COMMON_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    kind: str
    body: bytes

    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": self.kind,
            "Content-Length": str(len(self.body)),
            **COMMON_HEADERS,
        }


NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, TEXT, b"Not found.\n")
NOT_ALLOWED = Answer(HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"Only GET and HEAD.\n")


async def _alive(_authorization: str) -> Answer:
    return Answer(HTTPStatus.OK, JSON, b'{"state":"alive"}')


async def _ready(_authorization: str) -> Answer:
    report = await health.report()
    parts = {
        name: {"state": part.state, "age": None if part.age is None else round(part.age, 1)}
        for name, part in report.parts.items()
    }
    status = HTTPStatus.OK if report.is_fit else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, JSON, orjson.dumps({"state": report.state, "parts": parts}))


async def _metrics(authorization: str) -> Answer:
    """Whoever does not know the token does not learn that there is one."""
    token = settings.METRICS_TOKEN
    expected = f"Bearer {token}".encode()
    if not token or not hmac.compare_digest(authorization.encode("latin-1"), expected):
        return NOT_FOUND
    return Answer(HTTPStatus.OK, metrics.CONTENT_TYPE, await metrics.page())


ADDRESSES: dict[str, Callable[[str], Awaitable[Answer]]] = {
    "/healthz": _alive,
    "/readyz": _ready,
    "/metrics": _metrics,
}


async def answer(method: str, path: str, authorization: str) -> Answer:
    found = ADDRESSES.get(path)
    if found is None:
        return NOT_FOUND
    if method not in {"GET", "HEAD"}:
        return NOT_ALLOWED
    return await found(authorization)


class Probes:
    """In front of the pages."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] not in ADDRESSES:
            await self.app(scope, receive, send)
            return
        told = await answer(scope["method"], scope["path"], _authorization(scope))
        headers = [(name.encode(), value.encode()) for name, value in told.headers().items()]
        await send({"type": "http.response.start", "status": told.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else told.body
        await send({"type": "http.response.body", "body": body})


def _authorization(scope: Scope) -> str:
    headers = {name.lower(): value for name, value in scope["headers"]}
    value: bytes = headers.get(b"authorization", b"")
    return value.decode("latin-1")


# --- On a port of its own -----------------------------------------------------------------------


def beside(number: int = 0) -> dict[str, Callable[[], Awaitable[None]]]:
    """The job that answers on METRICS_PORT, plus the process's `number`; none when that is off."""
    if not settings.METRICS_PORT:
        return {}
    return {"metrics": lambda: serve(settings.METRICS_PORT + number)}


async def serve(port: int, on_ready: Callable[[int], None] | None = None) -> None:
    """Answers on loopback alone, until cancelled. Port 0 picks a free one, told to `on_ready`.

    Raises OSError when the port is taken.
    """
    server = await asyncio.start_server(_one_request, "127.0.0.1", port, limit=REQUEST_MAX_BYTES)
    async with server:
        if on_ready is not None:
            on_ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def _one_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            head = await reader.readuntil(b"\r\n\r\n")
        method, told = await _answer_to(head.decode("latin-1"))
        lines = [f"HTTP/1.1 {told.status.value} {told.status.phrase}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in told.headers().items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        writer.write(b"" if method == "HEAD" else told.body)
        async with asyncio.timeout(REQUEST_TIMEOUT):
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        log.debug("a probe broke off: %s", type(error).__name__)
    finally:
        writer.close()


async def _answer_to(head: str) -> tuple[str, Answer]:
    first, *lines = head.split("\r\n")
    match first.split(" "):
        case [method, target, _version]:
            fields = [line.partition(":") for line in lines]
            headers = {name.lower(): value.strip() for name, _colon, value in fields}
            path = target.partition("?")[0]
            return method, await answer(method, path, headers.get("authorization", ""))
        case _:
            return "", Answer(HTTPStatus.BAD_REQUEST, TEXT, b"Not a request.\n")
