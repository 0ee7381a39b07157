"""`python -m tests.bench.room`: rooms of people, each of whom watches the answer that is written in
their room.

Reads a Job as JSON, longer than an argument may be, in a line; prints a Felt as JSON.
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import uvloop

from tests.processes import program

from . import meters
from .loads import Load
from .pages import PortalPage
from .people import Window, percentile
from .relay import PLAIN, Say, given, prepare, upstream

OPENED_AT_ONCE = 20
KEY = "a key for measurements alone, which signs nothing that lasts 0123456789"


@dataclass(frozen=True)
class Room:
    """`load.streams` conversations with `people` in each, of whom the first asks."""

    load: Load
    people: int

    @property
    def name(self) -> str:
        return f"{self.load.streams} of {self.people}, {self.load.rate:g}/s"


FULL = (Room(Load(1, 30, 12), 500), Room(Load(100, 30, 12), 5))


@dataclass(frozen=True)
class Job:
    base: str
    pid: int
    load: Load
    rooms: list[list[dict[str, str]]]  # of each, the pages of its people


@dataclass(frozen=True)
class Felt:
    """Times in ms, memory in MB, CPU in µs; while all answers are being written."""

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


def run(say: Say, rooms: Sequence[Room] = FULL) -> list[tuple[Room, Felt]]:
    """One process of `serve`, anew for each."""
    return [(room, _measure(say, room)) for room in rooms]


def _measure(say: Say, room: Room) -> Felt:
    env = PLAIN | {"SECRET_KEY": KEY, "GENERATIONS_PER_PROCESS": str(room.load.streams + 1)}
    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder:
        say("preparing an installation")
        data = Path(folder, "data")
        pages = prepare(data, room.load.streams, env, each=room.people)
        rooms = [pages[at : at + room.people] for at in range(0, len(pages), room.people)]
        with upstream() as base_url:
            settings = env | {"DATA_DIR": str(data), "UPSTREAM_BASE_URL": base_url}
            with program("manage.py", "serve", "--port", "0", env=settings) as web:
                base = web.line_with(" serves ").split()[-1]
                say(room.name)
                job = json.dumps(asdict(Job(base, web.process.pid, room.load, rooms)))
                with program("-m", "tests.bench.room", env={}, listens=True) as company:
                    company.say(job)
                    return Felt(**given(company, "felt", room.load.patience + 300))


async def feel(job: Job) -> Felt:
    limits = httpx.Limits(max_connections=20, max_keepalive_connections=20)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:
        rooms = [
            [PortalPage(http, job.base, one["session"], one["conversation"]) for one in people]
            for people in job.rooms
        ]
        everybody = [page for people in rooms for page in people]
        for start in range(0, len(rooms), OPENED_AT_ONCE):
            await asyncio.gather(*(people[0].open() for people in rooms[start:][:OPENED_AT_ONCE]))
        others = [page for people in rooms for page in people[1:]]
        for start in range(0, len(others), OPENED_AT_ONCE):
            await asyncio.gather(*(page.join() for page in others[start:][:OPENED_AT_ONCE]))
        memory_open = meters.memory(job.pid)
        for page in everybody:
            page.expect(job.load.tokens)
        gc.collect()
        gc.freeze()
        window, here = await _answers(job, rooms, everybody)
        await asyncio.gather(*(page.close() for page in everybody))
    delays = window.delays([page.watched for page in everybody])
    return Felt(
        viewers=len(everybody),
        whole=sum(len(page.watched.arrivals) == job.load.tokens for page in everybody),
        delay_p50=percentile(delays, 50),
        delay_p95=percentile(delays, 95),
        delay_p99=percentile(delays, 99),
        core=window.cpu / window.seconds * 100,
        core_here=here / window.seconds * 100,
        cpu_token=window.cpu * 1e6 * len(job.rooms[0]) / len(delays),
        cpu_view=window.cpu * 1e6 / len(delays),
        memory_open=memory_open,
        memory_most=meters.most_memory(job.pid),
    )


async def _answers(
    job: Job, rooms: list[list[PortalPage]], everybody: list[PortalPage]
) -> tuple[Window, float]:
    """All are asked, and end; the time in which all were being written, and what this program took
    of the CPU in it, in seconds."""
    async with asyncio.timeout(job.load.patience):
        await asyncio.gather(
            *(_ask(people[0], number, job.load) for number, people in enumerate(rooms))
        )
        await asyncio.gather(*(page.watched.started.wait() for page in everybody))
        start, used = time.monotonic_ns(), meters.cpu_seconds(job.pid)
        here = time.process_time()
        overs = [asyncio.ensure_future(page.watched.over.wait()) for page in everybody]
        await asyncio.wait(overs, timeout=job.load.seconds, return_when=asyncio.FIRST_COMPLETED)
        window = Window(start, time.monotonic_ns(), meters.cpu_seconds(job.pid) - used)
        here = time.process_time() - here
        await asyncio.gather(*overs)
    return window, here


async def _ask(page: PortalPage, number: int, load: Load) -> None:
    await asyncio.sleep(load.ramp * number / load.streams)
    await page.ask(f"#scenario stamped tokens={load.tokens} rate={load.rate}", load.tokens)


def table(measured: Sequence[tuple[Room, Felt]]) -> str:
    """Markdown."""
    names = (
        "rooms of people, tokens",
        *("saw every word", "delay p50", "p95", "p99", "of a core", "who measures"),
        *("CPU a token", "CPU a token and viewer", "RSS open", "most"),
    )
    lines = [f"| {' | '.join(names)} |", f"| --- |{' ---: |' * (len(names) - 1)}"]
    for room, felt in measured:
        figures = (
            f"{felt.whole}/{felt.viewers}",
            *(f"{one:.0f} ms" for one in (felt.delay_p50, felt.delay_p95, felt.delay_p99)),
            *(f"{one:.0f} %" for one in (felt.core, felt.core_here)),
            *(f"{one:.0f} µs" for one in (felt.cpu_token, felt.cpu_view)),
            *(f"{one:.0f} MB" for one in (felt.memory_open, felt.memory_most)),
        )
        lines.append(f"| {room.name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def main(job: str) -> None:
    fields = json.loads(job)
    fields["load"] = Load(**fields["load"])
    felt = uvloop.run(feel(Job(**fields)))
    print(f"#felt {json.dumps(asdict(felt))}", flush=True)


if __name__ == "__main__":
    main(sys.stdin.readline())
