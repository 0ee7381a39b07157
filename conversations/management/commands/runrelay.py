"""`manage.py runrelay`: answers are written by a process of its own; ending `serve` cuts none."""

import asyncio
import signal
import time

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from chatweb import databases, jobs
from conversations import events, probes
from conversations.management.commands.serve import refuse


class Command(BaseCommand):
    help = "Write answers, beside any number of `serve --relay outside`. Several share the work."
    requires_system_checks: list[str] = []

    def handle(self, *_args: str, **_options: object) -> None:
        refuse(several=True, sessions=False)
        self.check()
        connections.close_all()
        uvloop.run(self._run())

    async def _run(self) -> None:
        from conversations.relay import Duty, learn_models

        duty = Duty()
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ending.set)
        running = [
            loop.create_task(jobs.keep_running(name, job), name=name)
            for name, job in {
                "exchange": events.hub.run,
                "pool": databases.look_after_pool,
                "catalogue": learn_models,
                **probes.beside(),
                "relay": duty.run,
            }.items()
        ]
        self.stdout.write("The relay is ready.")
        await ending.wait()
        await duty.drain()
        await jobs.end(running, time.monotonic() + settings.GOODBYE_SECONDS)
