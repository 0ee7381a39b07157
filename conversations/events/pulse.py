"""What each process with sockets does all the time: ticks, rights, and viewers who fell behind."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import Context
from typing import TypeVar

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as AnyDatabaseError

from conversations.counts import counts
from conversations.events.hub import Hub
from conversations.events.types import Envelope, Silent, Tick, conversation_topic
from conversations.models import Conversation, Generation, RightsChange, State

log = logging.getLogger(__name__)
T = TypeVar("T")
TOPIC = conversation_topic("")
BARE_TICK = '{"t":"tick"}'  # for pages that watch no conversation
# Numbers are given before rows are committed, so a lower one may show up after a higher one.
OVERLAP = 100


class Pulse:
    """Beats while there are sockets. One query a beat for all of them, whatever their number."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._applied: set[int] = set()  # the newest changes of rights

    @property
    def _is_beating(self) -> bool:
        task = self._task
        return task is not None and not task.done() and task.get_loop() is _loop()

    async def ensure(self) -> None:
        """Called when a socket has been opened in the hub and before its rights are read: a change
        of rights is then either seen by that reading or told by a beat. Raises django.db.Error."""
        if self._is_beating:
            return
        latest = await _read(_latest)
        if not self._is_beating:  # nobody was faster
            self._applied = set(latest)
            # In a context of its own: it is nobody's request, though somebody's socket begins it.
            self._task = _loop().create_task(self._beat(), context=Context())
            self._task.add_done_callback(_log_failure)

    async def _beat(self) -> None:
        try:
            await self._beat_while_sockets_are_open()
        finally:
            # Broken off, nobody would hear of rights that are lost: pages come back and are asked.
            for mailbox in tuple(self._hub.sockets):
                await mailbox.connection.hang_up(4401)

    async def _beat_while_sockets_are_open(self) -> None:
        next_tick = time.monotonic()
        while self._hub.sockets:
            try:
                await self._follow_rights()
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + settings.TICK_SECONDS
                    await self._tick()
            except AnyDatabaseError:
                counts.database_error()
                # Pages notice the silence by themselves; rights are looked up again next time.
                log.exception("a beat failed; trying again")
            for mailbox in tuple(self._hub.sockets):
                if mailbox.is_over:
                    await mailbox.connection.hang_up(4401)
                elif mailbox.overflowing or mailbox.behind_for() > settings.MAILBOX_PATIENCE:
                    await mailbox.connection.hang_up(4408)
            await asyncio.sleep(min(settings.RIGHTS_CHECK_SECONDS, settings.TICK_SECONDS))

    async def _follow_rights(self) -> None:
        for number, user, conversation, session in await _read(_changes, self._applied):
            await self._apply(user, conversation, session)
            self._applied.add(number)  # only now: what failed is looked up again
        oldest = _oldest(self._applied)
        self._applied = {number for number in self._applied if number > oldest}

    async def _apply(self, user: str, conversation: str | None, session_hash: str) -> None:
        for mailbox in tuple(self._hub.sockets):
            if mailbox.user != user:
                continue
            if conversation is not None:
                if mailbox in self._hub.mailboxes(conversation_topic(conversation)):
                    await mailbox.connection.reauthorise()
            elif not session_hash or session_hash == mailbox.session_hash:
                # The page comes back by itself and is let in if its session is still good.
                await mailbox.connection.hang_up(4401)

    async def _tick(self) -> None:
        topics = self._hub.topics(TOPIC)
        watching = {mailbox for topic in topics for mailbox in self._hub.mailboxes(topic)}
        for mailbox in self._hub.sockets - watching:
            await mailbox.put(BARE_TICK, skippable=True)
        ids = [topic.removeprefix(TOPIC) for topic in topics]
        if not ids:
            return
        for public_id, revision in await _read(_revisions, ids):
            await self._hub.deliver_here(Envelope.around(Tick(public_id, revision=revision)))
        if self._hub.exchange is not None:
            await self._notice_silence(ids)

    async def _notice_silence(self, ids: list[str]) -> None:
        """An answer that another process writes ticks all the time. Whoever hears nothing of it
        reads on in the table, which is the truth and at most a second behind."""
        for public_id in await _read(_written, ids):
            if self._hub.heard(conversation_topic(public_id)) > 2 * settings.TICK_SECONDS:
                await self._hub.deliver_here(Envelope.around(Silent(public_id)))


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def _read(query: Callable[..., T], *arguments: object) -> T:
    found: T = await database_sync_to_async(query, thread_sensitive=False)(*arguments)
    return found


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("the pulse broke off", exc_info=error)


def _oldest(applied: set[int]) -> int:
    return max(applied, default=0) - OVERLAP


def _latest() -> list[int]:
    return list(RightsChange.objects.order_by("-pk").values_list("pk", flat=True)[:OVERLAP])


def _changes(applied: set[int]) -> list[tuple[int, str, str | None, str]]:
    rows = RightsChange.objects.filter(pk__gt=_oldest(applied)).exclude(pk__in=applied)
    rows = rows.order_by("pk")
    return list(
        rows.values_list("pk", "user__public_id", "conversation__public_id", "session_hash")
    )


def _written(ids: list[str]) -> list[str]:
    """Those with a running answer."""
    running = Generation.objects.filter(conversation__public_id__in=ids, state=State.RUNNING)
    return list(running.values_list("conversation__public_id", flat=True))


def _revisions(ids: list[str]) -> list[tuple[str, int]]:
    return list(Conversation.objects.filter(public_id__in=ids).values_list("public_id", "revision"))
