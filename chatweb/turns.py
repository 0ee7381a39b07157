"""How many pages are made at once."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings


class Turns:
    """Lets so many requests into the application as the settings say; the others wait, in order.

    Each request takes a thread, and on PostgreSQL a connection, as soon as it begins. When
    everybody comes back after a restart, a line costs nothing and a thousand threads do.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        if loop not in self._rooms:
            self._rooms[loop] = asyncio.Semaphore(settings.PAGES_AT_ONCE)
        async with self._rooms[loop]:
            await self._application(scope, receive, send)
