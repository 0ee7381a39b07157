"""The upstream of a chaos run: writes down all that it says, and often breaks off."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.upstream import ScriptedUpstream
from tests.upstream.answers import MODELS, question, tokens, usage_chunk
from tests.upstream.wire import HungUp, Request, Wire

# How answers go, and how often of a hundred.
PLOTS = {
    "good": 54,
    "slow": 5,
    "length": 5,
    "endless": 3,
    "silent": 2,
    "cut": 6,
    "reset": 4,
    "no_end": 4,
    "error": 5,
    "busy": 4,
    "later": 3,
    "much_later": 1,
    "broken": 2,
    "drop": 2,
}
STORY = """
The quick *brown* fox, **naïve** and `code`, jumps over Zoë's 🦊 déjà-vu; 日本 is far.
A line ends here & <there>.
"""
WORDS = STORY.split()


@dataclass
class Call:
    """One request, and what was said to it. `said` holds each piece with its moment of sending, by
    time.monotonic(); what was never begun cost nothing."""

    number: int
    question: str
    prefill: str
    plot: str
    said: list[tuple[float, str]] = field(default_factory=list)
    finish: str = ""

    @property
    def text(self) -> str:
        return "".join(piece for _when, piece in self.said)

    @property
    def is_charged(self) -> bool:
        return bool(self.said)


class Storyteller(ScriptedUpstream):
    """Each answer begins with the number of its call, by which it is known in the tables."""

    def __init__(self, seed: int, *, rate: float, calm: bool = False) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._seed = seed
        self._calm = calm
        self._pieces_a_second = rate
        self._asked: Counter[str] = Counter()

    async def _answer(self, wire: Wire, request: Request) -> None:
        # Thousands are asked, and all that matters is in the calls.
        self.requests.clear()
        self.wires.clear()
        asked = question(request.json)
        last = request.json["messages"][-1]
        self._asked[asked] += 1
        chance = random.Random(f"{self._seed} {asked} {self._asked[asked]}")
        plot = "good" if self._calm else chance.choices([*PLOTS], [*PLOTS.values()])[0]
        prefill = last["content"] if last["role"] == "assistant" else ""
        call = Call(len(self.calls), asked, prefill, plot)
        self.calls.append(call)
        await self._tell(call, wire, chance)

    async def _tell(self, call: Call, wire: Wire, chance: random.Random) -> None:
        match call.plot:
            case "busy":
                await wire.error(429, "Busy.", retry_after="0.1")
                return
            case "later":
                await wire.error(429, "Later.", retry_after="1.2")
                return
            case "much_later":
                await wire.error(429, "Tomorrow.", retry_after="86400")
                return
            case "broken":
                await wire.error(500, "Broken.")
                return
            case "drop":
                await wire.cut()
        await wire.head()
        pause = 0.2 if call.plot == "slow" else 1 / self._pieces_a_second
        blocks = 1 if call.plot in {"slow", "endless"} else chance.randint(1, 5)
        for piece in tokens(f"«{call.number}»\n\n{_story(chance, blocks)}"):
            await self._say(call, wire, piece)
            await asyncio.sleep(pause)
        await self._end(call, wire)

    async def _end(self, call: Call, wire: Wire) -> None:
        match call.plot:
            case "good" | "slow" | "length":
                call.finish = "length" if call.plot == "length" else "stop"
                await wire.event(_chunk(call, finish=call.finish))
                await wire.event(usage_chunk(prompt=25, completion=len(call.said)))
                await wire.done()
                await wire.end()
            case "endless":  # but for the portal's limit of what it takes
                while True:
                    await self._say(call, wire, "On and on it goes. " * 20)
                    await asyncio.sleep(0.02)
            case "silent":
                await wire.until_gone()
            case "cut":
                await wire.cut()
            case "reset":
                await wire.reset()
            case "error":
                await wire.event({"error": {"message": "The model crashed.", "code": 500}})
                await wire.end()
            case "no_end":
                await wire.done()
                await wire.end()

    async def _say(self, call: Call, wire: Wire, piece: str) -> None:
        if wire.writer.is_closing():
            raise HungUp
        call.said.append((time.monotonic(), piece))  # before: what was read was said
        await wire.event(_chunk(call, piece))


def _chunk(call: Call, piece: str | None = None, *, finish: str | None = None) -> dict[str, Any]:
    delta = {} if piece is None else {"content": piece}
    return {
        "id": f"call-{call.number}",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODELS[0],
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _story(chance: random.Random, length: int) -> str:
    """Markdown of so many blocks, of 5 to 16 words each."""
    blocks = []
    for _ in range(length):
        words = chance.choices(WORDS, k=chance.randint(5, 16))
        match chance.randrange(5):
            case 0:
                blocks.append("\n".join(f"- {word}" for word in words))
            case 1:
                blocks.append("```python\n" + "\n".join(words) + "\n```")
            case 2:
                blocks.append("## " + " ".join(words))
            case _:
                blocks.append(" ".join(words))
    return "\n\n".join([*blocks, "That is all."])
