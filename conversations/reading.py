"""What people have read, as their pages say over their sockets: put away together now and then.

A page says it when it is seen and its reader is at the end. One transaction every few seconds for
all pages of the process: one each, as over HTTP, would cost as much as the question that 500 read.
What is not put away when a process dies is said again by the pages that come back.
"""

import asyncio
import logging
from contextvars import Context

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as AnyDatabaseError

from conversations import actions
from conversations.counts import counts

log = logging.getLogger(__name__)


class Reading:
    """One for a process. Everything belongs to the event loop."""

    def __init__(self) -> None:
        self._up_to: dict[tuple[str, str], int] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, person: str, conversation: str, revision: int) -> None:
        """By public ids; the caller has asked whether the person may read there. At most one note
        for each of a person's sockets and conversations waits."""
        pair = (person, conversation)
        self._up_to[pair] = max(revision, self._up_to.get(pair, 0))
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            # In a context of its own: it is for many, though one begins it.
            self._task = asyncio.get_running_loop().create_task(self._put_away(), context=Context())

    async def _put_away(self) -> None:
        while self._up_to:
            await asyncio.sleep(settings.READ_SECONDS)
            up_to, self._up_to = self._up_to, {}
            try:
                await database_sync_to_async(actions.attention.read, thread_sensitive=False)(
                    up_to=up_to
                )
            except AnyDatabaseError:
                counts.database_error()
                log.exception("what people have read was not put away; trying again")
                for pair, revision in up_to.items():
                    self._up_to[pair] = max(revision, self._up_to.get(pair, 0))


reading = Reading()
