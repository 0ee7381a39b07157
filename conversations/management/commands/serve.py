"""`manage.py serve`: the portal in production, in one process or several."""

import asyncio
import os
import socket
import sys
from argparse import SUPPRESS, ArgumentParser
from contextlib import ExitStack, suppress
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from chatweb import databases, installation, server, soundness, supervisor
from chatweb.jobs import Job
from conversations import events, health, probes
from conversations.management import listening

# After what answers and sockets may take: to be started, to log, to be scheduled.
ENDING_SECONDS = 10


class Command(BaseCommand):
    help = "Serve the portal in production. Tables are made by `migrate` before."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        listening.add_arguments(parser)
        parser.add_argument(
            "--processes", type=int, default=1, help="processes that share the port (1 to 64)"
        )
        parser.add_argument(
            "--relay",
            choices=("inside", "outside"),
            default="inside",
            help="outside: answers are written by `runrelay`, so that ending this cuts none",
        )
        # What a supervisor gives its processes: the open socket, and which one this is.
        parser.add_argument("--inherited", type=int, nargs=2, help=SUPPRESS)

    def handle(
        self,
        *_args: str,
        port: int,
        host: str,
        tls_cert: Path | None,
        tls_key: Path | None,
        insecure: bool,
        processes: int,
        relay: str,
        inherited: tuple[int, int] | None,
        **_options: object,
    ) -> None:
        if not 1 <= processes <= 64:
            raise CommandError(f"--processes {processes} is not between 1 and 64.")
        tls = listening.certificate(tls_cert, tls_key)
        _refuse_an_open_line(host, has_tls=tls is not None, insecure=insecure)
        if inherited:
            descriptor, number = inherited
            supervisor.end_with_parent()
            listener = socket.socket(fileno=descriptor)
            installation.read_static()
            self._serve(listener, tls, relay, _address(host, listener), number)
            return
        refuse(several=processes > 1 or relay == "outside")
        listener = listening.listen(host, port)
        with ExitStack() as stack:
            if not settings.CHANNEL_LAYERS:
                stack.enter_context(listening.alone_with_the_data())
            self.check(include_deployment_checks=settings.SECURE)
            installation.collect_static()
            connections.close_all()
            if processes == 1:
                self._serve(listener, tls, relay, _address(host, listener))
            else:
                self._supervise(listener, processes)

    def _serve(
        self,
        listener: socket.socket,
        tls: server.Certificate | None,
        relay: str,
        address: str,
        number: int = 0,
    ) -> None:
        # With httpx: later than what may refuse.
        from conversations.gateway import calls
        from conversations.relay import Duty, learn_models

        duty = Duty()

        async def leave() -> None:
            health.leave()
            await asyncio.gather(duty.drain(), calls.drain())

        beside: dict[str, Job] = {
            "exchange": events.hub.run,
            "pool": databases.look_after_pool,
            "catalogue": learn_models,
            "gateway": calls.run,
        }
        beside |= probes.beside(number)
        if relay == "inside":
            beside["relay"] = duty.run
        ready = f"Process {os.getpid()} serves {settings.PORTAL_NAME} at {address}"
        with suppress(KeyboardInterrupt):
            server.run(
                listener,
                tls=tls,
                beside=beside,
                drain=leave,
                on_ready=lambda: print(ready, file=self.stdout, flush=True),
            )

    def _supervise(self, listener: socket.socket, processes: int) -> None:
        listener.set_inheritable(True)
        child = [sys.executable, *sys.orig_argv[1:], "--inherited", str(listener.fileno())]
        children = [[*child, str(number)] for number in range(processes)]
        patience = settings.RELAY_DRAIN_SECONDS + settings.GOODBYE_SECONDS + ENDING_SECONDS
        supervisor.supervise(children, share=[listener.fileno()], patience=patience)


def refuse(*, several: bool, sessions: bool = True) -> None:
    """Raises CommandError with all that must be set right first."""
    if found := list(soundness.refusals(several=several, sessions=sessions)):
        raise CommandError("\n".join(found))


def _address(host: str, listener: socket.socket) -> str:
    scheme = "https" if settings.SECURE else "http"
    return f"{scheme}://{listening.shown(host)}:{listener.getsockname()[1]}"


def _refuse_an_open_line(host: str, *, has_tls: bool, insecure: bool) -> None:
    if settings.SECURE and not has_tls and not settings.BEHIND_PROXY:
        raise CommandError(
            "Browsers would be sent from here to https for ever: give --tls-cert and --tls-key, "
            "set BEHIND_PROXY=on where a proxy ends TLS, or SECURE=off for a trial on this machine."
        )
    if not settings.SECURE and not listening.is_loopback(host) and not insecure:
        raise CommandError(
            f"SECURE=off and --host {host} would let others in over a line that anybody on it "
            "can read. Use TLS, or --insecure if that is what you want."
        )
