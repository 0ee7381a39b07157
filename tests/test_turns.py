"""So many pages at once, and no more."""

import asyncio
from typing import Any

from pytest_django import Settings

from chatweb.turns import Turns


class Application:
    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside.append(scope["path"])
        self.most = max(self.most, len(self.inside))
        try:
            await self.go.wait()
        finally:
            self.inside.remove(scope["path"])


async def settle() -> None:
    for _step in range(10):
        await asyncio.sleep(0)


async def test_more_pages_than_set_wait_and_come_in_order(settings: Settings) -> None:
    settings.PAGES_AT_ONCE = 2
    application = Application()
    turns = Turns(application)
    asked = [asyncio.ensure_future(turns({"path": f"/{n}"}, None, None)) for n in range(5)]
    await settle()
    assert application.inside == ["/0", "/1"]
    asked[0].cancel()
    await settle()
    assert application.inside == ["/1", "/2"]
    application.go.set()
    await asyncio.wait(asked)
    assert application.most == 2
