"""The objects of an answer, field by field as the reference shows them."""

import time
from collections.abc import Sequence
from typing import Any

from conversations import ledger
from conversations.models.ids import public_id
from conversations.upstream import ChatRequest, CompletedChoice, UsageReported


class Objects:
    """Of one call: its name, its time and its model stand in all of them. Nothing that a server
    calls itself is among it."""

    def __init__(self, request: ChatRequest) -> None:
        self.id = f"chatcmpl-{public_id()}"
        self._created = int(time.time())
        self._model = request.model

    def completion(
        self, choices: Sequence[CompletedChoice], usage: UsageReported
    ) -> dict[str, Any]:
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": choice.index,
                    "message": {"role": "assistant", "content": choice.text},
                    "finish_reason": choice.finish_reason.value,
                }
                for choice in choices
            ],
            "usage": of_usage(usage),
        }

    def chunk(
        self, index: int, delta: dict[str, str], finish_reason: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: UsageReported) -> dict[str, Any]:
        return {
            **self._head("chat.completion.chunk"),
            "choices": [],
            "usage": of_usage(usage),
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self._created, "model": self._model}


def of_usage(usage: UsageReported) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def estimated(request: ChatRequest, characters: int) -> UsageReported:
    """Usage of an answer of so many characters that no server has counted, as the ledger does."""
    asked = sum(len(message.content) for message in request.messages)
    return UsageReported(
        ledger.estimated_tokens(characters=asked, messages=len(request.messages)),
        ledger.estimated_tokens(characters=characters),
    )
