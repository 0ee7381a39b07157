"""`POST /v1/chat/completions`: bound to its request. Whoever leaves closes the upstream."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from conversations import ledger, tracing
from conversations.counts import counts
from conversations.gateway.answering import DONE, HEARTBEAT, Answering, framed
from conversations.gateway.body import Asked
from conversations.gateway.calls import Call
from conversations.gateway.objects import Objects, estimated
from conversations.models import Ending
from conversations.upstream import (
    Client,
    Event,
    Finished,
    Interrupted,
    NoFirstToken,
    ReasoningDelta,
    Retrying,
    TextDelta,
    UpstreamError,
    UsageReported,
)


class Writing:
    """One call being answered."""

    def __init__(
        self, asked: Asked, objects: Objects, client: Client, answering: Answering
    ) -> None:
        self._asked = asked
        self._objects = objects
        self._client = client
        self._answering = answering
        self._introduced: set[int] = set()
        self._begun = self._spoke = time.monotonic()
        self._first_at: datetime | None = None
        self._finished = ""
        self._characters = 0
        self._reported: UsageReported | None = None
        self._under_way: set[object] = set()
        # How it ended, for the ledger; unless somebody says otherwise, the caller left.
        self.ending = (Ending.STOPPED, "left")

    @property
    def usage(self) -> UsageReported:
        """As the server counted it, or about."""
        return self._reported or estimated(self._asked.request, self._characters)

    @property
    def used(self) -> ledger.Used:
        outcome, reason = self.ending
        counted = self._reported
        return ledger.Used(
            outcome=outcome,
            reason=reason,
            prompt_tokens=counted.prompt_tokens + counted.read_again if counted else None,
            completion_tokens=counted.completion_tokens if counted else None,
            written=self._characters,
            unheard=self._is_unheard,
            first_token_at=self._first_at,
        )

    @property
    def _is_unheard(self) -> bool:
        """An answer in one piece is heard of only when it is whole; until then a server that has
        the question may have written as much as it was allowed to, unless it said otherwise."""
        outcome, reason = self.ending
        refused = outcome == Ending.FAILED and reason != NoFirstToken.code
        return bool(self._under_way) and self._first_at is None and not refused

    async def write(self) -> None:
        """Raises UpstreamError, with what came before it already sent."""
        await (self._in_events() if self._asked.stream else self._in_one_piece())
        self.ending = (Ending.DONE, self._finished)

    async def _in_one_piece(self) -> None:
        request, under_way = self._asked.request, self._under_way
        completion = await self._client.complete(request, under_way=under_way)
        self._heard()
        self._reported = completion.usage
        self._characters = sum(len(one.text) + len(one.reasoning) for one in completion.choices)
        self._finished = completion.choices[0].finish_reason.value
        await self._answering.json(self._objects.completion(completion.choices, self.usage))

    async def _in_events(self) -> None:
        async with self._heartbeat(), aclosing(self._client.stream(self._asked.request)) as batches:
            async for batch in batches:
                if data := b"".join(framed(one) for one in self._chunks(batch)):
                    self._spoke = time.monotonic()
                    await self._answering.event(data)
        if self._asked.include_usage:
            await self._answering.event(framed(self._objects.usage_chunk(self.usage)))
        await self._answering.event(DONE)
        await self._answering.end()

    def _chunks(self, batch: list[Event]) -> list[dict[str, Any]]:
        chunks: list[dict[str, Any]] = []
        for event in batch:
            match event:
                case TextDelta(index, text):
                    self._heard()
                    self._characters += len(text)
                    self._introduce(index, chunks)
                    chunks.append(self._objects.chunk(index, {"content": text}))
                case ReasoningDelta(text=text):
                    self._characters += len(text)
                case Finished(index, reason):
                    self._finished = self._finished or reason.value
                    self._introduce(index, chunks)
                    chunks.append(self._objects.chunk(index, {}, reason.value))
                case UsageReported():
                    self._reported = event
                case Retrying(reason=code):
                    counts.upstream_error(code)
                case _:
                    pass
        if self._asked.include_usage:
            for chunk in chunks:
                chunk["usage"] = None
        return chunks

    def _introduce(self, index: int, chunks: list[dict[str, Any]]) -> None:
        if index not in self._introduced:
            self._introduced.add(index)
            chunks.append(self._objects.chunk(index, {"role": "assistant", "content": ""}))

    def _heard(self) -> None:
        now = time.monotonic()
        counts.upstream_heard[self._client.upstream.name] = now
        if self._first_at is None:
            self._first_at = timezone.now()
            counts.call_first_token.observe(now - self._begun)

    @asynccontextmanager
    async def _heartbeat(self) -> AsyncIterator[None]:
        """Comments, so that no proxy takes a model that thinks for a connection that is dead. Until
        the first of them an error still has a status of its own."""
        beating = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self) -> None:
        while True:
            quiet = time.monotonic() - self._spoke
            if quiet >= settings.CALL_HEARTBEAT_SECONDS:
                self._spoke = time.monotonic()
                await self._answering.event(HEARTBEAT)
            else:
                await asyncio.sleep(settings.CALL_HEARTBEAT_SECONDS - quiet)


async def answer(writing: Writing, call: Call, receive: Any) -> bool:
    """Whether the caller stayed for all of it. Raises UpstreamError, and the Problem for which
    somebody else has ended the call."""
    call.work = asyncio.ensure_future(tracing.within("call", writing.write))
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({call.work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not call.work.done():
            call.work.cancel()
        await asyncio.wait({call.work, gone})
    if call.work.cancelled():
        if call.problem is not None:
            writing.ending = (Ending.INTERRUPTED, call.problem.code or "")
            raise call.problem
        return False
    error = call.work.exception()
    if isinstance(error, UpstreamError):
        broke_off = isinstance(error, Interrupted)
        writing.ending = (Ending.INTERRUPTED if broke_off else Ending.FAILED, error.code)
        counts.upstream_error(error.code)
    elif error is not None:
        writing.ending = (Ending.FAILED, "internal")
    if error is not None:
        raise error
    return True


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
