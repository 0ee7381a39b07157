"""Requests that come as a server hands them to the application, in front of Django."""

import json
from dataclasses import dataclass
from typing import Any

from channels.testing import HttpCommunicator

from chatweb.asgi import application


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask_for(path: str, method: str = "GET", **headers: str) -> Got:
    """Underscores in the names of headers stand for hyphens."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    answer = await HttpCommunicator(application, method, path, headers=sent).get_response(10)
    told = {name.decode().lower(): value.decode() for name, value in answer["headers"]}
    return Got(answer["status"], told, answer["body"])
