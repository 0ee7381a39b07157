"""What a process holds, and what a second one costs."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.engines import RedisServer
from tests.processes import program

from . import meters
from .crowd import Crowd, Felt
from .loads import Load
from .people import Job, Measured
from .relay import PLAIN, Say, ask, given, prepare, upstream

KEY = "a key for measurements alone, which signs nothing that lasts 0123456789"
RATE = 30.0  # tokens a second, of the answer that many watch
FREE = PLAIN | {"SECRET_KEY": KEY, "SOCKETS_PER_USER": "10000"}


@dataclass(frozen=True)
class Split:
    """The same load on one process, and on two: pages in one, answers in the other."""

    load: Load
    one: Measured
    two: Measured
    redis: float  # CPU, µs a token


def split(load: Load, say: Say) -> Split:
    with _installation(load.streams + 1, say) as (data, people), ExitStack() as stack:
        redis = RedisServer()
        stack.callback(redis.end)
        redis.start()
        assert redis.process is not None
        say(f"{load.name}, one process")
        one = _asked(stack, data, people, load, {}, ())
        say(f"{load.name}, two processes")
        before = meters.cpu_seconds(redis.process.pid)
        env = {"REDIS_URL": redis.url}
        two = _asked(stack, data, people, load, env, ("--relay", "outside"))
        used = meters.cpu_seconds(redis.process.pid) - before
        tokens = load.streams * load.tokens
        return Split(load, one, two, used * 1e6 / tokens)


def _asked(
    stack: ExitStack,
    data: Path,
    people: list[dict[str, str]],
    load: Load,
    env: dict[str, str],
    options: tuple[str, ...],
) -> Measured:
    copied = data.with_name(f"{data.name}-{len(env)}")
    shutil.copytree(data, copied)
    with upstream() as base_url, ExitStack() as running:
        settings = FREE | env | {"DATA_DIR": str(copied), "UPSTREAM_BASE_URL": base_url}
        serve = ("manage.py", "serve", "--port", "0", *options)
        web = running.enter_context(program(*serve, env=settings))
        pids = [web.process.pid]
        if options:
            relay = running.enter_context(program("manage.py", "runrelay", env=settings))
            relay.line_with("ready")
            pids.append(relay.process.pid)
        base = web.line_with(" serves ").split()[-1]
        return ask(Job(base, pids, load, 5, people))


def crowd(
    say: Say, *, sockets: int, idle: float, viewers: int, back: int, seconds: float = 12
) -> Felt:
    """The answer goes on for `seconds`, and one more for each viewer that comes `back`."""
    with _installation(1, say) as (data, [person]), upstream() as base_url:
        settings = FREE | {"DATA_DIR": str(data), "UPSTREAM_BASE_URL": base_url}
        serve = ("manage.py", "serve", "--port", "0")
        with program(*serve, env=settings) as web:
            say(f"{sockets} sockets, {viewers} of them at one answer")
            job = Crowd(
                base=web.line_with(" serves ").split()[-1],
                pid=web.process.pid,
                session=person["session"],
                conversation=person["conversation"],
                sockets=sockets,
                idle=idle,
                viewers=viewers,
                rate=RATE,
                tokens=round(RATE * (seconds + back)),
                back=back,
            )
            command = ("-m", "tests.bench.crowd", json.dumps(asdict(job)))
            with program(*command, env={}) as people:
                return Felt(**given(people, "felt", 300 + idle))


@contextmanager
def _installation(people: int, say: Say) -> Iterator[tuple[Path, list[dict[str, str]]]]:
    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder:
        say("preparing an installation")
        data = Path(folder, "prepared")
        yield data, prepare(data, people, FREE)


def table(split: Split, felt: Felt) -> str:
    """Markdown."""
    one, two = split.one, split.two
    lines = [
        f"| {split.load.name} | one process | two | ratio |",
        "| --- | ---: | ---: | ---: |",
        f"| CPU µs a token | {one.cpu:.0f} | {two.cpu:.0f} | {two.cpu / one.cpu:.2f} |",
        f"| the same, Redis beside | 0 | {split.redis:.0f} | |",
        f"| delay ms p50 | {one.delay_p50:.0f} | {two.delay_p50:.0f} | |",
        f"| delay ms p99 | {one.delay_p99:.0f} | {two.delay_p99:.0f} | |",
        f"| whole answers | {one.whole}/{one.answers} | {two.whole}/{two.answers} | |",
        "",
        "| of one process | |",
        "| --- | ---: |",
    ]
    lines += [f"| {NAMES[one.name]} | {getattr(felt, one.name):g} |" for one in fields(Felt)]
    return "\n".join(lines)


NAMES = {
    "sockets": "idle sockets",
    "dropped": "of them dropped",
    "memory_before": "RSS before, MB",
    "memory_idle": "RSS with them, MB",
    "cpu_idle": "CPU µs a socket and second",
    "viewers": "viewers of one answer",
    "whole": "of those that were not cut, saw every word come",
    "delay_p50": "delay ms p50",
    "delay_p95": "delay ms p95",
    "cpu_frame": "CPU µs a frame and viewer",
    "back_p50": "back and complete, ms p50",
    "back_p95": "back and complete, ms p95",
}
