"""Other people's servers, where they are installed: started for one load, and ended after it."""

import os
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .relay import Say

READY_SECONDS = 240  # they import a lot


def is_here(command: str, name: str, say: Say) -> bool:
    """Says so where a command is given for it and is not installed."""
    if not command:
        return False
    program = shlex.split(command)[0]
    if shutil.which(program) is None:
        say(f"{name} is left out: {program} is not installed")
        return False
    return True


@contextmanager
def serving(
    command: str, options: Sequence[str], *, folder: str, env: Mapping[str, str], alive: str
) -> Iterator[list[int]]:
    """Its processes, once the address `alive` answers. It runs in `folder`."""
    running = subprocess.Popen(
        [*shlex.split(command), *options],
        cwd=folder,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(running, alive)
        yield _session(running.pid)
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
    raise RuntimeError(f"{running.args!r} does not answer")


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
