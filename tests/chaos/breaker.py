"""What goes wrong in a chaos run, and when it did."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.chaos.engines import Engines
from tests.chaos.storyteller import Storyteller
from tests.house import House, Web
from tests.processes import Program

REDIS, DATABASE, SOCKETS = "redis", "database", "sockets"


@dataclass
class Log:
    """Times are of time.monotonic(); `kills` holds the process numbers of killed relays."""

    kills: dict[int, float] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    spells: list[tuple[str, float, float]] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)

    def was_calm(self, part: str, since: float, until: float) -> bool:
        return not any(
            name == part and began < until and ended > since for name, began, ended in self.spells
        )

    @contextmanager
    def spell(self, part: str, *, after: float) -> Iterator[None]:
        """Things may be wrong for `after` seconds more."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spells.append((part, began, time.monotonic() + after))


class Staff:
    """The processes: two that serve and two relays, replaced when they end."""

    def __init__(self, house: House, log: Log) -> None:
        self.webs: list[Web] = []
        self.relays: list[Program] = []
        self._house = house
        self._log = log

    async def begin(self) -> None:
        await asyncio.gather(*(self.hire_web() for _ in range(2)))
        await asyncio.gather(*(self.hire_relay() for _ in range(2)))

    async def hire_web(self) -> None:
        web = await asyncio.to_thread(self._house.web, "--relay", "outside")
        self.webs.append(web)

    async def hire_relay(self) -> None:
        self.relays.append(await asyncio.to_thread(self._house.relay))

    async def end_web(self, web: Web, number: signal.Signals) -> None:
        self.webs.remove(web)
        await self._end("web", web.program, number)
        await self.hire_web()

    async def end_relay(self, relay: Program, number: signal.Signals) -> None:
        self.relays.remove(relay)
        if number == signal.SIGKILL:
            self._log.kills[relay.process.pid] = time.monotonic()
        await self._end("relay", relay, number)
        await self.hire_relay()

    async def _end(self, kind: str, one: Program, number: signal.Signals) -> None:
        one.send(number)
        code = await asyncio.to_thread(one.ended, 30)
        self._log.outputs.append((f"{kind} {one.process.pid} ended with {code}", one.output))

    async def leave(self) -> None:
        """All of them; what they had to say is in the log."""
        everybody = [("web", web.program) for web in self.webs]
        everybody += [("relay", relay) for relay in self.relays]
        await asyncio.gather(*(self._end(kind, one, signal.SIGTERM) for kind, one in everybody))


class Breaker:
    """Does one thing after the other, of `faults` or, with `kills`, only that."""

    def __init__(
        self,
        staff: Staff,
        engines: Engines,
        log: Log,
        *,
        stories: Storyteller,
        cut_pages: Callable[[], None],
        chance: random.Random,
    ) -> None:
        self._staff = staff
        self._engines = engines
        self._log = log
        self._stories = stories
        self._cut_pages = cut_pages
        self._chance = chance
        faults: list[Callable[[], Awaitable[None]]] = [
            self.kill_relay,
            self.kill_relay,
            self.end_relay,
            self.kill_web,
            self.end_web,
            self.restart_redis,
            self.pause_redis,
            self.flush_redis,
            self.cut_redis,
            self.fill_redis,
            self.cut_sockets,
            self.cut_sockets,
            self.cut_database,
            self.take_database,
        ]
        self._faults = faults

    async def run(self, *, pause: float, until: asyncio.Event) -> None:
        """`pause` seconds, on average, between two faults. Each comes once before one comes again;
        what was begun is made good."""
        coming: list[Callable[[], Awaitable[None]]] = []
        while True:
            coming = coming or self._chance.sample(self._faults, len(self._faults))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(0.3, 1.7) * pause):
                    await until.wait()
                    return
            fault = coming.pop()
            await fault()
            self._count(fault.__name__)

    async def kill_relays(self, kills: int) -> None:
        """Each in the middle of answers."""
        for _ in range(kills):
            begun = time.monotonic()
            await asyncio.sleep(self._chance.uniform(0.5, 2))
            while not self._is_speaking(since=begun):  # noqa: ASYNC110  no bell rings
                await asyncio.sleep(0.05)
            await self.kill_relay()
            self._count("kill_relay")

    def _count(self, name: str) -> None:
        self._log.times[name] = self._log.times.get(name, 0) + 1

    def _is_speaking(self, since: float) -> bool:
        return any(
            call.said and call.said[-1][0] > time.monotonic() - 0.2 and call.said[0][0] > since - 5
            for call in self._stories.calls[-50:]
        )

    # --- Processes ---

    async def kill_relay(self) -> None:
        await self._staff.end_relay(self._chance.choice(self._staff.relays), signal.SIGKILL)

    async def end_relay(self) -> None:
        await self._staff.end_relay(self._chance.choice(self._staff.relays), signal.SIGTERM)

    async def kill_web(self) -> None:
        await self._staff.end_web(self._chance.choice(self._staff.webs), signal.SIGKILL)

    async def end_web(self) -> None:
        await self._staff.end_web(self._chance.choice(self._staff.webs), signal.SIGTERM)

    async def cut_sockets(self) -> None:
        self._cut_pages()

    # --- Redis ---

    async def restart_redis(self) -> None:
        with self._log.spell(REDIS, after=4):
            await asyncio.to_thread(self._engines.redis.restart)

    async def pause_redis(self) -> None:
        with self._log.spell(REDIS, after=4):
            self._engines.redis.pause()
            await asyncio.sleep(self._chance.uniform(0.5, 4))
            self._engines.redis.resume()

    async def flush_redis(self) -> None:
        with self._log.spell(REDIS, after=4):
            await asyncio.to_thread(self._engines.redis.flush)

    async def cut_redis(self) -> None:
        with self._log.spell(REDIS, after=4):
            await asyncio.to_thread(self._engines.redis.disconnect_all)

    async def fill_redis(self) -> None:
        with self._log.spell(REDIS, after=4):
            await asyncio.to_thread(self._engines.redis.limit_memory, 1)
            await asyncio.sleep(2)
            await asyncio.to_thread(self._engines.redis.limit_memory, 0)

    # --- The database ---

    async def cut_database(self) -> None:
        """All its connections; a SQLite file has none to cut, and is locked for a moment."""
        with self._log.spell(DATABASE, after=4):
            if self._engines.postgres is not None:
                await asyncio.to_thread(self._engines.postgres.disconnect, self._engines.database)
            else:
                await self._lock_file(0.3)

    async def take_database(self) -> None:
        """Away, or frozen, for a while."""
        with self._log.spell(DATABASE, after=4):
            server = self._engines.postgres
            if server is None:
                await self._lock_file(self._chance.uniform(1, 3))
            elif self._chance.random() < 0.5:
                await asyncio.to_thread(server.restart)
            else:
                server.pause()
                await asyncio.sleep(self._chance.uniform(0.5, 3))
                server.resume()

    async def _lock_file(self, seconds: float) -> None:
        """Nobody writes."""

        def lock() -> None:
            with contextlib.closing(
                sqlite3.connect(self._engines.database, isolation_level=None, timeout=20)
            ) as file:
                file.execute("BEGIN IMMEDIATE")
                time.sleep(seconds)
                file.execute("ROLLBACK")

        await asyncio.to_thread(lock)
