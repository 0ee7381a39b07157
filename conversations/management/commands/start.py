"""`manage.py start`: the whole portal on one machine, from one command."""

import fcntl
import ipaddress
import logging
import os
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import reverse

from chatweb import installation, server
from conversations import catalogue, localmodel
from conversations.actions import people

log = logging.getLogger(__name__)

NO_MODEL = """none yet, so nothing can be answered. Either
              set UPSTREAM_BASE_URL (and UPSTREAM_API_KEY) to a model server up to /v1, or
              install the small local one: uv sync --group model"""


class Command(BaseCommand):
    help = "Prepare and run the portal: tables, static files, the local model, the server."
    # Run below, after the port is ours: whoever mistook it should not wait for them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
        parser.add_argument("--tls-cert", type=Path, help="PEM file, with its chain")
        parser.add_argument("--tls-key", type=Path, help="PEM file")
        parser.add_argument(
            "--insecure", action="store_true", help="another --host without TLS all the same"
        )

    def handle(
        self,
        *_args: str,
        port: int,
        host: str,
        tls_cert: Path | None,
        tls_key: Path | None,
        insecure: bool,
        **_options: object,
    ) -> None:
        tls = _certificate(tls_cert, tls_key)
        if tls is not None:
            _restart_with_strict_cookies()
        elif not _is_loopback(host):
            self._allow_or_refuse(host, insecure=insecure)
        listener = _listen(host, port)
        settings.ALLOWED_HOSTS += names_of(host)
        scheme = "http" if tls is None else "https"
        base = f"{scheme}://{_shown(host)}:{listener.getsockname()[1]}"
        with suppress(KeyboardInterrupt), _alone_with_the_data():
            self.check()
            installation.migrate()
            installation.collect_static()
            model = _local_model()
            greeting = _greeting(base)
            connections.close_all()  # the threads that serve open their own
            server.run(
                listener,
                tls=tls,
                beside={"relay": _relay} | ({"local model": model.run} if model else {}),
                on_ready=lambda: self._say(greeting),
            )

    def _allow_or_refuse(self, host: str, *, insecure: bool) -> None:
        if not insecure:
            raise CommandError(
                f"--host {host} would let others in over a line that anybody on it can read. "
                "Give --tls-cert and --tls-key, or --insecure if that is what you want."
            )
        self.stderr.write(
            self.style.WARNING(
                "Warning: without TLS, passwords and conversations can be read on the way."
            )
        )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


async def _relay() -> None:
    from conversations.relay import Relay  # with httpx, later than the check of the port

    await Relay().run()


def _certificate(cert: Path | None, key: Path | None) -> server.Certificate | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise CommandError("--tls-cert and --tls-key belong together.")
    for file in (cert, key):
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
    return server.Certificate(cert, key)


def _restart_with_strict_cookies() -> None:
    """Settings are read once, and these depend on how browsers come."""
    if "SECURE" not in os.environ:
        os.environ["SECURE"] = "on"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _is_every_address(host: str) -> bool:
    return host in {"0.0.0.0", "::"}  # noqa: S104


def names_of(host: str) -> list[str]:
    """Under which names and addresses browsers reach what listens on `host`, without asking DNS."""
    if _is_loopback(host):
        return []
    if _is_every_address(host):
        return [socket.gethostname().lower(), *_own_addresses()]
    return [f"[{host}]" if ":" in host else host.lower()]


def _own_addresses() -> list[str]:
    """The address that faces the network. Nothing is sent: connecting UDP only picks a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # set aside for examples by RFC 5737
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _shown(host: str) -> str:
    if _is_every_address(host):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise CommandError(f"{port} is not a port: those are 0 to 65535, and 0 picks a free one.")
    try:
        return server.listen(host, port)
    except server.PortTaken as taken:
        raise CommandError(
            f"Port {port} is taken: something else listens there, perhaps another portal. "
            f"Choose another one: --port {port + 1}"
        ) from taken
    except OSError as error:
        raise CommandError(f"Cannot listen on {host}, port {port}: {error}") from error


@contextmanager
def _alone_with_the_data() -> Iterator[None]:
    """Two portals would take each other's answers for abandoned."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.DATA_DIR / "start.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"A portal already runs with the data in {settings.DATA_DIR}. "
                "End it first, or set another DATA_DIR."
            ) from error
        yield


def _local_model() -> localmodel.LocalModel | None:
    """To be run beside the server; its address is known before it answers there."""
    if settings.UPSTREAM_BASE_URL:
        return None
    try:
        if localmodel.weights() is None:
            return None
    except localmodel.ModelFileMissing as missing:
        raise CommandError(str(missing)) from missing
    model = localmodel.LocalModel()
    settings.LOCAL_MODEL_URL = model.url
    return model


def _greeting(base: str) -> str:
    lines = [
        "",
        f"  {settings.PORTAL_NAME} is ready.",
        "",
        f"    Address   {base}/",
        f"    Model     {_models()}",
    ]
    token = people.first_link()
    if token is not None:
        link = base + reverse("link", args=[token])
        minutes = settings.FIRST_LINK_MINUTES
        lines += [
            f"    Sign in   {link}",
            f"              makes you the administrator; works once, for {minutes} minutes",
        ]
    return "\n".join([*lines, "", "  Ctrl-C ends it.", ""])


def _models() -> str:
    if settings.UPSTREAM_BASE_URL:
        names = (
            "asks the server"
            if catalogue.asks_the_server()
            else ", ".join(settings.UPSTREAM_MODELS)
        )
        return f"{names}, at {urlsplit(settings.UPSTREAM_BASE_URL).hostname}"
    if settings.LOCAL_MODEL_URL:
        return f"{catalogue.local_model_name()}, a very small one on this machine"
    log.warning("No model: set UPSTREAM_BASE_URL, or install the local model.")
    return NO_MODEL
