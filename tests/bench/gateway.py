"""The gateway beside calling the model server directly."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.engines import RedisServer
from tests.processes import Program, program

from . import beside, litellm
from .callers import Called, Errand
from .relay import PLAIN, Say, given, prepare, upstream

# What holds people back is not what is measured.
FREE = PLAIN | {
    "CALLS_PER_KEY": "10000",
    "CALLS_PER_PERSON": "10000",
    "CALLS_PER_PROCESS": "10000",
    "REQUESTS_PER_KEY": "10000000",
    "REQUESTS_PER_PERSON": "10000000",
    "TOKENS_PER_KEY": "10000000000",
    "TOKENS_PER_PERSON": "10000000000",
    "SECRET_KEY": "a key for measurements alone, which signs nothing that lasts 0123456789",
}


def run(
    say: Say,
    *,
    callers: int,
    streams: int,
    rate: float,
    seconds: float,
    redis: bool = False,
    kin: str = "",
) -> dict[str, Called]:
    """By what was called. `kin` is the command that runs LiteLLM's proxy; it is left out where
    there is no such program."""

    def errand(base: str, key: str, *pids: int) -> Called:
        asked = Errand(base, key, list(pids), callers, seconds, streams, rate)
        with program("-m", "tests.bench.callers", json.dumps(asdict(asked)), env={}) as running:
            return Called(**given(running, "called", 6 * seconds + 60))

    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder, upstream() as base_url:
        say("the model server itself")
        measured = {"direct": errand(base_url, "nobody's")}
        data = Path(folder, "data")
        env = FREE | {"DATA_DIR": str(data), "UPSTREAM_BASE_URL": base_url}
        say("preparing an installation")
        prepare(data, 1, env)
        key = _key(env)
        say("the portal")
        with program("manage.py", "start", "--port", "0", env=env) as server:
            measured["portal"] = errand(_address(server), key, server.process.pid)
        if redis:
            measured["portal, Redis"] = _with_redis(say, env, key, errand)
        shutil.rmtree(data)
        if beside.is_here(kin, "LiteLLM's proxy", say):
            say("LiteLLM's proxy")
            with litellm.proxy(kin, base_url) as proxy:
                measured["LiteLLM"] = errand(proxy.base, proxy.key, *proxy.pids)
    return measured


def _with_redis(say: Say, env: dict[str, str], key: str, errand: Callable[..., Called]) -> Called:
    server = RedisServer()
    try:
        server.start()
        say("the portal, with rates in Redis")
        with program(
            "manage.py", "start", "--port", "0", env=env | {"REDIS_URL": server.url}
        ) as running:
            return errand(_address(running), key, running.process.pid)
    finally:
        server.end()


def _key(env: dict[str, str]) -> str:
    with program(
        *("manage.py", "apikey", "create", "person0@example.com", "--name", "bench"), env=env
    ) as making:
        return making.line_with("lt_", 60).split()[-1]


def _address(server: Program) -> str:
    return server.line_with("Address ").split()[-1].rstrip("/") + "/v1"


def table(measured: dict[str, Called]) -> str:
    head = [
        "",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU ms/request",
        "CPU µs/token",
        "delay p50 ms",
        "delay p99 ms",
        "first word p50 ms",
        "MB",
        "whole",
    ]
    rows = [head]
    for name, one in measured.items():
        *figures, whole, streams = asdict(one).values()
        rows.append([name, *(f"{figure:.1f}" for figure in figures), f"{whole}/{streams}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
