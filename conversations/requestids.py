"""A name for each request, in its answer and in all that the log says of it."""

import re
import secrets
from typing import Any

from django.conf import settings

from chatweb import logs
from conversations.origins import App, Scope

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class RequestIds:
    """Around everything else. Sockets have one as well, for the log alone."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        name = _given(scope) or secrets.token_hex(8)
        logs.request_id.set(name)  # a request has a task and so a context of its own

        async def named(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = message | {
                    "headers": [*message.get("headers", ()), (HEADER, name.encode())]
                }
            await send(message)

        await self.app(scope, receive, named)


def _given(scope: Scope) -> str:
    """The proxy's name for it. Anybody else could make two requests look like one."""
    if not settings.BEHIND_PROXY:
        return ""
    given = [value for name, value in scope["headers"] if name.lower() == HEADER]
    return given[0].decode() if len(given) == 1 and SANE.fullmatch(given[0]) else ""
