"""One generation being written: from the first byte upstream to its settlement."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from conversations import events, fragments, tracing
from conversations.actions.generations import RESTARTING, Kept, Settlement
from conversations.counts import counts
from conversations.markdown import LiveMarkdown, Patch
from conversations.models import Choice, Generation, State
from conversations.relay.pace import Pace
from conversations.upstream import (
    ChatRequest,
    Client,
    Event,
    Finished,
    FinishReason,
    Interrupted,
    InvalidRequest,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
    UpstreamError,
    UsageReported,
)


class Postponed(Exception):
    """The upstream said "later" before the first word."""

    def __init__(self, reason: str, delay: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay = delay


class Run:
    """Reads one answer. Its reading is a task of its own, so that stopping it never interrupts
    the putting away of what was read."""

    def __init__(
        self,
        choice: Choice,
        request: ChatRequest,
        client: Client,
        *,
        running: Callable[[], int],
        may_postpone: bool,
    ) -> None:
        self.generation: Generation = choice.generation
        self.choice = choice
        self.live = LiveMarkdown(choice.message.text[: choice.starts_at])
        self.seq = 0
        self.upstream_id = ""
        self.is_dirty = False
        self._request = request
        self._client = client
        self._running = running
        self._may_postpone = may_postpone
        self._reasoning: list[str] = [choice.message.reasoning] if choice.starts_at else []
        self._new_reasoning: list[str] = []
        self._before = choice.starts_at + sum(map(len, self._reasoning))
        self._usage: UsageReported | None = None
        self._finished: Finished | None = None
        self._pace = Pace()
        self._reading: asyncio.Task[None] | None = None
        self._restarting = False

    # --- What others ask of it ---

    def stop(self) -> None:
        """Ends the upstream request at once."""
        # Once: a second cancellation would break into the closing of the connection.
        if self._reading is not None and not self._reading.cancelling():
            self._reading.cancel()

    def interrupt(self) -> None:
        """The same, because the portal ends."""
        self._restarting = True
        self.stop()

    def kept(self) -> Kept:
        return Kept(
            generation_id=self.generation.pk,
            message_id=self.choice.message_id,
            text=self.live.text,
            reasoning="".join(self._reasoning),
            before=self._before,
        )

    def keyframe(self, topic: str) -> events.Keyframe:
        counts.keyframes += 1
        return events.Keyframe(
            topic=topic,
            generation=self.generation.public_id,
            message=self.choice.message.public_id,
            seq=self.seq,
            html=self.live.html(),
            reasoning="".join(self._reasoning),
            progress=fragments.progress(self.generation),
        )

    def tick(self) -> events.Tick:
        return events.Tick(
            self.generation.conversation.public_id,
            generation=self.generation.public_id,
            seq=self.seq,
        )

    # --- Reading ---

    async def read(self) -> Settlement:
        """Reads to the end, however it comes. Raises Postponed, and what no upstream causes."""
        if self._restarting:
            return self.interrupted()
        self._reading = asyncio.ensure_future(tracing.within("upstream", self._read))
        await asyncio.wait({self._reading})
        if self._reading.cancelled():
            return self.interrupted()
        error = self._reading.exception()
        if error is None:
            return self._done()
        if isinstance(error, UpstreamError):
            counts.upstream_error(error.code)
        if isinstance(error, Interrupted):
            return self._ended(State.INTERRUPTED, error.code, error.message, error)
        if isinstance(error, UpstreamError):
            return self._ended(State.FAILED, error.code, error.message, error)
        raise error

    async def _read(self) -> None:
        self._pace.begin()
        counts.running += 1
        try:
            async with aclosing(self._client.stream(self._request)) as batches:
                async for batch in batches:
                    read_at = time.monotonic()
                    if await self._show("".join(self._take(batch))):
                        counts.frame(read_at, self.generation.upstream)
                    await self._pace.rest(self._running())
        finally:
            counts.running -= 1

    def _take(self, batch: list[Event]) -> list[str]:
        """Sorts a batch away; the words of the answer in it. No column of text takes a NUL."""
        words = []
        for event in batch:
            match event:
                # More choices than one are not asked for; a server that sends them anyway is
                # heard on the first alone.
                case TextDelta(index=0, text=text):
                    words.append(text.replace("\0", "\ufffd"))
                case ReasoningDelta(index=0, text=text):
                    self._new_reasoning.append(text.replace("\0", "\ufffd"))
                case Finished(index=0):
                    self._finished = event
                case UsageReported():
                    self._usage = event
                case Started(upstream_id=upstream_id):
                    self.upstream_id = upstream_id
                case Retrying(reason=code, message=reason, delay=delay):
                    counts.upstream_error(code)
                    # A wait that people would notice goes back into the queue.
                    if delay >= settings.RELAY_POSTPONE_SECONDS and self._may_postpone:
                        raise Postponed(reason, delay)
                case _:
                    pass
        return words

    async def _show(self, text: str) -> bool:
        """Whether there was anything to show."""
        reasoning = "".join(self._new_reasoning)
        if not (text or reasoning):
            return False
        self._new_reasoning.clear()
        self._reasoning.append(reasoning)
        self.is_dirty = True
        if self.generation.first_token_at is None:
            self.generation.first_token_at = timezone.now()
        patch = self.live.feed(text) if text else None
        if patch is not None or reasoning:
            self.seq += 1
            await events.hub.deliver(self._frame(patch, reasoning))
        return True

    def _frame(self, patch: Patch | None, reasoning: str) -> events.Frame | events.Keyframe:
        """The first of an answer that goes on is a keyframe: pages show its beginning as it was
        when it broke off, whole, where we still hold back what more words may change."""
        conversation = self.generation.conversation.public_id
        if self.seq == 1 and self.choice.starts_at:
            return self.keyframe(events.conversation_topic(conversation))
        return events.Frame(
            conversation=conversation,
            generation=self.generation.public_id,
            message=self.choice.message.public_id,
            seq=self.seq,
            patch=patch.to_json() if patch else None,
            reasoning=reasoning,
        )

    # --- How it ended ---

    def interrupted(self) -> Settlement:
        """Only heeded when nobody stopped it: a stop that is in the table wins over this."""
        why = _("The portal was restarted while the answer was being written.")
        return self._ended(State.INTERRUPTED, RESTARTING, why)

    def _done(self) -> Settlement:
        end = self._finished
        if end is None:  # the client never ends without it; if it did, this is no success
            return self._ended(State.INTERRUPTED, "no_end", _("The answer ended without an end."))
        reason = end.reason.value if end.reason is not FinishReason.OTHER else "other"
        return Settlement(
            state=State.DONE, finish_reason=reason, error_message=end.note, **self._known()
        )

    def _ended(
        self, state: State, code: str, message: str, error: UpstreamError | None = None
    ) -> Settlement:
        retry_after = error.retry_after if error else None
        return Settlement(
            state=state,
            error_code=code,
            error_message=message,
            error_detail=error.detail if error else "",
            retry_at=timezone.now() + timedelta(seconds=retry_after) if retry_after else None,
            **self._known(),
        )

    def _known(self) -> dict[str, Any]:
        """What is known of an answer however it ended; usage that nobody reported stays unknown."""
        usage = self._usage
        return {
            "first_token_at": self.generation.first_token_at,
            "upstream_id": self.upstream_id,
            "prompt_tokens": usage.prompt_tokens if usage else None,
            "completion_tokens": usage.completion_tokens if usage else None,
        }


def invalid(error: InvalidRequest) -> Settlement:
    """The stored request is not one that can be sent."""
    return Settlement(state=State.FAILED, error_code=error.code, error_message=error.message)


def no_upstream() -> Settlement:
    """It was queued for a server that the settings name no more."""
    return Settlement(
        state=State.FAILED,
        error_code="no_upstream",
        error_message=_("This model's server is not set up any more. Choose another model."),
    )


def internal() -> Settlement:
    """A mistake of ours."""
    return Settlement(
        state=State.FAILED,
        error_code="internal",
        error_message=_("Something went wrong in the portal. It has been noted."),
    )
