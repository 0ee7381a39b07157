"""From a server's JSON to events, whatever dialect of the API it speaks."""

import json
from collections.abc import Iterable
from typing import Any

import orjson

from .config import Limits
from .errors import (
    Interrupted,
    TooLarge,
    Unreadable,
    UpstreamError,
    presentable,
)
from .events import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    UsageReported,
    Warned,
)
from .refusals import refusal
from .sentences import gettext_noop
from .sse import ServerSentEvent

NAME_CHARACTERS = 200
# More than any model can read: whoever reports more has miscounted.
MOST_TOKENS = 1_000_000_000

TOOL_NOTE = gettext_noop("The model asked for a tool; tools are not supported here.")
CUT_NOTE = gettext_noop("The answer was cut at the portal's limit.")
ASSUMED_NOTE = gettext_noop("The server does not say why the answer ended.")
UNKNOWN_NOTE = gettext_noop("The server ended the answer with “%(name)s”.")
_REASONS = {
    "stop": (FinishReason.STOP, ""),
    "length": (FinishReason.LENGTH, ""),
    "content_filter": (FinishReason.CONTENT_FILTER, ""),
    "tool_calls": (FinishReason.TOOL_CALLS, TOOL_NOTE),
    "function_call": (FinishReason.TOOL_CALLS, TOOL_NOTE),
}


class AnswerReader:
    """Reads the chunks of one answer with `choices` choices; `take()` gives what came of them.

    Neighbouring pieces of the same text come out of `take()` as one. Errors that the server
    reports inside its answer are raised by `feed`; what was read before is still there to take.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        choices: int = 1,
        finish_reason_required: bool = True,
        secrets: Iterable[str] = (),
    ) -> None:
        self.has_text = False
        # `[DONE]` came, or all that a plain JSON answer has.
        self.ended = False
        self._limits = limits
        self._choices = choices
        self._finish_reason_required = finish_reason_required
        self._secrets = tuple(secrets)
        self._events: list[Event] = []
        self._run: list[str] = []
        self._run_kind: tuple[type[TextDelta | ReasoningDelta], int] = (TextDelta, 0)
        self._sizes: dict[int, int] = {}
        self._finished: set[int] = set()
        self._usage: UsageReported | None = None
        self._introduced = False
        self._understood = 0
        self._counts: dict[str, int] = {}

    @property
    def all_finished(self) -> bool:
        return len(self._finished) == self._choices

    @property
    def counts(self) -> dict[str, int]:
        """How often each oddity was met; only the first of a kind becomes a Warned."""
        return dict(self._counts)

    def feed(self, event: ServerSentEvent) -> None:
        data = event.data.strip()
        if data == b"[DONE]":
            if self.ended:
                self._warn("repeated_end")
            self.ended = True
            return
        if not data:
            return
        if self.ended:
            self._warn("data_after_done")
            return
        chunk = _parsed(data)
        if isinstance(chunk, dict):
            self.feed_json(chunk, named_error=event.event == "error")
        elif event.complete:
            if event.event == "error":
                raise self._failure(data.decode("utf-8", "replace"))
            # Its text may be a person's: the log learns its size only.
            self._warn("unreadable_line", f"{len(data)} bytes that are no JSON object")

    def feed_json(self, chunk: dict[str, Any], *, named_error: bool = False) -> None:
        error = chunk.get("error")
        if error or named_error or chunk.get("object") == "error":
            if self.all_finished:
                self._warn("error_after_end")
                return
            raise self._failure(error or chunk)
        if not self._introduced and ("id" in chunk or "model" in chunk):
            self._introduced = True
            self._events.append(
                Started(self._name(chunk.get("id")), self._name(chunk.get("model")))
            )
        choices = chunk.get("choices")
        if isinstance(choices, list):
            self._understood += 1
            for choice in choices:
                if isinstance(choice, dict):
                    self._choice(choice)
        if isinstance(usage := chunk.get("usage"), dict):
            self._understood += 1
            self._count_tokens(usage)

    def take(self) -> list[Event]:
        self._close_run()
        if self._usage is not None:
            self._events.append(self._usage)
            self._usage = None
        events, self._events = self._events, []
        return events

    def cut(self) -> None:
        """End what still runs because a limit of ours was reached; TooLarge without any text."""
        if not self.has_text:
            raise TooLarge
        self._close_run()
        for index in self._running():
            self._finish(index, FinishReason.LENGTH, CUT_NOTE)

    def close(self) -> None:
        """Say what the end of the stream means: nothing, a finish by custom, or an error."""
        self._close_run()
        if self.all_finished:
            return
        if self.ended and not self._finish_reason_required and self._understood:
            for index in self._running():
                self._finish(index, FinishReason.STOP, ASSUMED_NOTE)
        if not self._understood and "unreadable_line" in self._counts:
            raise Unreadable(detail=f"no chunk understood, {self._counts}")
        if self._sizes.keys() <= self._finished and self._finished:
            self._warn("missing_choice", f"{len(self._finished)} of {self._choices} choices came")
            return
        if not self.all_finished:
            where = "[DONE]" if self.ended else "the end of the stream"
            raise Interrupted(detail=f"{where} without a finish_reason")

    def _running(self) -> list[int]:
        return sorted((self._sizes.keys() or {0}) - self._finished)

    def _choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            index = 0
        if not 0 <= index < self._choices:
            self._warn("unexpected_choice", f"index {index}")
            return
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        if isinstance(delta, dict):
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if reasoning:
                self._text(ReasoningDelta, index, reasoning)
            content = delta.get("content") or delta.get("refusal")
            if content:
                self._text(TextDelta, index, content)
        if reason := choice.get("finish_reason"):
            self._finish_reason(index, reason, choice)

    def _text(self, kind: type[TextDelta | ReasoningDelta], index: int, content: object) -> None:
        text, size = _measured(_joined(content))
        if not text:
            return
        if index in self._finished:
            self._warn("text_after_end")
            return
        room = self._limits.answer_bytes - self._sizes.get(index, 0)
        self._sizes[index] = self._sizes.get(index, 0) + size
        if size > room:
            text = text.encode()[:room].decode("utf-8", "ignore")
        if self._run_kind != (kind, index):
            self._close_run()
            self._run_kind = (kind, index)
        if text:
            self._run.append(text)
            self.has_text = True
        if size > room:
            self._finish(index, FinishReason.LENGTH, CUT_NOTE)
            # Who sends without end is not listened to until its usage comes.
            self.ended = self.ended or self.all_finished

    def _close_run(self) -> None:
        if self._run:
            kind, index = self._run_kind
            self._events.append(kind(index, "".join(self._run)))
            self._run.clear()

    def _finish_reason(self, index: int, reason: object, choice: dict[str, Any]) -> None:
        if index in self._finished:
            self._warn("repeated_finish")
            return
        if reason == "error":
            raise self._failure(choice.get("error") or "")
        known = _REASONS.get(reason.lower()) if isinstance(reason, str) else None
        if known is None:
            name = self._name(reason) or "?"
            self._warn("unknown_finish_reason", name)
            known = (FinishReason.OTHER, UNKNOWN_NOTE % {"name": name})
        self._finish(index, *known)

    def _finish(self, index: int, reason: FinishReason, note: str) -> None:
        self._close_run()
        self._sizes.setdefault(index, 0)
        self._finished.add(index)
        self._events.append(Finished(index, reason, note))

    def _count_tokens(self, usage: dict[str, Any]) -> None:
        prompt, completion = (
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
        )
        if prompt is not None or completion is not None:
            self._usage = UsageReported(prompt or 0, completion or 0)

    def _failure(self, error: object) -> UpstreamError:
        return refusal(None, error, self._secrets)

    def _name(self, value: object) -> str:
        return presentable(value, self._secrets)[:NAME_CHARACTERS]

    def _warn(self, code: str, detail: str = "") -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        if self._counts[code] == 1:
            self._close_run()
            self._events.append(Warned(code, detail))


def _parsed(data: bytes) -> object:
    """The JSON value, or None where there is none. Bad UTF-8 becomes U+FFFD, as in a browser."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Some servers escape the halves of an emoji in two chunks, which orjson refuses.
        try:
            return json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None


def _joined(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "".join(part for part in parts if isinstance(part, str))


def _measured(text: str) -> tuple[str, int]:
    """The text with whole characters only, and its size in UTF-8."""
    if text.isascii():
        return text, len(text)
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text, len(text.encode())


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
        return value
    return None
