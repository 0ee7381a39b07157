"""What the commands that serve have in common: where they listen, and that nothing else does."""

import fcntl
import ipaddress
import socket
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from chatweb import server


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--tls-cert", type=Path, help="PEM file, with its chain")
    parser.add_argument("--tls-key", type=Path, help="PEM file")
    parser.add_argument(
        "--insecure", action="store_true", help="another --host without TLS all the same"
    )


def certificate(cert: Path | None, key: Path | None) -> server.Certificate | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise CommandError("--tls-cert and --tls-key belong together.")
    for file in (cert, key):
        if not file.is_file():
            raise CommandError(f"{file} is not a file.")
    return server.Certificate(cert, key)


def is_loopback(host: str) -> bool:
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
    if is_loopback(host):
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


def shown(host: str) -> str:
    if _is_every_address(host):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
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
def alone_with_the_data() -> Iterator[None]:
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
