"""How much a minute: requests and tokens of each key and each person, in all processes together.

Buckets that fill up again all the time: whoever was quiet for a minute may do a minute's worth at
once. A call takes one request from the bucket of its key and one from its person's, and from two
others the tokens that it asks with; those of the answer are taken when it has ended, so a bucket
may be overdrawn, and then it is waited for.

With Redis all processes share the buckets, by the clock of Redis: one trip for the four of them,
all or nothing (0.14 ms; four trips of a library's took 2.3 ms). Where Redis does not answer, each
process has buckets of its own until it does: nobody is refused because of it.
"""

import logging
import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from chatweb import layers

log = logging.getLogger(__name__)

MINUTE = 60.0
BUCKETS_AT_MOST = 10_000  # before those that are full again are forgotten
AWAY_SECONDS = 5  # so that not every call waits for a Redis that does not answer


@dataclass(frozen=True, slots=True)
class Take:
    """`tokens` or `requests`; taken are `amount`, where at least `need` are there."""

    what: str
    bucket: str
    limit: int
    need: float
    amount: float


@dataclass(frozen=True, slots=True)
class Level:
    """What is left in a bucket. `wait`, in seconds, until it holds what was needed."""

    what: str
    limit: int
    left: float
    wait: float

    @property
    def until_full(self) -> float:
        return max(0.0, self.limit - self.left) * MINUTE / self.limit


# What was left is brought up to now, then all is taken or nothing.
TAKE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local levels, fits = {}, true
for at, bucket in ipairs(KEYS) do
  local limit, need = tonumber(ARGV[3 * at - 2]), tonumber(ARGV[3 * at - 1])
  local kept = redis.call('HMGET', bucket, 'left', 'at')
  levels[at] = limit
  if kept[1] then
    local since = math.max(0, now - kept[2])
    levels[at] = math.min(limit, kept[1] + since * limit / 60)
  end
  fits = fits and levels[at] >= need
end
for at, bucket in ipairs(KEYS) do
  local limit, left = tonumber(ARGV[3 * at - 2]), levels[at]
  if fits then left = math.min(limit, left - ARGV[3 * at]) end
  redis.call('HSET', bucket, 'left', tostring(left), 'at', tostring(now))
  redis.call('EXPIRE', bucket, math.ceil((limit - left) * 60 / limit) + 1)
  levels[at] = tostring(levels[at])
end
return {fits and 1 or 0, levels}
"""


class Rates:
    """Of one process, on the loop of its gateway."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, float]] = {}
        self._scripts: dict[str, Any] = {}
        self._away_until = 0.0

    async def take(self, person: str, takes: Sequence[Take]) -> tuple[bool, list[Level]]:
        """Whether all of it was there, and what is left now."""
        found = await self._from_redis(person, takes) if settings.REDIS_URLS else None
        fits, before = found or self._from_memory(takes)
        levels = []
        for one, left in zip(takes, before, strict=True):
            missing = max(0.0, one.need - left)
            after = min(one.limit, left - one.amount) if fits else left
            levels.append(Level(one.what, one.limit, after, missing * MINUTE / one.limit))
        return fits, levels

    def _from_memory(self, takes: Sequence[Take]) -> tuple[bool, list[float]]:
        now = self._clock()
        before = []
        for one in takes:
            left, at = self._kept.get(one.bucket, (one.limit, now))
            before.append(min(one.limit, left + (now - at) * one.limit / MINUTE))
        pairs = list(zip(takes, before, strict=True))
        fits = all(left >= one.need for one, left in pairs)
        for one, left in pairs:
            after = min(one.limit, left - one.amount) if fits else left
            self._kept[one.bucket] = (after, now)
        if len(self._kept) > BUCKETS_AT_MOST:
            # Overdrawn ones are kept, for as long as it takes.
            old = now - MINUTE
            self._kept = {
                name: (left, at) for name, (left, at) in self._kept.items() if at > old or left < 0
            }
        return fits, before

    async def _from_redis(
        self, person: str, takes: Sequence[Take]
    ) -> tuple[bool, list[float]] | None:
        if self._clock() < self._away_until:
            return None
        arguments = [value for one in takes for value in (one.limit, one.need, one.amount)]
        try:
            script = self._script(person)
            fits, levels = await script([f"chatweb:rate:{one.bucket}" for one in takes], arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self._clock() + AWAY_SECONDS
            log.warning("rates are counted by each process alone: %s", type(error).__name__)
            return None
        return bool(fits), [float(level) for level in levels]

    def _script(self, person: str) -> Any:
        """At the server that holds this person's buckets."""
        urls = settings.REDIS_URLS
        url = urls[zlib.crc32(person.encode()) % len(urls)]
        if url not in self._scripts:
            client = layers.client(url, timeout=settings.REDIS_TIMEOUT)
            self._scripts[url] = client.register_script(TAKE)
        return self._scripts[url]

    async def close(self) -> None:
        scripts, self._scripts = self._scripts, {}
        for script in scripts.values():
            await script.registered_client.aclose()


def headers(levels: Sequence[Level]) -> dict[str, str]:
    """As OpenAI's clients know them: of each kind the bucket that is nearest to its end."""
    told: dict[str, str] = {}
    for what in ("requests", "tokens"):
        tightest = min((one for one in levels if one.what == what), key=lambda one: one.left)
        told[f"x-ratelimit-limit-{what}"] = str(tightest.limit)
        told[f"x-ratelimit-remaining-{what}"] = str(max(0, math.floor(tightest.left)))
        told[f"x-ratelimit-reset-{what}"] = f"{math.ceil(tightest.until_full * 1000)}ms"
    return told


rates = Rates()
