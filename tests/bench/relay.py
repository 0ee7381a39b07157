"""The portal beside the bare relay, load by load."""

import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tests.processes import Program, program

from .loads import Load
from .people import Job, Measured

# Whatever the shell has set would be measured otherwise.
PLAIN = {
    "DJANGO_SETTINGS_MODULE": "chatweb.settings",
    "DATABASE_URL": "",
    "DEBUG": "off",
    "SECURE": "off",
    "SECRET_KEY": "",
    "UPSTREAM_API_KEY": "",
    "UPSTREAM_MODELS": "crimson-falcon-4",
    "LOG_LEVEL": "WARNING",
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """One load, on both."""

    load: Load
    bare: Measured
    portal: Measured


def run(loads: Sequence[Load], *, idle: int, rounds: int, say: Say) -> list[Pair]:
    """Each load `rounds` times on both servers, each time a fresh process; the medians."""
    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder:
        prepared = Path(folder, "prepared")
        say("preparing an installation")
        pages = prepare(prepared, max(load.streams for load in loads) + 1)
        pairs = []
        for load in loads:
            bare, portal = [], []
            for number in range(rounds):
                say(f"{load.name}, bare relay")
                bare.append(_measure_bare(load, idle))
                say(f"{load.name}, portal")
                data = Path(folder, f"{load.streams}-{number}")
                shutil.copytree(prepared, data)
                portal.append(_measure_portal(load, idle, data, pages))
            pairs.append(Pair(load, _median(bare), _median(portal)))
        return pairs


def prepare(
    data: Path, conversations: int, env: dict[str, str] = PLAIN, *, each: int = 1
) -> list[dict[str, str]]:
    """The pages of `each` people of each conversation, one after the other."""
    command = ("-m", "tests.bench.prepare", str(conversations), str(each))
    with program(*command, env=env | {"DATA_DIR": str(data)}) as preparing:
        pages: list[dict[str, str]] = given(preparing, "pages", 300)
        return pages


def _measure_bare(load: Load, idle: int) -> Measured:
    with (
        upstream() as base_url,
        program("-m", "tests.bench.bare", base_url, env={}) as server,
    ):
        return _ask(server, load, idle, None)


def _measure_portal(load: Load, idle: int, data: Path, pages: list[dict[str, str]]) -> Measured:
    with upstream() as base_url:
        settings = PLAIN | {"DATA_DIR": str(data), "UPSTREAM_BASE_URL": base_url}
        with program("manage.py", "start", "--port", "0", env=settings) as server:
            return _ask(server, load, idle, pages)


@contextmanager
def upstream() -> Iterator[str]:
    with program("-m", "tests.bench.upstream", env={}) as running:
        yield running.line_with("upstream ").split()[-1]


def _ask(server: Program, load: Load, idle: int, pages: list[dict[str, str]] | None) -> Measured:
    base = server.line_with("Address ").split()[-1].rstrip("/")
    return ask(Job(base, [server.process.pid], load, idle, pages))


def ask(job: Job) -> Measured:
    with program("-m", "tests.bench.people", json.dumps(asdict(job)), env={}) as people:
        return Measured(**given(people, "measured", job.load.patience + 5 * job.idle + 60))


def given(source: Program, name: str, seconds: float) -> Any:
    return json.loads(source.line_with(f"#{name} ", seconds).partition(" ")[2])


def _median(rounds: list[Measured]) -> Measured:
    """Figure by figure; of the answers that arrived whole, the worst."""
    middle = {
        one.name: statistics.median(getattr(m, one.name) for m in rounds)
        for one in fields(Measured)
    }
    return Measured(**middle | {"whole": min(m.whole for m in rounds)})
