"""`python -m tests.bench.company`: rooms of people, each of whom watches the answer that is written
in their room.

Reads a Job as JSON, longer than an argument may be, in a line; prints a Felt as JSON.
"""

import asyncio
import gc
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from typing import Protocol

import httpx
import uvloop

from . import meters
from .channelpage import ChannelPage
from .loads import Load
from .pages import PortalPage, Watched
from .people import Window, percentile

OPENED_AT_ONCE = 20


@dataclass(frozen=True)
class Job:
    base: str
    pids: list[int]
    load: Load
    rooms: list[list[dict[str, str]]]  # of each, the pages of its people


@dataclass(frozen=True)
class Felt:
    """Times in ms, memory in MB, CPU in µs; while all answers are being written. Where nothing
    came then, since the first were over before the last began, delays and CPU are nan."""

    viewers: int
    whole: int  # of them, who saw every word come
    delay_p50: float  # from upstream's token to the viewer
    delay_p95: float
    delay_p99: float
    core: float  # the share of one core, in percent
    core_here: float  # the same of the program that measures: beside one core, delays are its own
    cpu_token: float  # a token of upstream's, for all who see it
    cpu_view: float  # a token and viewer
    memory_open: float  # with all pages open
    memory_most: float


class Page(Protocol):
    @property
    def watched(self) -> Watched: ...
    async def open(self) -> None: ...
    async def join(self) -> None: ...
    def expect(self, tokens: int) -> None: ...
    async def ask(self, question: str, tokens: int) -> None: ...
    async def close(self) -> None: ...


def _page(http: httpx.AsyncClient, base: str, person: dict[str, str]) -> Page:
    if "channel" in person:
        return ChannelPage(http, base, **person)
    return PortalPage(http, base, person["session"], person["conversation"])


async def feel(job: Job) -> Felt:
    limits = httpx.Limits(max_connections=20, max_keepalive_connections=20)
    patience = job.load.patience
    async with httpx.AsyncClient(limits=limits, timeout=patience, trust_env=False) as http:
        rooms = [[_page(http, job.base, one) for one in people] for people in job.rooms]
        everybody = [page for people in rooms for page in people]
        for start in range(0, len(rooms), OPENED_AT_ONCE):
            await asyncio.gather(*(people[0].open() for people in rooms[start:][:OPENED_AT_ONCE]))
        others = [page for people in rooms for page in people[1:]]
        for start in range(0, len(others), OPENED_AT_ONCE):
            await asyncio.gather(*(page.join() for page in others[start:][:OPENED_AT_ONCE]))
        memory_open = meters.memory(*job.pids)
        for page in everybody:
            page.expect(job.load.tokens)
        gc.collect()
        gc.freeze()
        window, here = await _answers(job, rooms, everybody)
        await asyncio.gather(*(page.close() for page in everybody))
    delays = window.delays([page.watched for page in everybody])
    heard = len(delays) or math.nan
    delays = delays or [math.nan]
    return Felt(
        viewers=len(everybody),
        whole=sum(len(page.watched.arrivals) == job.load.tokens for page in everybody),
        delay_p50=percentile(delays, 50),
        delay_p95=percentile(delays, 95),
        delay_p99=percentile(delays, 99),
        core=window.cpu / window.seconds * 100,
        core_here=here / window.seconds * 100,
        cpu_token=window.cpu * 1e6 * len(job.rooms[0]) / heard,
        cpu_view=window.cpu * 1e6 / heard,
        memory_open=memory_open,
        memory_most=meters.most_memory(*job.pids),
    )


async def _answers(
    job: Job, rooms: list[list[Page]], everybody: list[Page]
) -> tuple[Window, float]:
    """All are asked, and end, or have had their time; the time in which all were being written, and
    what this program took of the CPU in it, in seconds."""
    async with asyncio.timeout(job.load.patience):
        await asyncio.gather(
            *(_ask(people[0], number, job.load) for number, people in enumerate(rooms))
        )
    starts = [asyncio.ensure_future(page.watched.started.wait()) for page in everybody]
    await asyncio.wait(starts, timeout=job.load.patience)
    late = any(page.watched.over.is_set() for page in everybody)
    start, used = time.monotonic_ns(), meters.cpu_seconds(*job.pids)
    here = time.process_time()
    overs = [asyncio.ensure_future(page.watched.over.wait()) for page in everybody]
    await asyncio.wait(overs, timeout=job.load.seconds, return_when=asyncio.FIRST_COMPLETED)
    window = Window(start, time.monotonic_ns(), meters.cpu_seconds(*job.pids) - used)
    here = time.process_time() - here
    await asyncio.wait(overs, timeout=job.load.patience)
    return (Window(start, start + 1, math.nan), math.nan) if late else (window, here)


async def _ask(page: Page, number: int, load: Load) -> None:
    await asyncio.sleep(load.ramp * number / load.streams)
    await page.ask(f"#scenario stamped tokens={load.tokens} rate={load.rate}", load.tokens)


def main(job: str) -> None:
    fields = json.loads(job)
    fields["load"] = Load(**fields["load"])
    felt = uvloop.run(feel(Job(**fields)))
    print(f"#felt {json.dumps(asdict(felt))}", flush=True)


if __name__ == "__main__":
    main(sys.stdin.readline())
