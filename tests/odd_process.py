"""A program of the portal's to which odd things happen: `python -m tests.odd_process runrelay`.

SIGUSR1 keeps its event loop busy for BUSY_SECONDS, while its threads go on. SIGUSR2 moves its clock
by CLOCK_MOVES seconds; it runs on from there.
"""

import os
import signal
import time
from datetime import datetime, timedelta

from django.core.management import execute_from_command_line
from django.utils import timezone

MOVED = timedelta(seconds=float(os.environ.get("CLOCK_MOVES", "0")))
_real = timezone.now
_moved = timedelta()


def now() -> datetime:
    return _real() + _moved


def move(*_signal: object) -> None:
    global _moved  # noqa: PLW0603  a process has one clock
    _moved = MOVED


def be_busy(*_signal: object) -> None:
    """Signals are handled by the main thread, which the event loop has."""
    time.sleep(float(os.environ["BUSY_SECONDS"]))


if __name__ == "__main__":
    timezone.now = now  # before any model takes it as a default
    signal.signal(signal.SIGUSR1, be_busy)
    signal.signal(signal.SIGUSR2, move)
    execute_from_command_line()
