"""Every way in which servers were seen to misbehave, by name.

`row` is the number of the quirk that a scenario plays; the tests of the client are named by the
same numbers. 0 is for good answers at a pace.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .answers import chunk
from .wire import Wire

Play = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    name: str
    row: int
    summary: str
    play: Play


REGISTRY: dict[str, Scenario] = {}


def scenario(row: int = 0) -> Callable[[Play], Play]:
    """Register a function `(wire, request, *, option=default)`; its docstring is its summary."""

    def register(play: Play) -> Play:
        name = play.__name__
        summary = (play.__doc__ or "").strip().splitlines()[0]
        REGISTRY[name] = Scenario(name, row, summary, play)
        return play

    return register


def find(name: str) -> Scenario:
    """Raises LookupError with the known names."""
    _load()
    try:
        return REGISTRY[name.replace("-", "_")]
    except KeyError:
        raise LookupError(f"no scenario {name!r}; known: {', '.join(sorted(REGISTRY))}") from None


def everything() -> list[Scenario]:
    _load()
    return sorted(REGISTRY.values(), key=lambda s: (s.row, s.name))


def _load() -> None:
    from . import bodies, broken, dialects, framing, paces  # noqa: F401 - they register themselves


async def hello(wire: Wire, *words: str, finish: str | None = "stop", done: bool = True) -> None:
    """The rest of a plain good stream after its head."""
    for word in words or ("Hello", ", ", "world"):
        await wire.event(chunk(word))
    if finish:
        await wire.event(chunk(finish=finish))
    if done:
        await wire.done()
    await wire.end()
