"""Scenarios: good streams in unusual words (rows 1 to 9, 24 to 27, 40)."""

import asyncio

from .answers import chunk, completion, usage, usage_chunk
from .scenarios import hello, scenario
from .wire import Request, Wire


@scenario(1)
async def role_only_first(wire: Wire, request: Request) -> None:
    """The first deltas hold a role and no text."""
    await wire.head()
    await wire.event(chunk(role="assistant"))
    await wire.event({**chunk(), "choices": [{"index": 0, "delta": {"content": None}}]})
    await wire.event(chunk("", role="assistant"))
    await hello(wire)


@scenario(2)
async def empty_deltas(wire: Wire, request: Request) -> None:
    """Deltas that are empty, null or missing."""
    await wire.head()
    for choice in ({"index": 0, "delta": {}}, {"index": 0}, {"index": 0, "delta": None}, None):
        await wire.event({**chunk(), "choices": [choice]})
    await wire.event({**chunk(), "choices": None})
    await hello(wire)


@scenario(3)
async def usage_last(wire: Wire, request: Request) -> None:
    """An event without choices at the end counts the tokens."""
    await wire.head()
    for word in ("Hello", ", ", "world"):
        await wire.event(chunk(word))
    await wire.event(chunk(finish="stop"))
    await wire.event(usage_chunk(prompt=7, completion=3))
    await wire.done()
    await wire.end()


@scenario(4)
async def usage_packed(wire: Wire, request: Request) -> None:
    """The last piece of text brings the usage and the end, unasked."""
    await wire.head()
    await wire.event(chunk("Hello, "))
    await wire.event({**chunk("world", finish="stop"), "usage": usage(7, 3)})
    await wire.done()
    await wire.end()


@scenario(6)
async def filter_first(wire: Wire, request: Request) -> None:
    """The first event has no choices but the results of a prompt filter."""
    await wire.head()
    results = [{"prompt_index": 0, "content_filter_results": {}}]
    await wire.event({"id": "", "model": "", "choices": [], "prompt_filter_results": results})
    await hello(wire)


@scenario(7)
async def comments(wire: Wire, request: Request, *, every: float = 0.0, count: int = 3) -> None:
    """Comments between the words as life signs."""
    await wire.head()
    await wire.send(b": OPENROUTER PROCESSING\n\n")
    await wire.event(chunk("Hello"))
    for _ in range(count):
        await asyncio.sleep(every)
        await wire.send(b": ping\n\n")
    await hello(wire, ", ", "world")


def error_object(shape: str) -> object:
    text = "The model crashed."
    return {
        "object": {"error": {"message": text, "type": "server_error", "code": 500}},
        "flat": {"object": "error", "message": text, "type": "server_error", "code": 500},
        "string": {"error": text},
    }[shape]


@scenario(8)
async def error_first(
    wire: Wire, request: Request, *, shape: str = "object", done: int = 0
) -> None:
    """An error object inside a good stream, ahead of any text; shape=object|flat|string."""
    await wire.head()
    await wire.event(error_object(shape))
    await wire.done() if done else None
    await wire.end()


@scenario(8)
async def error_midway(
    wire: Wire, request: Request, *, shape: str = "object", done: int = 0
) -> None:
    """An error object after some text; shape=object|flat|string, done=1 adds [DONE]."""
    await wire.head()
    await wire.event(chunk("Half an "))
    await wire.event(chunk("answer"))
    await wire.event(error_object(shape))
    await wire.done() if done else None
    await wire.end()


@scenario(9)
async def finish(wire: Wire, request: Request, *, reason: str = "error") -> None:
    """Text, then the finish_reason given (row 24 for the usual ones)."""
    await wire.head()
    await hello(wire, finish=reason)


@scenario(24)
async def tool_call(wire: Wire, request: Request, *, reason: str = "tool_calls") -> None:
    """The model asks for a tool."""
    await wire.head()
    call = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": "{}"}}
    await wire.event(chunk(tool_calls=[call]))
    await wire.event(chunk(finish=reason))
    await wire.done()
    await wire.end()


@scenario(25)
async def two_choices(wire: Wire, request: Request) -> None:
    """Two choices with their pieces interleaved."""
    await wire.head()
    for index, word in ((0, "one"), (1, "un"), (0, " two"), (1, " deux"), (1, " trois")):
        await wire.event(chunk(word, index=index))
    await wire.event(chunk(finish="stop", index=1))
    await wire.event(chunk(" three", index=0))
    await wire.event(chunk(finish="length", index=0))
    await wire.done()
    await wire.end()


@scenario(25)
async def no_index(wire: Wire, request: Request) -> None:
    """Choices that do not say which one they are."""
    await wire.head()
    await wire.event({"choices": [{"delta": {"content": "Hello, world"}}]})
    await wire.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    await wire.done()
    await wire.end()


@scenario(26)
async def reasoning(wire: Wire, request: Request, *, field: str = "reasoning_content") -> None:
    """The model thinks aloud before it answers; field=reasoning_content|reasoning."""
    await wire.head()
    for thought in ("Let me ", "think."):
        delta = {field: thought, "content": None}
        await wire.event({**chunk(), "choices": [{"index": 0, "delta": delta}]})
    await hello(wire)


@scenario(27)
async def parts(wire: Wire, request: Request) -> None:
    """The content is a list of parts."""
    await wire.head()
    listed = [{"type": "text", "text": "Hello"}, {"type": "image"}, ", ", {"text": "world"}]
    await wire.event({**chunk(), "choices": [{"index": 0, "delta": {"content": listed}}]})
    await hello(wire, "!")


@scenario(27)
async def repeats(wire: Wire, request: Request) -> None:
    """Each delta repeats the whole text so far."""
    await wire.head()
    await hello(wire, "Ha", "HaHa")


@scenario(27)
async def message_for_delta(wire: Wire, request: Request) -> None:
    """A stream whose choices hold `message` where `delta` belongs."""
    await wire.head()
    message = {"role": "assistant", "content": "Hello, world"}
    await wire.event({**chunk(), "choices": [{"index": 0, "message": message}]})
    await wire.event(chunk(finish="stop"))
    await wire.done()
    await wire.end()


@scenario(27)
async def json_answer(wire: Wire, request: Request) -> None:
    """A plain JSON answer though a stream was asked for."""
    await wire.json(200, completion(["Hello, world"]))


@scenario(40)
async def text_after_end(wire: Wire, request: Request) -> None:
    """Text, a second end and a second [DONE] after the first."""
    await wire.head()
    await wire.event(chunk("Hello, world"))
    await wire.event(chunk(finish="stop"))
    await wire.event(chunk(" and more", finish="length"))
    await wire.event(chunk(" and more"))
    await wire.done()
    await wire.event(chunk(" and more"))
    await wire.done()
    await wire.end()
