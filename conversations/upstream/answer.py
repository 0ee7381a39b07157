"""One answer while it is read: bytes in at the reader's pace, batches of events out."""

import asyncio
import time
import zlib
from contextlib import suppress

import httpx
import orjson

from .body import Form, Inflater, form, inflater, raw_bytes
from .chunks import AnswerReader
from .config import Upstream
from .errors import (
    Interrupted,
    NoFirstToken,
    Stalled,
    TooLarge,
    Unreadable,
    UpstreamError,
)
from .events import Event
from .patience import Patience
from .sentences import gettext_noop
from .sse import BOM, EventTooLarge, SSEDecoder

# Seconds that `[DONE]` may be ahead of the end of the body.
AFTER_DONE = 0.1
EMPTY = gettext_noop("The model's server sent an empty answer.")


class Answer:
    """Reads one response. `pull` waits for something to happen and gives all that arrived.

    `first_by` and `end_by` are readings of time.monotonic(): when the first word must have come,
    and when the whole answer has to be over.
    """

    def __init__(
        self,
        response: httpx.Response,
        upstream: Upstream,
        reader: AnswerReader,
        *,
        first_by: float,
        end_by: float,
    ) -> None:
        self._bytes = raw_bytes(response)
        self._content_type = response.headers.get("content-type", "")
        self._inflater: Inflater | None = inflater(response.headers.get("content-encoding", ""))
        self._reader = reader
        self._timeouts = upstream.timeouts
        self._limits = upstream.limits
        self._decoder = SSEDecoder(upstream.limits.event_bytes)
        self._form: Form | None = None
        # What cannot be read yet: the first bytes, or a JSON answer that is still incomplete.
        self._held = bytearray()
        self._first_by = first_by
        self._end_by = end_by
        self._patience = Patience()
        self._silence = 0.0
        self._finished_at = 0.0
        self._received = 0
        self._over = False
        self._failure: UpstreamError | None = None

    async def pull(self) -> list[Event] | None:
        """All that arrived, never empty; None when the answer is complete.

        Raises UpstreamError, but not before everything ahead of the failure was handed out.
        """
        while True:
            if not self._over:
                await self._step()
            if events := self._reader.take():
                return events
            if self._failure is not None:
                raise self._failure
            if self._over:
                return None

    def close(self) -> None:
        self._patience.close()

    async def _step(self) -> None:
        try:
            data = await self._read()
            if data:
                self._feed(data)
            else:
                self._end()
            if self._reader.ended and not self._reader.all_finished:
                self._end()
        except (EventTooLarge, _Exceeded):
            self._over = True
            self._cut()
        except UpstreamError as error:
            self._over = True
            self._fail(error)

    async def _read(self) -> bytes:
        """Some bytes, or none at the end of the body."""
        data = b""
        while not data:
            if self._inflater is not None and self._inflater.pending:
                # Nothing to wait for, yet other answers must have their turn.
                await asyncio.sleep(0)
                raw = b""
            elif not (raw := await self._read_raw()):
                return b""
            try:
                data = raw if self._inflater is None else self._inflater.feed(raw)
            except zlib.error as error:
                raise self._broken(f"not compressed as announced: {error}") from error
        self._received += len(data)
        if self._received > self._limits.body_bytes:
            raise _Exceeded
        return data

    async def _read_raw(self) -> bytes:
        before = time.monotonic()
        until, out_of_time = self._next_timer(before)
        # An endless stream always has data ready: no timeout would ever strike.
        if until <= before:
            return self._out_of_time(out_of_time)
        try:
            with self._patience.until(until):
                return await anext(self._bytes, b"")
        except TimeoutError:
            return self._out_of_time(out_of_time)
        except httpx.TransportError as error:
            if self._reader.all_finished:
                return b""
            self._flush()
            raise self._broken(f"{type(error).__name__}: {error}") from error
        finally:
            self._silence += time.monotonic() - before

    def _out_of_time(self, out_of_time: type[Exception]) -> bytes:
        if self._reader.all_finished:
            return b""
        raise out_of_time

    def _next_timer(self, now: float) -> tuple[float, type[Exception]]:
        if self._reader.all_finished:
            # Wait for usage, then for the end of the body, which keeps the connection usable.
            self._finished_at = self._finished_at or now
            grace = AFTER_DONE if self._reader.ended else self._timeouts.after_end
            return self._finished_at + grace, Stalled
        if not self._reader.has_text:
            return min(self._first_by, self._end_by), NoFirstToken
        # Only time spent waiting counts: a slow reader is not the server's silence.
        until = now + self._timeouts.between_tokens - self._silence
        return (until, Stalled) if until <= self._end_by else (self._end_by, _Exceeded)

    def _feed(self, data: bytes) -> None:
        if self._form is None:
            # Blanks and a byte order mark say nothing, and there may be no end of blanks.
            self._held = (self._held + data).removeprefix(BOM).lstrip()
            self._form = form(bytes(self._held[:64]), self._content_type)
            if self._form is None:
                return
            data = bytes(self._held)
            self._held.clear()
        if self._form == "json":
            self._held += data
            if len(self._held) > self._limits.json_bytes:
                raise TooLarge
            return
        comments = self._decoder.comments
        try:
            events = self._decoder.feed(data)
        except EventTooLarge as too_large:
            for event in too_large.ahead:
                self._reader.feed(event)
            raise
        if events or self._decoder.comments > comments:
            self._silence = 0.0
        for event in events:
            self._reader.feed(event)

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        if self._form is None:
            raise Unreadable(EMPTY, detail="no bytes")
        if self._form == "json":
            self._end_json()
        else:
            self._flush()
        self._reader.close()

    def _end_json(self) -> None:
        try:
            whole = orjson.loads(self._held)
        except orjson.JSONDecodeError as error:
            raise self._broken(f"{len(self._held)} bytes that are no JSON: {error.msg}") from None
        finally:
            self._held.clear()
        if not isinstance(whole, dict):
            raise Unreadable(detail="JSON, but no object")
        self._reader.feed_json(whole)
        self._reader.ended = True

    def _flush(self) -> None:
        with suppress(EventTooLarge):
            for event in self._decoder.flush():
                self._reader.feed(event)

    def _cut(self) -> None:
        try:
            self._reader.cut()
        except TooLarge as error:
            self._fail(error)

    def _fail(self, error: UpstreamError) -> None:
        error.after_text = self._reader.has_text
        self._failure = error

    def _broken(self, detail: str) -> UpstreamError:
        if self._form == "events" or self._reader.has_text:
            return Interrupted(detail=detail)
        return Unreadable(detail=detail)


class _Exceeded(Exception):
    """A limit of ours was reached: what came so far is the answer."""
