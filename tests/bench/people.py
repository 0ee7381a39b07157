"""`python -m tests.bench.people JOB`: asks one server the questions of one load, and measures.

`JOB` is a Job as JSON; prints a Measured as JSON.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass

import httpx
import uvloop

from . import meters
from .loads import Load
from .pages import BarePage, Page, PortalPage, Watched

IDLE_TOKENS = 10
IDLE_PAUSE = 0.2
MODEL = "crimson-falcon-4"


@dataclass(frozen=True)
class Job:
    base: str
    pids: list[int]
    load: Load
    idle: int  # questions asked one by one beforehand
    pages: list[dict[str, str]] | None  # people of the portal, one more than streams; None: bare


@dataclass(frozen=True)
class Measured:
    """Times in ms, memory in MB, CPU in µs a token; `core` is the share of one core in percent.

    `cpu` is of the time in which all answers are being written, `cpu_whole` from the first
    question to the last settled answer.
    """

    cpu: float
    cpu_whole: float
    core: float
    delay_p50: float
    delay_p99: float
    question: float  # CPU, ms: asking, claiming and settling one short answer, nothing else running
    first_idle_p50: float
    first_idle_p99: float
    first_p50: float
    first_p99: float
    size: float  # bytes to viewers a token
    memory_start: float
    memory_warm: float
    memory_peak: float
    whole: int  # answers that arrived whole
    answers: int


class NotMeasurable(Exception):
    """The server was so far behind that answers ended before others had begun."""


async def measure(job: Job) -> Measured:
    memory_start = meters.memory(*job.pids)
    limits = httpx.Limits(max_connections=20, max_keepalive_connections=20)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:
        pages = _pages(job, http)
        idler = pages.pop()
        await idler.open()
        before = meters.cpu_seconds(*job.pids)
        idle = [await _ask_alone(idler) for _ in range(job.idle)]
        question = (meters.cpu_seconds(*job.pids) - before) * 1e3 / max(1, job.idle)
        memory_warm = meters.memory(*job.pids)
        for start in range(0, len(pages), 10):
            await asyncio.gather(*(page.open() for page in pages[start : start + 10]))
        await asyncio.sleep(0.5)
        gc.collect()
        gc.freeze()
        before = meters.cpu_seconds(*job.pids)
        window = await _stream(pages, job)
        cpu_whole = meters.cpu_seconds(*job.pids) - before
        whole = sum([await page.has_whole_answer() for page in pages])
        for page in [*pages, idler]:
            await page.close()
    watched = [page.watched for page in pages]
    tokens = sum(len(one.arrivals) for one in watched)
    delays = window.delays(watched)
    first = [_first_words(one) for one in watched]
    return Measured(
        cpu=window.cpu * 1e6 / len(delays),
        cpu_whole=cpu_whole * 1e6 / tokens,
        core=window.cpu / window.seconds * 100,
        delay_p50=percentile(delays, 50),
        delay_p99=percentile(delays, 99),
        question=question,
        first_idle_p50=percentile(idle, 50),
        first_idle_p99=percentile(idle, 99),
        first_p50=percentile(first, 50),
        first_p99=percentile(first, 99),
        size=sum(one.size for one in watched) / tokens,
        memory_start=memory_start,
        memory_warm=memory_warm,
        memory_peak=meters.most_memory(*job.pids),
        whole=whole,
        answers=len(pages),
    )


def _pages(job: Job, http: httpx.AsyncClient) -> list[Page]:
    if job.pages is None:
        return [BarePage(job.base, MODEL) for _ in range(job.load.streams + 1)]
    people = job.pages[: job.load.streams + 1]
    return [PortalPage(http, job.base, one["session"], one["conversation"]) for one in people]


async def _ask_alone(page: Page) -> float:
    await asyncio.sleep(IDLE_PAUSE)
    async with asyncio.timeout(30):
        await page.ask(f"#scenario stamped tokens={IDLE_TOKENS} rate=50", IDLE_TOKENS)
        await page.watched.over.wait()
    return _first_words(page.watched)


@dataclass
class Window:
    """The time in which all answers are being written."""

    start: int
    end: int
    cpu: float

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9

    def delays(self, watched: list[Watched]) -> list[float]:
        """Of the words that came within, in ms."""
        return [
            late / 1e6
            for one in watched
            for when, late in one.arrivals
            if self.start <= when < self.end
        ]


async def _stream(pages: list[Page], job: Job) -> Window:
    async with asyncio.timeout(job.load.patience):
        await asyncio.gather(*(_ask_later(page, i, job.load) for i, page in enumerate(pages)))
        await asyncio.gather(*(page.watched.started.wait() for page in pages))
        if any(page.watched.over.is_set() for page in pages):
            raise NotMeasurable(job.load.name)
        start, before = time.monotonic_ns(), meters.cpu_seconds(*job.pids)
        overs = [asyncio.ensure_future(page.watched.over.wait()) for page in pages]
        await asyncio.wait(overs, timeout=job.load.seconds, return_when=asyncio.FIRST_COMPLETED)
        window = Window(start, time.monotonic_ns(), meters.cpu_seconds(*job.pids) - before)
        await asyncio.gather(*overs)
    return window


async def _ask_later(page: Page, number: int, load: Load) -> None:
    await asyncio.sleep(load.ramp * number / load.streams)
    await page.ask(f"#scenario stamped tokens={load.tokens} rate={load.rate}", load.tokens)


def _first_words(watched: Watched) -> float:
    """ms. The upstream writes its first word as soon as it has read the request."""
    return (watched.first_at - watched.asked_at) / 1e6


def percentile(values: list[float], percent: int) -> float:
    """By nearest rank; 0 for none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] if ranked else 0.0


def main(job: str) -> None:
    fields = json.loads(job)
    fields["load"] = Load(**fields["load"])
    measured = uvloop.run(measure(Job(**fields)))
    print(f"#measured {json.dumps(asdict(measured))}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
