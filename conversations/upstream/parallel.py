"""Several choices from a server that gives one at a time: as many requests side by side."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import replace

from .events import Event, Finished, ReasoningDelta, Started, TextDelta, UsageReported

Batches = AsyncGenerator[list[Event], None]


async def side_by_side(streams: Sequence[Batches]) -> Batches:
    """Give the answers of `streams`, one choice each, as one answer with a choice for each.

    The first failure ends all of them. Tokens are counted together, as servers do it, once all
    have counted theirs: the prompt's once, and beside it how many more were read.
    """
    counted: dict[int, UsageReported] = {}
    started = False
    waiting = {asyncio.ensure_future(anext(one, None)): at for at, one in enumerate(streams)}
    try:
        while waiting:
            done, _others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index = waiting.pop(task)
                batch = task.result()
                if batch is None:
                    continue
                events: list[Event] = []
                for event in batch:
                    if isinstance(event, UsageReported):
                        counted[index] = event
                        if len(counted) == len(streams):
                            events.append(_together(counted))
                    elif not (isinstance(event, Started) and started):
                        started = started or isinstance(event, Started)
                        events.append(_of_choice(event, index))
                if events:
                    yield events
                # Only now: nothing is read while the reader rests.
                waiting[asyncio.ensure_future(anext(streams[index], None))] = index
    finally:
        await _end(tuple(waiting), streams)


def _of_choice(event: Event, index: int) -> Event:
    if isinstance(event, TextDelta | ReasoningDelta | Finished):
        return replace(event, index=index)
    return event


def _together(counted: dict[int, UsageReported]) -> UsageReported:
    prompts = [one.prompt_tokens for one in counted.values()]
    answers = sum(one.completion_tokens for one in counted.values())
    return UsageReported(max(prompts), answers, read_again=sum(prompts) - max(prompts))


async def _end(
    waiting: "Collection[asyncio.Future[list[Event] | None]]", streams: Sequence[Batches]
) -> None:
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting)
    for stream in streams:
        await stream.aclose()
