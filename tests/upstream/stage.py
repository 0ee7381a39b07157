"""Asks a scripted upstream as the portal does, and says what came of it."""

from dataclasses import dataclass, field
from typing import Any

from conversations.upstream import (
    ChatMessage,
    ChatRequest,
    Client,
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    Timeouts,
    Upstream,
    UpstreamError,
    Warned,
)
from tests.upstream import ScriptedUpstream

KEY = "canary-key-4711"
PATIENT = Timeouts(connect=5, slot=0.05, first_token=10, between_tokens=10, after_end=0.1)
IMPATIENT = Timeouts(connect=5, slot=0.05, first_token=0.4, between_tokens=0.3, after_end=0.1)


@dataclass
class Outcome:
    events: list[Event] = field(default_factory=list)
    error: UpstreamError | None = None

    def text(self, index: int = 0) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TextDelta) and e.index == index)

    @property
    def reasoning(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, ReasoningDelta))

    @property
    def finishes(self) -> list[tuple[int, FinishReason]]:
        return [(e.index, e.reason) for e in self.events if isinstance(e, Finished)]

    @property
    def warnings(self) -> list[str]:
        return [e.code for e in self.events if isinstance(e, Warned)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]

    @property
    def code(self) -> str | None:
        return self.error.code if self.error else None


async def heard(client: Client, *, n: int = 1) -> Outcome:
    outcome = Outcome()
    request = ChatRequest("crimson-falcon-4", (ChatMessage("user", "Hi"),), n=n)
    try:
        async for batch in client.stream(request):
            assert batch
            outcome.events += batch
    except UpstreamError as error:
        outcome.error = error
    return outcome


class Stage:
    """A scripted upstream and the means to ask it."""

    def __init__(self, server: ScriptedUpstream) -> None:
        self.server = server
        self.waits: list[float] = []

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def upstream(self, **options: Any) -> Upstream:
        options = {"timeouts": PATIENT, **options}
        return Upstream("main", self.server.base_url, KEY, **options)

    async def ask(self, *, n: int = 1, **options: Any) -> Outcome:
        async with Client(self.upstream(**options), sleep=self.wait, jitter=lambda: 0.0) as client:
            return await heard(client, n=n)

    async def play(self, name: str, timeouts: Timeouts = PATIENT, **options: Any) -> Outcome:
        self.server.script(name, **options)
        return await self.ask(timeouts=timeouts)


def assert_good(outcome: Outcome, text: str = "Hello, world") -> None:
    assert (outcome.error, outcome.text(), outcome.finishes) == (
        None,
        text,
        [(0, FinishReason.STOP)],
    )
