"""How this process and what it needs are doing, for whoever decides where requests go.

Three parts make a process unfit: the database away, migrations that it has not had, and leaving.
Pages work without the rest (the channel layer, a relay, the model server): every process would miss
it at once, so taking one after the other out of rotation would turn half a failure into a whole
one. That is "degraded", and fit.

Looking takes time, so whoever asks hears what is known and how old it is. It is looked up again
when it has become too old, by one look at a time, and nobody waits long for it. Nobody asking costs
nothing.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import connection, connections

from conversations import catalogue, events
from conversations.counts import counts
from conversations.models import Generation, Worker
from conversations.upstream import BadKey, Client, NoQuota, Refused, ServerFailed, UpstreamError

log = logging.getLogger(__name__)
T = TypeVar("T")

UP, DOWN, UNKNOWN, NOT_USED, NOT_MIGRATED = "up", "down", "unknown", "not used", "not migrated"


@dataclass(frozen=True, slots=True)
class Part:
    """Its state, and for how many seconds that has been known; None: not known at all."""

    state: str
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    state: str
    is_fit: bool
    parts: dict[str, Part]
    # Generations that wait, when the database last answered.
    queued: int


@dataclass(frozen=True, slots=True)
class Tables:
    """What one look at the database brings."""

    applied: frozenset[tuple[str, str]]
    is_migrated: bool
    beats: dict[str, int]
    queued: int


class Look(Generic[T]):
    """The last result of something that takes time, and at most one task that looks again."""

    def __init__(self, look: Callable[[], Awaitable[T]]) -> None:
        self.found: T | None = None
        self._look = look
        self._found_at: float | None = None
        self._begun_at = 0.0
        self._task: asyncio.Task[T] | None = None

    @property
    def age(self) -> float | None:
        return None if self._found_at is None else time.monotonic() - self._found_at

    @property
    def is_stuck(self) -> bool:
        task = self._task
        return (
            task is not None
            and not task.done()
            and time.monotonic() - self._begun_at >= settings.HEALTH_TIMEOUT
        )

    async def refresh(self, *, older_than: float) -> None:
        """Begins to look if what is known is older, in seconds. Waits for it, but not for long."""
        task = self._task
        if task is None or task.done():
            if self.age is not None and self.age < older_than:
                return
            self._begun_at = time.monotonic()
            # In a context of its own: what it logs is not about the request that asked.
            task = asyncio.get_running_loop().create_task(self._run(), context=Context())
            task.add_done_callback(self._finished)
            self._task = task
        if self.is_stuck:
            return  # somebody has waited before
        await asyncio.wait({task}, timeout=settings.HEALTH_TIMEOUT)

    async def _run(self) -> T:
        self.found = await self._look()
        self._found_at = time.monotonic()
        return self.found

    def _finished(self, task: "asyncio.Task[T]") -> None:
        if not task.cancelled() and (error := task.exception()):
            self.found = None
            log.error("looking after the portal's health failed", exc_info=error)


class Beats:
    """Whether some relay lives: judged by numbers that change between two looks, by no clock."""

    def __init__(self) -> None:
        self._seen: dict[str, int] | None = None
        self._looked = self._changed = 0.0
        self._has_changed = False

    def look(self, beats: dict[str, int]) -> None:
        self._looked = time.monotonic()
        if self._seen is None:
            self._changed = self._looked
        elif any(self._seen.get(name) != number for name, number in beats.items()):
            self._has_changed, self._changed = True, self._looked
        self._seen = beats

    @property
    def state(self) -> str:
        if not self._seen or self._looked - self._changed >= settings.RELAY_LEASE_SECONDS:
            return DOWN
        return UP if self._has_changed else UNKNOWN


class Health:
    """Of this process, on its event loop."""

    def __init__(self) -> None:
        self.is_leaving = False
        self._tables: Look[Tables | None] = Look(self._look_into_tables)
        self._beats = Beats()
        self._upstreams: dict[str, Look[bool]] = {}
        self._told: dict[str, str] = {}

    async def report(self) -> Report:
        looks = [self._tables.refresh(older_than=settings.HEALTH_SECONDS)]
        names = list(catalogue.upstreams())
        for name in names:
            look = self._upstreams.setdefault(name, Look(partial(_upstream_answers, name)))
            if _upstream_age(name) > settings.HEALTH_UPSTREAM_SECONDS:
                looks.append(look.refresh(older_than=settings.HEALTH_UPSTREAM_SECONDS))
        await asyncio.gather(*looks)
        servers = {name: self._server(name) for name in names}
        parts = {
            "database": self._database(),
            "layer": _layer(),
            "relay": self._relay(),
            "upstream": _worst(servers.values()),
        }
        if len(servers) > 1:
            parts |= {f"upstream {name}": part for name, part in servers.items()}
        self._tell_changes(parts)
        is_fit = parts["database"].state == UP and not self.is_leaving
        tables = self._tables.found
        return Report(
            state=self._state(parts, is_fit=is_fit),
            is_fit=is_fit,
            parts=parts,
            queued=tables.queued if tables else 0,
        )

    def _state(self, parts: dict[str, Part], *, is_fit: bool) -> str:
        if self.is_leaving:
            return "leaving"
        if not is_fit:
            return "not ready"
        all_well = all(part.state in {UP, NOT_USED} for part in parts.values())
        return "ready" if all_well else "degraded"

    def _database(self) -> Part:
        look, tables = self._tables, self._tables.found
        if look.age is None and not look.is_stuck:
            return Part(UNKNOWN)
        if look.is_stuck or tables is None:
            return Part(DOWN, look.age)
        return Part(UP if tables.is_migrated else NOT_MIGRATED, look.age)

    def _relay(self) -> Part:
        if self._database().state != UP:
            return Part(UNKNOWN, self._tables.age)
        return Part(self._beats.state, self._tables.age)

    def _server(self, name: str) -> Part:
        # An answer that is being written says more than a list of models.
        if (heard := _upstream_age(name)) <= settings.HEALTH_UPSTREAM_SECONDS:
            return Part(UP, heard)
        look = self._upstreams[name]
        if look.age is None:
            return Part(UNKNOWN)
        return Part(UP if look.found else DOWN, look.age)

    def _tell_changes(self, parts: dict[str, Part]) -> None:
        """Probes are many; the log hears of changes alone."""
        for name, part in parts.items():
            before = self._told.get(name, UP)
            self._told[name] = part.state
            if part.state != before and not {part.state, before} & {UNKNOWN, NOT_USED}:
                log.warning("the %s is %s now", name, part.state)

    async def _look_into_tables(self) -> Tables | None:
        """None when the database does not answer properly."""
        before = self._tables.found
        tables = await _in_a_thread(lambda: _read(before))
        if tables is not None:
            self._beats.look(tables.beats)
        return tables


def _worst(servers: Collection[Part]) -> Part:
    """Of all together: not up as soon as one is not."""
    if not servers:
        return Part(NOT_USED)
    return min(servers, key=lambda part: [DOWN, UNKNOWN, UP].index(part.state))


def _layer() -> Part:
    if not settings.CHANNEL_LAYERS:
        return Part(NOT_USED)
    exchange = events.hub.exchange
    if exchange is None:
        return Part(DOWN)
    return Part(UP if exchange.is_up else DOWN, exchange.age)


# --- The database -------------------------------------------------------------------------------


async def _in_a_thread(work: Callable[[], T]) -> T | None:
    """In a thread that the process does not wait for at its end: a database that neither answers
    nor hangs up would hold it for ever. None when it raised."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T | None] = loop.create_future()

    def settle(found: T | None) -> None:
        if not future.done():
            future.set_result(found)

    def run() -> None:
        found = None
        try:
            found = work()
        finally:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=run, name="health", daemon=True).start()
    return await future


def _read(before: Tables | None) -> Tables | None:
    from django.db.migrations.recorder import MigrationRecorder  # brings all of migrations with it

    try:
        applied = frozenset(MigrationRecorder(connection).applied_migrations())
        if before is not None and before.applied == applied:
            is_migrated = before.is_migrated
        else:
            is_migrated = _nothing_to_apply()
        if not is_migrated:  # what else there is to read may not be there yet
            return Tables(applied, is_migrated, {}, 0)
        beats = dict(Worker.objects.values_list("name", "beats"))
        return Tables(applied, is_migrated, beats, Generation.objects.queued().count())
    except AnyDatabaseError as error:
        counts.database_error()
        log.warning("the database does not answer: %s", type(error).__name__)
        return None
    finally:
        connections.close_all()  # this thread's


def _nothing_to_apply() -> bool:
    # Reads all migrations from disk, once for each set of applied ones.
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


# --- The model server ---------------------------------------------------------------------------


def _upstream_age(name: str) -> float:
    """Seconds since an answer's words were read from it in this process."""
    heard = counts.upstream_heard.get(name)
    return time.monotonic() - heard if heard else float("inf")


async def _upstream_answers(name: str) -> bool:
    server = catalogue.upstream(name)
    if server is None:
        return False
    try:
        async with asyncio.timeout(settings.HEALTH_UPSTREAM_TIMEOUT), Client(server) as client:
            await client.models()
    except UpstreamError as error:
        # It may have no list, or be busy; what counts is whether it would answer a question.
        is_there = isinstance(error, Refused) and not isinstance(
            error, BadKey | NoQuota | ServerFailed
        )
        if not is_there:
            log.info("upstream %s: %s", server.name, error.code)
        return is_there
    except TimeoutError:
        log.info("upstream %s: no list of models in time", server.name)
        return False
    return True


# --- This process -------------------------------------------------------------------------------

_health = Health()


async def report() -> Report:
    """What is known of this process, after a second (HEALTH_TIMEOUT) at most."""
    return await _health.report()


def leave() -> None:
    """This process is about to end and wants no new requests."""
    _health.is_leaving = True


def begin() -> None:
    """As at the start of a process: for one that was forked, and for tests."""
    global _health  # noqa: PLW0603  the one of this process
    _health = Health()
