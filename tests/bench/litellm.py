"""LiteLLM's proxy, the gateway's nearest kin: one process, one key, no database."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conversations.localmodel import free_port

from .people import MODEL

READY_SECONDS = 180  # it imports a lot
# Nothing is fetched, nothing is reported, and no line is written for each request.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
}


@dataclass(frozen=True)
class Proxy:
    base: str  # up to /v1
    key: str
    pids: list[int]


def is_here(command: str) -> bool:
    return bool(command) and shutil.which(shlex.split(command)[0]) is not None


@contextmanager
def proxy(command: str, upstream: str) -> Iterator[Proxy]:
    """`command` is `litellm`, or what runs it."""
    key, port = f"sk-{secrets.token_hex(16)}", free_port()
    server = {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "nobody's"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": server}],
        "general_settings": {"master_key": key},
    }
    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder:
        file = Path(folder, "config.yaml")
        file.write_text(json.dumps(config))  # which is YAML, too
        options = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
        running = subprocess.Popen(
            [*shlex.split(command), *options],
            cwd=folder,
            env=os.environ | QUIET,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait(running, f"http://127.0.0.1:{port}/health/liveliness")
            yield Proxy(f"http://127.0.0.1:{port}/v1", key, _session(running.pid))
        finally:
            os.killpg(running.pid, 9)
            running.wait()


def _wait(running: "subprocess.Popen[bytes]", address: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and running.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("LiteLLM's proxy does not answer")


def _session(leader: int) -> list[int]:
    """What the command started: `uvx` stays in front of what it runs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found
