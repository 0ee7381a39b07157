"""Programs that a test starts and talks to over loopback. Each is ended with its test."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Program:
    """A running program whose lines, of both outputs, can be waited for."""

    def __init__(self, *arguments: str, env: dict[str, str], listens: bool = False) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | env,
            stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._incoming: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._incoming.put(line)
        self._incoming.put(None)

    def line_with(self, text: str, seconds: float = 90) -> str:
        """The next line that holds `text`; fails when none comes in time or the program ends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._incoming.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                raise AssertionError(f"ended without a line with {text!r}:\n{self.output}")
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r} in {seconds} s:\n{self.output}")

    def say(self, line: str) -> None:
        """To a program that listens."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = 15) -> int:
        """Waits for its end; the exit code."""
        code = self.process.wait(timeout=seconds)
        self._reader.join(timeout=seconds)
        while not self._incoming.empty():
            self.lines.append(self._incoming.get() or "")
        return code


@contextmanager
def program(*arguments: str, env: dict[str, str], listens: bool = False) -> Iterator[Program]:
    running = Program(*arguments, env=env, listens=listens)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        running._reader.join(timeout=5)
        if running.process.stdin is not None:
            running.process.stdin.close()
        if running.process.stdout is not None:
            running.process.stdout.close()
