"""The calls that this process answers: how many at once, for whom, and how they end with it."""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.conf import settings
from django.db import Error as AnyDatabaseError

from conversations import access, ledger
from conversations.counts import counts
from conversations.gateway import problems
from conversations.gateway.database import database
from conversations.gateway.problems import Problem
from conversations.gateway.rates import rates
from conversations.upstream import Client, Upstream

log = logging.getLogger(__name__)

# A call for several choices may need a connection for each.
SPARE_CONNECTIONS = 16


class Call:
    """One that runs. Whoever ends it says why."""

    def __init__(self, admitted: access.Admitted, places: int) -> None:
        assert admitted.key is not None  # noqa: S101  programs come with nothing else
        self.user = admitted.user.pk
        self.key = admitted.key.pk
        self.places = places
        self.problem: Problem | None = None
        self.work: asyncio.Task[None] | None = None
        self.over = asyncio.Event()
        self.reference = ""  # in the ledger, once something is reserved there

    def end(self, problem: Problem) -> None:
        """Closes the upstream at once; the caller is told the problem."""
        if self.problem is None:
            self.problem = problem
            if self.work is not None:
                self.work.cancel()


class Calls:
    """All of one process."""

    def __init__(self) -> None:
        self._running: set[Call] = set()
        self._clients: dict[Upstream, Client] = {}
        self._renew_at = 0.0

    @property
    def running(self) -> int:
        return len(self._running)

    @contextmanager
    def place(self, admitted: access.Admitted, places: int) -> Iterator[Call]:
        """`places` connections to an upstream. Raises Problem where there is no room for them."""
        call = Call(admitted, places)
        self._refuse_too_many(call)
        self._running.add(call)
        counts.calls_running += 1
        try:
            yield call
        finally:
            self._running.discard(call)
            counts.calls_running -= 1
            call.over.set()

    def _refuse_too_many(self, call: Call) -> None:
        if sum(one.key == call.key for one in self._running) >= settings.CALLS_PER_KEY:
            text = f"This key has {settings.CALLS_PER_KEY} calls running, as many as it may."
            raise problems.too_many(text)
        if sum(one.user == call.user for one in self._running) >= settings.CALLS_PER_PERSON:
            most = settings.CALLS_PER_PERSON
            raise problems.too_many(f"You have {most} calls running, as many as a person may.")
        taken = sum(one.places for one in self._running)
        if taken + call.places > settings.CALLS_PER_PROCESS:
            raise problems.overloaded()

    def client(self, upstream: Upstream) -> Client:
        """Of the gateway's own, so that programs never take the connections of people."""
        if upstream not in self._clients:
            most = settings.CALLS_PER_PROCESS + SPARE_CONNECTIONS
            limits = replace(upstream.limits, connections=most)
            self._clients[upstream] = Client(replace(upstream, limits=limits))
        return self._clients[upstream]

    # --- As a job of the process ---

    async def run(self) -> None:
        """Ends calls whose keys are good no more; when it is ended itself, all of them."""
        database.open()
        try:
            while True:
                await asyncio.sleep(settings.RIGHTS_CHECK_SECONDS)
                if self._running:
                    await self._look_after()
        finally:
            last = tuple(self._running)
            for call in last:
                call.end(problems.restarting())
            await self._until_ended(last, settings.GOODBYE_SECONDS)
            clients, self._clients = self._clients, {}
            for client in clients.values():
                await client.aclose()
            await rates.close()
            await database.close()

    async def drain(self) -> None:
        """Waits until those that run now have ended, or no longer than set; new ones are taken."""
        await self._until_ended(tuple(self._running), settings.RELAY_DRAIN_SECONDS)

    async def _look_after(self) -> None:
        try:
            await self._follow_rights()
            if time.monotonic() >= self._renew_at:
                self._renew_at = time.monotonic() + settings.LEDGER_LEASE_SECONDS / 4
                held = [call.reference for call in self._running if call.reference]
                await database.ask(ledger.renew, held)
        except AnyDatabaseError:
            counts.database_error()
            log.exception("running calls could not be looked after; trying again")

    async def _follow_rights(self) -> None:
        shown = {call.key for call in self._running}
        gone = shown - await database.ask(access.good_keys, shown)
        for call in tuple(self._running):
            if call.key in gone:
                call.end(problems.bad_key())

    async def _until_ended(self, some: Iterable[Call], seconds: float) -> None:
        if waits := {asyncio.ensure_future(call.over.wait()) for call in some}:
            await asyncio.wait(waits, timeout=seconds)
        for wait in waits:
            wait.cancel()


calls = Calls()
