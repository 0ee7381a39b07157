"""Several processes of one kind: started, started anew when one dies, ended together."""

import asyncio
import ctypes
import logging
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from django.conf import settings

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1  # prctl(2): the signal to get when the parent dies


def supervise(commands: Sequence[Sequence[str]], *, share: Sequence[int], patience: float) -> None:
    """Runs the commands, which inherit the file descriptors to `share`, until a signal comes; then
    ends them, and kills what has not ended `patience` seconds later."""
    asyncio.run(_Supervisor(share, patience).run(commands))


def end_with_parent() -> None:
    """In a child: a supervisor that was killed leaves nothing behind that holds its port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class _Supervisor:
    def __init__(self, share: Sequence[int], patience: float) -> None:
        self._share = share
        self._patience = patience
        self._running: set[asyncio.subprocess.Process] = set()
        self._ending = asyncio.Event()

    async def run(self, commands: Sequence[Sequence[str]]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ending.set)
        keeping = [asyncio.ensure_future(self._keep(command)) for command in commands]
        await self._ending.wait()
        self._signal(signal.SIGTERM)
        _done, late = await asyncio.wait(keeping, timeout=self._patience)
        if late:
            log.error("%d processes did not end in time and are killed", len(late))
            self._signal(signal.SIGKILL)
            await asyncio.wait(late)

    async def _keep(self, command: Sequence[str]) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                # A session of its own: Ctrl-C in a terminal reaches us alone, and once.
                process = await asyncio.create_subprocess_exec(
                    *command, pass_fds=self._share, start_new_session=True
                )
            except OSError:
                log.critical("A process cannot be started; trying again.", exc_info=True)
                await self._pause(began)
                continue
            self._running.add(process)
            if self._ending.is_set():  # the signal came while it was being made
                process.terminate()
            code = await process.wait()
            self._running.discard(process)
            if self._ending.is_set():
                return
            log.critical("A process ended with %d and is started again.", code)
            await self._pause(began)

    async def _pause(self, began: float) -> None:
        pause = max(0.0, settings.RESTART_SECONDS - (time.monotonic() - began))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._ending.wait()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running:
            with suppress(ProcessLookupError):
                process.send_signal(number)
