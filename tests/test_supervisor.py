"""Processes that are kept running, whatever happens to them."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from chatweb.supervisor import supervise
from tests.processes import program

SLEEPER = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    "print('group', __import__('os').getpgid(0), flush=True)\n"
    "time.sleep(60)\n"
)


def main() -> None:
    """As a program: supervises one process that prints its group."""
    from django.conf import settings

    settings.configure(RESTART_SECONDS=0.1)
    print("mine", os.getpgid(0), flush=True)
    supervise([[sys.executable, "-c", SLEEPER]], share=[], patience=5)


def test_a_terminals_ctrl_c_reaches_the_supervisor_alone() -> None:
    """Its processes get one signal, from it: a second one would end them at once."""
    with program("-m", "tests.test_supervisor", env={}) as running:
        mine = running.line_with("mine ").split()[1]
        assert running.line_with("group ").split()[1] != mine
        running.send(signal.SIGINT)
        assert running.ended() == 0


async def test_a_process_that_cannot_be_started_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from chatweb.supervisor import _Supervisor

    settings.RESTART_SECONDS = 0.05
    tries: list[object] = []
    start = asyncio.create_subprocess_exec

    async def first_in_vain(*command: Any, **options: Any) -> Any:
        tries.append(command)
        if len(tries) == 1:
            raise BlockingIOError("no more processes")
        return await start(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", first_in_vain)
    began = tmp_path / "began"
    command = [sys.executable, "-c", f"open({str(began)!r}, 'w'); import time; time.sleep(60)"]
    running = asyncio.ensure_future(_Supervisor([], 5).run([command]))
    async with asyncio.timeout(30):
        while not began.exists():  # noqa: ASYNC110  files ring no bell
            await asyncio.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert len(tries) == 2


if __name__ == "__main__":
    main()
