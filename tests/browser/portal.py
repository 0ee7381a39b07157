"""The real portal in a process of its own, as `manage.py start` runs it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings

from tests.upstream.answers import MODELS

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60
# What an upstream calls its models is not for us to trust either.
HOSTILE_MODEL = "<img src=x onerror=alert(1)>\"'`${alert(1)}{{7*7}}"


class Portal:
    """Keeps its port and its data over a stop and a start."""

    def __init__(self, data: Path, upstream: str) -> None:
        self.data = data
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = data / "portal.log"
        self._read_up_to = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "DJANGO_SETTINGS_MODULE": "chatweb.settings",
            "PYTHONUNBUFFERED": "1",
            "DATA_DIR": str(data),
            # The tests make sessions of their own, which must be signed with the same key.
            "SECRET_KEY": settings.SECRET_KEY,
            "UPSTREAM_BASE_URL": upstream,
            "UPSTREAM_CONTINUES": "on",
            "UPSTREAM_MODELS": ",".join([*MODELS, HOSTILE_MODEL]),
            "FIRST_PROMPTS": "Explain DNS|Decline a meeting|Roll back a deployment",
        }

    @property
    def tables(self) -> Path:
        return self.data / "chatweb.sqlite3"

    def start(self) -> None:
        already = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "start", "--port", str(self.port)],
                cwd=ROOT,
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + READY_SECONDS
        while b"Ctrl-C ends it." not in self._log.read_bytes()[already:]:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=20)
            finally:
                self._process.kill()
                self._process.wait()
            self._process = None

    def complaints(self) -> str:
        """What it has written since the last call, if a traceback is among it."""
        written = self._log.read_text()[self._read_up_to :]
        self._read_up_to += len(written)
        return written if "Traceback" in written else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
