"""`python -m tests.bench.crowd JOB`: many sockets of one person at one process.

`JOB` is a Crowd as JSON; prints a Felt as JSON. First they idle, then all watch one answer, and in
the middle of it some are cut and come back.
"""

import asyncio
import gc
import json
import sys
from dataclasses import asdict, dataclass

import httpx
import uvloop

from . import answer, meters
from .pages import PortalPage

MODEL_PAUSE = 3.0  # seconds of the answer that go by before anybody is cut
OPENED_AT_ONCE, BACK_AT_ONCE = 20, 5


@dataclass(frozen=True)
class Crowd:
    base: str
    pid: int
    session: str
    conversation: str
    sockets: int
    idle: float  # seconds
    viewers: int
    rate: float  # tokens a second
    tokens: int
    back: int  # viewers that are cut and come back


@dataclass(frozen=True)
class Felt:
    """Times in ms, memory in MB, CPU in µs."""

    sockets: int
    dropped: int  # of the idle ones
    memory_before: float
    memory_idle: float
    cpu_idle: float  # a socket and second
    viewers: int
    whole: int  # viewers that saw every word come, of those that were not cut; all end the same
    delay_p50: float
    delay_p95: float
    cpu_frame: float  # a frame and viewer
    back_p50: float  # from an open socket to the whole of the answer so far
    back_p95: float


async def feel(job: Crowd) -> Felt:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        before = meters.memory(job.pid)
        idlers = [_page(http, job) for _ in range(job.sockets)]
        await _open(idlers)
        await asyncio.sleep(1)
        used = meters.cpu_seconds(job.pid)
        await asyncio.sleep(job.idle)
        used = meters.cpu_seconds(job.pid) - used
        memory_idle = meters.memory(job.pid)
        dropped = sum(page.is_closed for page in idlers)
        await asyncio.gather(*(page.close() for page in idlers[job.viewers :]))
        viewers = idlers[: job.viewers]
        return await _watch(
            job,
            viewers,
            _page(http, job),
            {
                "sockets": job.sockets,
                "dropped": dropped,
                "memory_before": before,
                "memory_idle": memory_idle,
                "cpu_idle": used * 1e6 / job.sockets / job.idle,
            },
        )


async def _watch(
    job: Crowd, viewers: list[PortalPage], asker: PortalPage, idle: dict[str, float]
) -> Felt:
    await asker.open()
    for page in viewers:
        page.expect(job.tokens)
    gc.collect()
    gc.freeze()
    used = meters.cpu_seconds(job.pid)
    await asker.ask(f"#scenario stamped tokens={job.tokens} rate={job.rate}", job.tokens)
    await asyncio.sleep(MODEL_PAUSE)
    back = []
    for start in range(0, job.back, BACK_AT_ONCE):
        group = viewers[start : min(start + BACK_AT_ONCE, job.back)]
        back += await asyncio.gather(*(page.come_back() for page in group))
    async with asyncio.timeout(120):
        await asyncio.gather(*(page.watched.over.wait() for page in viewers))
    used = meters.cpu_seconds(job.pid) - used
    steady = viewers[job.back :]
    delays = sorted(late / 1e6 for page in steady for _when, late in page.watched.arrivals)
    frames = sum(page.frames for page in viewers)
    [final] = {page.final for page in viewers}
    assert len(answer.WORD.findall(final)) == job.tokens
    whole = sum(len(page.watched.arrivals) == job.tokens for page in steady)
    back.sort()
    for page in [*viewers, asker]:
        await page.close()
    return Felt(
        **idle,  # type: ignore[arg-type]  # figures
        viewers=len(viewers),
        whole=whole,
        delay_p50=delays[len(delays) // 2],
        delay_p95=delays[len(delays) * 95 // 100],
        cpu_frame=used * 1e6 / frames,
        back_p50=back[len(back) // 2],
        back_p95=back[len(back) * 95 // 100],
    )


def _page(http: httpx.AsyncClient, job: Crowd) -> PortalPage:
    return PortalPage(http, job.base, job.session, job.conversation)


async def _open(pages: list[PortalPage]) -> None:
    """The first fetches a page; the others have been given its cookies, as a browser's tabs are."""
    await pages[0].open()
    for start in range(1, len(pages), OPENED_AT_ONCE):
        group = pages[start : start + OPENED_AT_ONCE]
        await asyncio.gather(*(page.open_like(pages[0]) for page in group))


def main(job: str) -> None:
    felt = uvloop.run(feel(Crowd(**json.loads(job))))
    print(f"#felt {json.dumps(asdict(felt))}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
