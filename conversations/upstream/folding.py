"""A whole answer out of its events."""

from collections.abc import Iterable

from .events import (
    CompletedChoice,
    Completion,
    Event,
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    UsageReported,
    Warned,
)


def fold(events: Iterable[Event]) -> Completion:
    """Join the events of one finished answer; choices in the order of their index."""
    texts: dict[int, list[str]] = {}
    thoughts: dict[int, list[str]] = {}
    ends: dict[int, Finished] = {}
    started = Started("", "")
    usage: UsageReported | None = None
    warnings: list[Warned] = []
    for event in events:
        match event:
            case TextDelta(index, text):
                texts.setdefault(index, []).append(text)
            case ReasoningDelta(index, text):
                thoughts.setdefault(index, []).append(text)
            case Finished(index):
                ends[index] = event
            case Started():
                started = event
            case UsageReported():
                usage = event
            case Warned():
                warnings.append(event)
    choices = tuple(
        CompletedChoice(
            index,
            "".join(texts.get(index, ())),
            "".join(thoughts.get(index, ())),
            end.reason,
            end.note,
        )
        for index, end in sorted(ends.items())
    )
    return Completion(started.upstream_id, started.model, choices, usage, tuple(warnings))
