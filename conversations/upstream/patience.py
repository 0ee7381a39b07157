"""A time limit for many short waits."""

import asyncio
import time
from types import TracebackType
from typing import Self


class Patience:
    """Bounds waits as `asyncio.timeout_at` does, with one timer for many of them.

    A stream waits 25 times a second, and a timer for each wait is a good tenth of what reading
    costs; here one is set again only when it rings too early. Use it as a context manager in one
    task at a time: after `until` (time.monotonic()) the wait ends with TimeoutError.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._rings_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def until(self, until: float) -> Self:
        self._until = until
        return self

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
        if self._timer is None or self._rings_at > self._until:
            self._set()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._expired and task is not None:
            self._expired = False
            # Somebody else's cancellation goes ahead of ours, as in asyncio.timeout.
            if task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
                raise TimeoutError from exc

    def _set(self) -> None:
        self.close()
        self._rings_at = self._until
        delay = max(self._until - time.monotonic(), 0)
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if time.monotonic() < self._until:
            self._set()
        else:
            self._expired = True
            self._task.cancel()
