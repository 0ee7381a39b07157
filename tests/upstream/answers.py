"""What a well-behaved server answers, checked as the API's reference says."""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

from .wire import Request, Wire

MODELS = ("crimson-falcon-4", "indigo-owl-4", "amber-phoenix-4")
ROLES = {"system", "user", "assistant"}
ANSWER_ID = "chatcmpl-abc123"
CREATED = 1_700_000_000


def chunk(
    content: str | None = None, *, finish: str | None = None, index: int = 0, **delta: Any
) -> dict[str, Any]:
    """One event of a stream as the reference shows it."""
    if content is not None:
        delta["content"] = content
    return {
        "id": ANSWER_ID,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": MODELS[0],
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }


def usage(prompt: int = 25, completion: int = 150) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def usage_chunk(**counts: int) -> dict[str, Any]:
    return {**chunk(), "choices": [], "usage": usage(**counts)}


def completion(
    texts: list[str], *, model: str = MODELS[0], finish: str | None = "stop"
) -> dict[str, Any]:
    """A plain answer with one choice for each text."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        for i, text in enumerate(texts)
    ]
    return {
        "id": ANSWER_ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": choices,
        "usage": usage(25, sum(len(list(tokens(text))) for text in texts)),
    }


def tokens(text: str) -> Iterator[str]:
    """Words with the blanks ahead of them: about what models call tokens."""
    yield from re.findall(r"\s*\S+|\s+$", text)


def question(body: dict[str, Any]) -> str:
    """The last user message."""
    asked = [m["content"] for m in body.get("messages", ()) if m.get("role") == "user"]
    return asked[-1] if asked else ""


def echo(body: dict[str, Any], index: int = 0) -> str:
    quoted = "\n".join(f"> {line}" for line in question(body).splitlines()[:20])
    title = "An answer" if index == 0 else f"Answer {index + 1}"
    return (
        f"## {title} from {body['model']}\n\nYou asked:\n\n{quoted}\n\n"
        "Here is a **list** and some `code`:\n\n- first\n- second\n\n"
        '```python\nprint("hello")\n```\n\nThat is all.'
    )


async def answer(wire: Wire, request: Request, *, rate: float = 0.0) -> None:
    """Echo the question as Markdown, `rate` tokens a second (0: as fast as possible)."""
    body = request.json
    texts = [echo(body, index) for index in range(body.get("n", 1))]
    if max_tokens := body.get("max_tokens"):
        texts = ["".join(list(tokens(text))[:max_tokens]) for text in texts]
    finish = "length" if max_tokens and max_tokens < len(list(tokens(echo(body)))) else "stop"
    if not body.get("stream"):
        await wire.json(200, completion(texts, model=body["model"], finish=finish))
        return
    await wire.head()
    for index in range(len(texts)):
        await wire.event(_named(chunk("", index=index, role="assistant"), body))
    pace = Pace(rate)
    count = 0
    for index, token in interleaved(texts):
        await wire.event(_named(chunk(token, index=index), body))
        count += 1
        await pace.wait()
    for index in range(len(texts)):
        await wire.event(_named(chunk(finish=finish, index=index), body))
    if (body.get("stream_options") or {}).get("include_usage"):
        await wire.event(_named(usage_chunk(prompt=25, completion=count), body))
    await wire.done()
    await wire.end()


def interleaved(texts: list[str]) -> Iterator[tuple[int, str]]:
    queues = [list(tokens(text)) for text in texts]
    for position in range(max(map(len, queues), default=0)):
        for index, queue in enumerate(queues):
            if position < len(queue):
                yield index, queue[position]


def _named(value: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    return {**value, "model": body["model"]}


class Pace:
    """Keeps to a rate on an absolute schedule, so that being late once does not add up."""

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate if rate else 0.0
        self._next = time.monotonic()

    async def wait(self) -> None:
        self._next += self._step
        await asyncio.sleep(max(self._next - time.monotonic(), 0) if self._step else 0)


def complaint(request: Request, key: str) -> tuple[int, str, str | None] | None:
    """What a strict server objects to: status, message and code; None for a good request."""
    if key and request.headers.get("authorization") != f"Bearer {key}":
        return 401, "Incorrect API key provided.", "invalid_api_key"
    if request.method == "GET":
        return None
    try:
        body = request.json
    except ValueError:
        return 400, "The body is not JSON.", None
    if not isinstance(body, dict):
        return 400, "The body must be an object.", None
    if wrong := _wrong_parameter(body):
        return 400, f"Invalid value for '{wrong}'.", None
    if body["model"] not in MODELS:
        return 404, f"The model '{body['model']}' does not exist.", "model_not_found"
    return None


def _wrong_parameter(body: dict[str, Any]) -> str | None:
    checks = {
        "model": isinstance(body.get("model"), str),
        "messages": _good_messages(body.get("messages")),
        "temperature": _in_range(body.get("temperature", 1), 0, 2),
        "top_p": _in_range(body.get("top_p", 1), 0, 1),
        "max_tokens": _whole(body.get("max_tokens", 1)),
        "n": _whole(body.get("n", 1)),
        "stream": isinstance(body.get("stream", False), bool),
        "stop": isinstance(body.get("stop", []), str | list),
    }
    return next((name for name, good in checks.items() if not good), None)


def _good_messages(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(m, dict) and m.get("role") in ROLES and isinstance(m.get("content"), str)
            for m in messages
        )
    )


def _in_range(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
