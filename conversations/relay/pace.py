"""How often a growing answer is shown."""

import asyncio
import time

from django.conf import settings


class Pace:
    """Spaces the frames of one answer. The process has a budget of frames a second; the more
    answers share it the longer the spaces get, between the two rates of the settings."""

    def __init__(self) -> None:
        self._due = 0.0

    async def rest(self, running: int) -> None:
        """Sleeps until the next frame is due; what arrives meanwhile comes in one read."""
        now = time.monotonic()
        self._due = max(now, self._due + interval(running))
        if self._due > now:
            await asyncio.sleep(self._due - now)

    def begin(self) -> None:
        self._due = time.monotonic()


def interval(running: int) -> float:
    """Seconds between the frames of one answer while `running` answers are written."""
    fastest = 1 / settings.RELAY_FRAMES_PER_SECOND
    slowest = max(fastest, 1 / settings.RELAY_FRAMES_PER_SECOND_LOADED)
    return min(slowest, max(fastest, running / settings.RELAY_FRAMES_PER_PROCESS))
