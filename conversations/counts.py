"""What this process has counted, as plain numbers; `metrics` reads them when somebody asks.

Nothing is done for a token. What happens once a frame costs an addition or two, on the event loop;
the rest comes from any thread and is rare enough for a lock.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable
from datetime import datetime
from typing import TypeVar

from django.utils import timezone

Key = TypeVar("Key", bound=Hashable)

# Labels come from code: states, error codes, names of views (some 200, with four classes of status
# each). Should one ever not, it stops here.
LABELS_AT_MOST = 1_000


class Histogram:
    """Seconds, by how many were at most so long. Not cumulative: one addition an observation."""

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Counts:
    """Of one process, since it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Answers that the relay of this process reads at this moment.
        self.running = 0
        self.keyframes = 0
        # Frames that viewers who are behind did not get.
        self.skipped = 0
        # From having read words to having handed them to every socket here.
        self.delay = Histogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
        # When words of each upstream were last read, by time.monotonic().
        self.upstream_heard: dict[str, float] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.first_token = Histogram(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
        self.duration = Histogram(0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900)
        self.upstream_errors: Counter[str] = Counter()
        # Of programs, and what they come to.
        self.calls_running = 0
        self.calls: Counter[str] = Counter()
        self.call_first_token = Histogram(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
        self.call_time = Histogram(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.request_time = Histogram(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self.database_errors = 0

    def frame(self, read_at: float, upstream: str) -> None:
        """Words that were read at `read_at`, by time.monotonic(), have been shown."""
        self.upstream_heard[upstream] = now = time.monotonic()
        self.delay.observe(now - read_at)

    def generation_ended(
        self, state: str, outcome: str, asked_at: datetime, first_token_at: datetime | None = None
    ) -> None:
        """`outcome` is the reason why it finished or a code of why it did not."""
        with self._lock:
            _count(self.ended, (state, outcome))
            self.duration.observe((timezone.now() - asked_at).total_seconds())
            if first_token_at is not None:
                self.first_token.observe((first_token_at - asked_at).total_seconds())

    def upstream_error(self, code: str) -> None:
        with self._lock:
            _count(self.upstream_errors, code)

    def call_ended(self, outcome: str, seconds: float) -> None:
        """`outcome` is `done`, `left` where the caller did not stay, or a code of ours."""
        with self._lock:
            _count(self.calls, outcome)
            self.call_time.observe(seconds)

    def request(self, view: str, status: int, seconds: float) -> None:
        with self._lock:
            _count(self.requests, (view, f"{status // 100}xx"))
            self.request_time.observe(seconds)

    def database_error(self) -> None:
        with self._lock:
            self.database_errors += 1


def _count(counter: "Counter[Key]", key: Key) -> None:
    if key in counter or len(counter) < LABELS_AT_MOST:
        counter[key] += 1


counts = Counts()
