"""How far an answer has come, and how it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from conversations.ledger import Used
from conversations.models import Choice, Ending, State, UsageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How far an answer has come."""

    generation_id: int
    message_id: int
    text: str
    reasoning: str
    # Of both, the characters that this generation did not write.
    before: int = 0

    @classmethod
    def of(cls, choice: Choice) -> Self:
        """As the table has it, with nothing new."""
        message = choice.message
        return cls(
            generation_id=choice.generation_id,
            message_id=choice.message_id,
            text=message.text,
            reasoning=message.reasoning,
            before=len(message.text) + len(message.reasoning),
        )

    @property
    def written(self) -> int:
        return max(0, len(self.text) + len(self.reasoning) - self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a generation ended. DONE needs a finish reason; FAILED and INTERRUPTED an error."""

    state: State
    finish_reason: str = ""
    error_code: str = ""
    error_message: str = ""
    error_detail: str = ""
    retry_at: datetime | None = None
    first_token_at: datetime | None = None
    upstream_id: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def columns(self) -> dict[str, Any]:
        known = self.completion_tokens is not None
        columns = {
            "finish_reason": self.finish_reason[:40],
            "error_code": self.error_code[:40],
            "error_message": self.error_message[:500],
            "error_detail": self.error_detail,
            "retry_at": self.retry_at,
            "first_token_at": self.first_token_at,
            "upstream_id": self.upstream_id[:200],
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "usage_source": UsageSource.REPORTED if known else UsageSource.UNKNOWN,
        }
        return {
            name: storable(value) if isinstance(value, str) else value
            for name, value in columns.items()
        }

    def used(self, state: State, why: str, written: int) -> Used:
        """The same for the ledger, which goes by the characters `written` where nobody counted."""
        return Used(
            outcome=Ending(state),
            reason=storable(why),
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            written=written,
            first_token_at=self.first_token_at,
        )


def storable(text: str) -> str:
    """Upstreams write what they like, and PostgreSQL keeps no NUL."""
    return text.replace("\0", "\ufffd")
