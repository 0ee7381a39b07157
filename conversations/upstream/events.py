"""What an upstream told us: a closed set of small facts, whatever the server's dialect."""

from dataclasses import dataclass
from enum import StrEnum


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Started:
    """The server's own name for the answer; either may be empty. At most once."""

    upstream_id: str
    model: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer. Never empty."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thought before it answered: never part of the answer. Never empty."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Tokens counted so far; the last one counts. Without any, usage is unknown, not zero.

    `read_again`: of the same prompt, by a server that was asked once for each choice.
    """

    prompt_tokens: int
    completion_tokens: int
    read_again: int = 0


@dataclass(frozen=True, slots=True)
class Retrying:
    """Nothing came yet; the request is sent again after `delay` seconds (attempt 2 and up).
    `reason` is the error's code, `message` our sentence for it, without the server's words."""

    reason: str
    delay: float
    attempt: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice is complete. `note` is a sentence for people where the reason alone says too little.

    Comes once a choice, and only because the server gave a finish_reason, because this upstream is
    known to send none, or because a limit of ours was reached (`LENGTH` with a note).
    """

    index: int
    reason: FinishReason
    note: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something odd that did not stop the answer; `code` is for counting, `detail` for the log."""

    code: str
    detail: str = ""


Event = Started | TextDelta | ReasoningDelta | UsageReported | Retrying | Finished | Warned


@dataclass(frozen=True, slots=True)
class CompletedChoice:
    index: int
    text: str
    reasoning: str
    finish_reason: FinishReason
    note: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer at once. `usage` is None when the server did not count."""

    upstream_id: str
    model: str
    choices: tuple[CompletedChoice, ...]
    usage: UsageReported | None
    warnings: tuple[Warned, ...] = ()
