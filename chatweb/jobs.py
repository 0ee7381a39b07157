"""Jobs that a process does all its life, and how they end with it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from django.conf import settings

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


async def keep_running(name: str, job: Job) -> None:
    """Starts a job anew whenever it ends, and says so: without it people wait for nothing."""
    while True:
        task = asyncio.ensure_future(job())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        error = None if task.cancelled() else task.exception()
        log.critical("The %s ended and is started again.", name, exc_info=error)
        await asyncio.sleep(settings.RESTART_SECONDS)


async def settle(tasks: Iterable["asyncio.Future[None]"], deadline: float) -> None:
    """Waits for all of them, until `deadline` by time.monotonic() or a moment at least."""
    waiting = set(tasks)
    if waiting:
        await asyncio.wait(waiting, timeout=max(0.1, deadline - time.monotonic()))


async def end(jobs: Iterable["asyncio.Task[None]"], deadline: float) -> None:
    """The last first: what was started earlier may be needed to the end by what came after it."""
    for job in reversed(tuple(jobs)):
        job.cancel()
        await settle([job], deadline)
