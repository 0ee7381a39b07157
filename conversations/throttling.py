"""Where it is counted how often somebody tried something."""

import threading
import time
from collections import Counter
from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.db import OperationalError


class Attempts(DatabaseCache):
    """Django's, which takes a database that takes no writes for an entry that is there already:
    people would hear that they tried too often."""

    def add(self, key: str, value: Any, *arguments: Any, **named: Any) -> bool:
        """Raises django.db.Error when the table cannot be read or written."""
        if super().add(key, value, *arguments, **named):
            return True
        if self.get(key, version=named.get("version")) is None:
            raise OperationalError("the database takes no writes")
        return False


class Turnstile:
    """Lets each person through so often a minute, in this process. Holds a number for each who came
    within the minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def lets(self, person: str, most: int) -> bool:
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            self._counts[person] += 1
            return self._counts[person] <= most
