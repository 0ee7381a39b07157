"""Programs in JavaScript: the clients of tests/clients, installed there as their lock says."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent / "clients"
LOCK = HERE / "package-lock.json"
MODULES = HERE / "node_modules"
INSTALL = ("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")


class Missing(Exception):
    """This machine has no Node, or cannot install the clients."""


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder with the clients' scripts. Skips where they cannot be had; CI must have them."""
    try:
        _install()
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    return HERE


def _install() -> None:
    """Once for each state of the lock, whichever run of the tests needs it first."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            raise Missing(f"{name} is not installed: apt-get install nodejs npm")
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        stamp = MODULES / ".installed"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        try:
            done = subprocess.run(
                INSTALL, cwd=HERE, check=False, capture_output=True, text=True, timeout=300
            )
        except subprocess.TimeoutExpired:
            raise Missing("npm does not reach its registry") from None
        if done.returncode != 0:
            raise Missing(f"npm could not install the clients: {done.stderr[-1000:]}")
        stamp.write_text(wanted)


def run(
    script: Path, base_url: str, key: str, calls: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What became of each call, one after the other, as tests/clients/calls.js tells it."""
    done = subprocess.run(
        ["node", str(script)],
        input=json.dumps({"baseURL": base_url, "apiKey": key, "calls": list(calls)}),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)
    return outcomes
