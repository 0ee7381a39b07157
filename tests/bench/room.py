"""Rooms of people who watch an answer together, in the portal and beside it in Open WebUI."""

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.processes import program

from . import beside, openwebui
from .company import Felt, Job
from .loads import Load
from .relay import PLAIN, Say, given, prepare, upstream

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
class Measured:
    room: Room
    portal: Felt
    kin: Felt | None  # Open WebUI's channels, where it is installed


def run(say: Say, rooms: Sequence[Room] = FULL, *, kin: str = "") -> list[Measured]:
    """One process of `serve`, anew for each. `kin` is the command that runs Open WebUI; it is left
    out where there is no such program."""
    both = beside.is_here(kin, "Open WebUI", say)
    return [
        Measured(room, _measure(say, room), _measure_kin(say, room, kin) if both else None)
        for room in rooms
    ]


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
                return _company(say, Job(base, [web.process.pid], room.load, rooms))


def _measure_kin(say: Say, room: Room, command: str) -> Felt:
    say(f"{room.name}, Open WebUI")
    with (
        upstream() as base_url,
        openwebui.channels(command, base_url, room.load.streams, room.people) as there,
    ):
        return _company(say, Job(there.base, there.pids, room.load, there.rooms))


def _company(say: Say, job: Job) -> Felt:
    with program("-m", "tests.bench.company", env={}, listens=True) as company:
        company.say(json.dumps(asdict(job)))
        felt = Felt(**given(company, "felt", 3 * job.load.patience + 300))
    if math.isnan(felt.cpu_view):
        say("answers were over before others had begun: try --load with more seconds")
    return felt


def table(measured: Sequence[Measured]) -> str:
    """Markdown."""
    names = (
        "rooms of people, tokens",
        *("saw every word", "delay p50", "p95", "p99", "of a core", "who measures"),
        *("CPU a token", "CPU a token and viewer", "RSS open", "most"),
    )
    lines = [f"| {' | '.join(names)} |", f"| --- |{' ---: |' * (len(names) - 1)}"]
    for one in measured:
        lines.append(_line(one.room.name, one.portal))
        if one.kin:
            lines += [_line("the same, Open WebUI", one.kin), _ratios(one.portal, one.kin)]
    return "\n".join(lines)


def _line(name: str, felt: Felt) -> str:
    figures = (
        f"{felt.whole}/{felt.viewers}",
        *(f"{one:.0f} ms" for one in (felt.delay_p50, felt.delay_p95, felt.delay_p99)),
        *(f"{one:.0f} %" for one in (felt.core, felt.core_here)),
        *(f"{one:.0f} µs" for one in (felt.cpu_token, felt.cpu_view)),
        *(f"{one:.0f} MB" for one in (felt.memory_open, felt.memory_most)),
    )
    return f"| {name} | {' | '.join(figures)} |"


def _ratios(portal: Felt, kin: Felt) -> str:
    def ratio(name: str) -> str:
        return f"{getattr(portal, name) / getattr(kin, name):.2f}"

    figures = (
        "",
        *(ratio(name) for name in ("delay_p50", "delay_p95", "delay_p99", "core")),
        "",  # who measures is beside the point
        *(ratio(name) for name in ("cpu_token", "cpu_view", "memory_open", "memory_most")),
    )
    return f"| portal : Open WebUI | {' | '.join(figures)} |"
