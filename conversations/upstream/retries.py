"""When a request that brought nothing is sent again."""

import math
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from .config import Limits
from .errors import Disconnected, NoQuota, TLSFailed, Unreachable, UpstreamError

FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
# What a server may ask for at most and still be believed: a day.
LONGEST_WAIT = 86_400.0


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds that the server asks us to wait (RFC 9110, 10.2.3, and `retry-after-ms`).

    None where it says nothing usable. `now` is the wall clock, which HTTP dates are read against.
    """
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return min(seconds, LONGEST_WAIT)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


class RetryPlan:
    """Decides after each failure whether to send once more; one plan a request.

    At most `limits.retries` times and only when the wait still fits into `limits.retry_budget`
    seconds since the start.
    """

    def __init__(self, limits: Limits, jitter: Callable[[], float]) -> None:
        self._limits = limits
        self._jitter = jitter
        self._sent = 1
        self._disconnects = 0

    @property
    def attempt(self) -> int:
        return self._sent

    def delay(self, error: UpstreamError, *, elapsed: float) -> float | None:
        """Seconds to wait before the next attempt, or None to give up."""
        if self._sent > self._limits.retries or not self._worthwhile(error):
            return None
        delay = error.retry_after
        if delay is None:
            longest: float = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self._sent - 1))
            delay = longest * (1 - 0.25 * self._jitter())
        if elapsed + delay > self._limits.retry_budget:
            return None
        self._sent += 1
        return delay

    def _worthwhile(self, error: UpstreamError) -> bool:
        if isinstance(error, NoQuota | TLSFailed):
            return False
        if isinstance(error, Disconnected):
            # The server may have begun to work on it: once for a connection that went stale.
            self._disconnects += 1
            return self._disconnects == 1
        return isinstance(error, Unreachable) or error.resend is True
