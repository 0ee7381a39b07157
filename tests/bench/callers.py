"""`python -m tests.bench.callers ERRAND`: programs that call one server, the portal or the model
server itself. `ERRAND` is an Errand as JSON; prints a Called as JSON."""

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import uvloop

from . import meters
from .answer import TICK_NS, ticks
from .people import MODEL, percentile


@dataclass(frozen=True)
class Errand:
    base: str  # up to /v1
    key: str
    pids: list[int]  # whose CPU counts; none: the model server's is nobody's business
    callers: int  # at once, one short question after the other
    seconds: float
    streams: int
    rate: float  # tokens a second, of each stream


@dataclass(frozen=True)
class Called:
    """Times in ms; CPU in ms a request and µs a token, 0 where nobody's is measured."""

    requests: float  # answered in a second
    request_p50: float
    request_p99: float
    request_cpu: float
    token_cpu: float
    delay_p50: float  # from the model server's write to the program's read
    delay_p99: float
    first_p50: float
    memory: float  # MB at most
    whole: int
    streams: int


async def run(errand: Errand) -> Called:
    headers = {"Authorization": f"Bearer {errand.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        await _answered(http, errand)  # connections, imports
        gc.collect()
        gc.freeze()
        before = meters.cpu_seconds(*errand.pids)
        begun = time.monotonic()
        times = await _questions(http, errand)
        seconds = time.monotonic() - begun
        request_cpu = meters.cpu_seconds(*errand.pids) - before
        before = meters.cpu_seconds(*errand.pids)
        tokens = round(errand.rate * errand.seconds)
        streamed = await asyncio.gather(
            *(_stream(http, errand, tokens, number) for number in range(errand.streams))
        )
        token_cpu = meters.cpu_seconds(*errand.pids) - before
    delays = [delay for _first, some in streamed for delay in some]
    return Called(
        requests=len(times) / seconds,
        request_p50=percentile(times, 50),
        request_p99=percentile(times, 99),
        request_cpu=request_cpu * 1e3 / len(times),
        token_cpu=token_cpu * 1e6 / len(delays),
        delay_p50=percentile(delays, 50),
        delay_p99=percentile(delays, 99),
        first_p50=percentile([first for first, _some in streamed], 50),
        memory=meters.most_memory(*errand.pids),
        whole=sum(len(some) == tokens for _first, some in streamed),
        streams=errand.streams,
    )


def _question(text: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]} | more


async def _answered(http: aiohttp.ClientSession, errand: Errand) -> float:
    begun = time.monotonic()
    address = f"{errand.base}/chat/completions"
    async with http.post(address, json=_question("Hello?")) as response:
        answer = await response.json()
    assert answer["choices"][0]["finish_reason"] == "stop", answer
    return (time.monotonic() - begun) * 1e3


async def _questions(http: aiohttp.ClientSession, errand: Errand) -> list[float]:
    times: list[float] = []
    until = time.monotonic() + errand.seconds

    async def ask() -> None:
        while time.monotonic() < until:
            times.append(await _answered(http, errand))

    await asyncio.gather(*(ask() for _ in range(errand.callers)))
    return times


async def _stream(
    http: aiohttp.ClientSession, errand: Errand, tokens: int, number: int
) -> tuple[float, list[float]]:
    """The wait for the first word, and each word's way, in ms."""
    await asyncio.sleep(number / max(1, errand.streams))
    text = f"#scenario stamped tokens={tokens} rate={errand.rate:g}"
    begun = time.monotonic()
    first = 0.0
    delays: list[float] = []
    address = f"{errand.base}/chat/completions"
    async with http.post(address, json=_question(text, stream=True)) as response:
        async for line in response.content:
            now = time.monotonic_ns()
            for chunk in _chunks(line):
                said = (chunk.get("delta") or {}).get("content") or ""
                written = ticks(said, now // TICK_NS)
                if written and not first:
                    first = (time.monotonic() - begun) * 1e3
                delays += [(now - tick * TICK_NS) / 1e6 for tick in written]
    return first, delays


def _chunks(line: bytes) -> list[dict[str, Any]]:
    data = line.removeprefix(b"data: ").strip()
    if not line.startswith(b"data: ") or data == b"[DONE]":
        return []
    found: list[dict[str, Any]] = json.loads(data)["choices"]
    return found


if __name__ == "__main__":
    measured = uvloop.run(run(Errand(**json.loads(sys.argv[1]))))
    print(f"#called {json.dumps(asdict(measured))}", flush=True)
