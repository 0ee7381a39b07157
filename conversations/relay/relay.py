"""The relay of one process."""

import asyncio
import contextvars
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import connections
from django.utils import timezone

from chatweb import logs
from conversations import actions, catalogue, events, fragments, ledger, tracing
from conversations.counts import counts
from conversations.models import Choice, Generation
from conversations.relay import watch
from conversations.relay.prompt import compose
from conversations.relay.run import Postponed, Run, internal, invalid, no_upstream
from conversations.upstream import ChatRequest, Client, InvalidRequest, Upstream

log = logging.getLogger(__name__)
T = TypeVar("T")


class Relay:
    """Claims and runs generations until it is cancelled; then what runs is kept as interrupted.

    All its work with the database happens in one thread with one connection, so that keeping and
    settling an answer never overtake each other.
    """

    def __init__(self) -> None:
        self.worker = watch.own_name(secrets.token_hex(4))
        self._database = ThreadPoolExecutor(1, thread_name_prefix="relay-database")
        # Of its own: whoever waits for a lock is still alive, and says so.
        self._pulse = ThreadPoolExecutor(1, thread_name_prefix="relay-beat")
        self._runs: dict[str, Run] = {}
        # Claimed and not yet let go; the database's thread adds, so that its sweep knows them all.
        self._held: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: dict[Upstream, Client] = {}
        self._wake = asyncio.Event()
        self._ending = False
        self.is_draining = False
        # What was told of those that wait: conversation, place in line, until when.
        self._told_places: dict[str, tuple[tuple[str, int, object], events.AnswerProgress]] = {}

    @property
    def running(self) -> int:
        return len(self._runs)

    async def run(self) -> None:
        watch.living.add(self.worker)
        await events.hub.listen_as_relay(self._heed)
        loops: list[asyncio.Task[None]] = []
        try:
            await self._do(self._beat, 0, on=self._pulse)
            loops = [
                asyncio.ensure_future(loop())
                for loop in (
                    self._claim_loop,
                    self._keep_loop,
                    self._beat_loop,
                    self._sweep_loop,
                    self._tick_loop,
                )
            ]
            for server in catalogue.upstreams().values():
                self._client(server)  # now, so that the first answer does not wait for imports
            done, _pending = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                loop.result()  # loops have no end of their own: raises what broke it
        finally:
            await events.hub.listen_as_relay(None)
            for loop in loops:
                loop.cancel()
            await self._end()

    async def drain(self, seconds: float) -> None:
        """Claims nothing more, and waits until what it writes has ended, or for so long."""
        self.is_draining = True
        deadline = time.monotonic() + seconds
        # Again, since what was just being claimed still begins.
        while self._tasks and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)

    async def _end(self) -> None:
        self._ending = True
        for run in self._runs.values():
            run.interrupt()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        for client in self._clients.values():
            await client.aclose()
        watch.living.discard(self.worker)
        try:
            # Claimed at the very end and never begun.
            await self._do(self._leave)
        except AnyDatabaseError:
            log.exception("what was just claimed is settled at the next start")
        for thread in (self._database, self._pulse):
            await self._do(connections.close_all, on=thread)
            thread.shutdown(wait=False)

    def _beat(self, running: int) -> None:
        actions.workers.beat(name=self.worker, running=running)

    def _leave(self) -> None:
        actions.generations.give_up(lost={self.worker})
        actions.workers.strike(names={self.worker})

    # --- What it is told ---

    async def _heed(self, event: events.RelayEvent) -> None:
        match event:
            case events.WorkQueued():
                self._wake.set()
            case events.StopRequested(generation=public_id):
                if run := self._runs.get(public_id):
                    run.stop()
            case events.KeyframesWanted(conversation=public_id, reply_to=topic):
                for run in tuple(self._runs.values()):
                    if run.generation.conversation.public_id == public_id:
                        await events.hub.deliver(run.keyframe(topic))
                await self._tell_place_again(public_id)

    # --- Loops ---

    async def _claim_loop(self) -> None:
        while True:
            self._wake.clear()
            await self._send_queued()
            try:
                await self._claim()
            except AnyDatabaseError:
                log.exception("claiming failed; trying again")
            try:
                async with asyncio.timeout(settings.RELAY_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _send_queued(self) -> None:
        """Turns whose time has come; of any process's answers, should it have died meanwhile."""
        if self.is_draining:
            return
        try:
            await self._do(actions.queue.sweep)
        except AnyDatabaseError:
            log.exception("sending what waits in queues failed; trying again")

    async def _claim(self) -> None:
        # By tasks: one that was claimed a moment ago has no run yet.
        free = settings.GENERATIONS_PER_PROCESS - len(self._tasks)
        if free > 0 and not self.is_draining:
            for choice in await self._do(self._claimed, free):
                self._start(choice)
        await self._tell_places()

    def _claimed(self, most: int) -> list[Choice]:
        choices = actions.generations.claim(worker=self.worker, most=most)
        # Only now: what was claimed although we were told otherwise is settled by the sweep.
        self._held.update(choice.generation_id for choice in choices)
        return choices

    async def _tell_places(self) -> None:
        """Who waits in line, or until when, sees it move."""
        waiting = await self._do(actions.generations.waiting)
        for choice, place in waiting:
            generation = choice.generation
            known = (generation.conversation.public_id, place, generation.not_before)
            told = self._told_places.get(generation.public_id)
            if told is not None and told[0] == known:
                continue
            progress = _progress(choice, place)
            self._told_places[generation.public_id] = (known, progress)
            await events.hub.deliver(progress)
        still = {choice.generation.public_id for choice, _place in waiting}
        self._told_places = {
            name: told for name, told in self._told_places.items() if name in still
        }

    async def _tell_place_again(self, conversation: str) -> None:
        """Whoever has just joined a conversation whose answer waits has not heard why."""
        for _known, progress in tuple(self._told_places.values()):
            if progress.conversation == conversation:
                await events.hub.deliver(progress)

    async def _keep_loop(self) -> None:
        while True:
            await asyncio.sleep(settings.RELAY_KEEP_SECONDS)
            if not self._runs:
                continue
            dirty = [run for run in self._runs.values() if run.is_dirty]
            for run in dirty:
                run.is_dirty = False
            try:
                gone = await self._do(
                    self._keep,
                    [run.kept() for run in dirty],
                    [run.generation.pk for run in self._runs.values()],
                )
            except AnyDatabaseError:
                log.exception("keeping answers failed; trying again")
                for run in dirty:
                    run.is_dirty = True
                continue
            for run in tuple(self._runs.values()):
                if run.generation.pk in gone:
                    run.stop()

    def _keep(self, kept: list[actions.generations.Kept], running: list[int]) -> set[int]:
        return actions.generations.keep(worker=self.worker, kept=kept, running=running)

    async def _beat_loop(self) -> None:
        while True:
            await asyncio.sleep(settings.RELAY_LEASE_SECONDS / 5)
            try:
                await self._do(self._beat, len(self._runs), on=self._pulse)
            except AnyDatabaseError:
                log.exception("a beat failed; trying again")

    async def _sweep_loop(self) -> None:
        others = watch.Watch(settings.RELAY_LEASE_SECONDS, self.worker)
        while True:
            try:
                await self._do(self._sweep, others)
            except AnyDatabaseError:
                log.exception("sweeping failed; trying again")
            await asyncio.sleep(settings.RELAY_LEASE_SECONDS / 4)

    def _sweep(self, others: watch.Watch) -> None:
        asked = time.monotonic()
        census = actions.workers.census()
        gone = others.gone(census, asked)
        gone |= {name for name in census if name != self.worker and watch.is_dead(name)}
        if gone and (settled := actions.generations.give_up(lost=gone)):
            log.warning("%d answers of relays that are gone were interrupted", settled)
        actions.workers.strike(names=gone)
        ledger.sweep()
        # What could not be put away, for as long as that was tried.
        actions.generations.give_up(lost={self.worker}, besides=set(self._held))

    async def _tick_loop(self) -> None:
        while True:
            await asyncio.sleep(settings.TICK_SECONDS)
            for run in tuple(self._runs.values()):
                await events.hub.deliver(run.tick())

    # --- One generation ---

    def _start(self, choice: Choice) -> None:
        # Queued now: the first words wait for it, but not for what claiming does next.
        composing = self._do(compose, choice.generation)
        answering = partial(self._answer, choice, composing)
        task = asyncio.ensure_future(
            tracing.within("generation", answering, generation=choice.generation.public_id)
        )
        self._tasks.add(task)
        task.add_done_callback(self._make_room)

    def _make_room(self, task: asyncio.Task[None]) -> None:
        """Also for what waits behind it in its conversation: a turn in the queue, or an answer
        that begins once a stopped one is put away."""
        self._tasks.discard(task)
        self._wake.set()

    async def _answer(self, choice: Choice, composing: "asyncio.Future[ChatRequest]") -> None:
        generation = choice.generation
        logs.generation.set(generation.public_id)  # for all that this task and its own log
        kept = actions.generations.Kept.of(choice)
        writing = asyncio.ensure_future(self._write(choice, composing))
        await asyncio.wait({writing})
        try:
            # Whatever went wrong, people see that it failed and the row does not stay open.
            if isinstance(error := writing.exception(), InvalidRequest):
                await self._settle(generation, kept, invalid(error))
            elif error is not None:
                log.error("generation %s failed", generation.public_id, exc_info=error)
                run = self._runs.get(generation.public_id)
                await self._settle(generation, run.kept() if run else kept, internal())
        finally:
            # Let go, whatever is left of it is settled by the sweep.
            self._runs.pop(generation.public_id, None)
            self._held.discard(generation.pk)

    async def _write(self, choice: Choice, composing: "asyncio.Future[ChatRequest]") -> None:
        generation = choice.generation
        try:
            request: ChatRequest | None = await composing
        except AnyDatabaseError:
            request = await self._patiently(generation, lambda: compose(generation))
        if request is None:  # let go; the sweep says that it was interrupted
            return
        server = catalogue.upstream(generation.upstream)
        if server is None:
            kept = actions.generations.Kept.of(choice)
            await self._settle(generation, kept, no_upstream())
            return
        run = Run(
            choice,
            request,
            self._client(server),
            running=lambda: self.running,
            may_postpone=generation.attempts < server.limits.retries,
        )
        self._runs[generation.public_id] = run
        if self._ending:
            run.interrupt()
        await events.hub.deliver(_progress(choice))
        try:
            outcome = await run.read()
        except Postponed as later:
            if await self._postpone(generation, later):
                return
            outcome = run.interrupted()  # somebody stopped it meanwhile, which settling finds
        await self._settle(generation, run.kept(), outcome)

    async def _settle(
        self,
        generation: Generation,
        kept: actions.generations.Kept,
        outcome: actions.generations.Settlement,
    ) -> None:
        tracing.note(state=outcome.state, outcome=outcome.finish_reason or outcome.error_code)

        def settle() -> bool:
            settled = actions.generations.settle(
                generation=generation, worker=self.worker, kept=kept, outcome=outcome
            )
            if settled and outcome.error_code == actions.generations.RESTARTING:
                actions.generations.hand_on(generation=generation)
            return settled

        await self._patiently(generation, settle)

    async def _postpone(self, generation: Generation, later: Postponed) -> bool | None:
        until = timezone.now() + timedelta(seconds=later.delay)

        def postpone() -> bool:
            return actions.generations.postpone(
                generation=generation, worker=self.worker, until=until, reason=later.reason
            )

        return await self._patiently(generation, postpone)

    async def _patiently(self, generation: Generation, work: Callable[[], T]) -> T | None:
        """None when the database stayed away: let go, it is settled by the sweep."""
        for _try in range(settings.RELAY_SETTLE_TRIES):
            try:
                return await self._do(work)
            except AnyDatabaseError:
                log.exception("putting %s away failed; trying again", generation.public_id)
                await asyncio.sleep(settings.RELAY_SETTLE_PAUSE)
        return None

    def _client(self, server: Upstream) -> Client:
        if server not in self._clients:
            self._clients[server] = Client(server)
        return self._clients[server]

    def _do(
        self, work: Callable[..., T], *arguments: object, on: ThreadPoolExecutor | None = None
    ) -> "asyncio.Future[T]":
        def on_our_connection() -> T:
            try:
                return work(*arguments)
            except AnyDatabaseError:
                counts.database_error()
                connections.close_all()  # this thread's: if it is broken, the next work opens anew
                raise

        told_by = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(
            on or self._database, told_by.run, on_our_connection
        )


def _progress(choice: Choice, place: int = 0) -> events.AnswerProgress:
    generation = choice.generation
    return events.AnswerProgress(
        conversation=generation.conversation.public_id,
        generation=generation.public_id,
        message=choice.message.public_id,
        html=fragments.progress(generation, place=place),
    )
