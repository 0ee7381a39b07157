"""`manage.py start`: the whole portal on one machine, from one command."""

import logging
import os
import sys
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.urls import reverse

from chatweb import databases, installation, server
from chatweb.jobs import Job
from conversations import catalogue, events, localmodel, probes
from conversations.actions import people
from conversations.management import listening

log = logging.getLogger(__name__)

NO_MODEL = """none yet, so nothing can be answered. Either
              set UPSTREAM_BASE_URL (and UPSTREAM_API_KEY) to a model server up to /v1, or
              install the small local one: uv sync --group model"""


class Command(BaseCommand):
    help = "Prepare and run the portal: tables, static files, the local model, the server."
    # Run below, after the port is ours: whoever mistook it should not wait for them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        listening.add_arguments(parser)

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
        tls = listening.certificate(tls_cert, tls_key)
        if tls is not None:
            _restart_with_strict_cookies()
        elif not listening.is_loopback(host):
            self._allow_or_refuse(host, insecure=insecure)
        listener = listening.listen(host, port)
        settings.ALLOWED_HOSTS += listening.names_of(host)
        scheme = "http" if tls is None else "https"
        base = f"{scheme}://{listening.shown(host)}:{listener.getsockname()[1]}"
        with suppress(KeyboardInterrupt), listening.alone_with_the_data():
            self.check()
            installation.migrate()
            installation.collect_static()
            model = _local_model()
            greeting = _greeting(base)
            connections.close_all()  # the threads that serve open their own
            # With httpx: after what may refuse.
            from conversations.gateway import calls
            from conversations.relay import Duty, learn_models

            beside: dict[str, Job] = {
                "exchange": events.hub.run,
                "pool": databases.look_after_pool,
                "catalogue": learn_models,
                "gateway": calls.run,
            }
            beside |= probes.beside()
            if model:
                beside["local model"] = model.run
            server.run(
                listener,
                tls=tls,
                beside=beside | {"relay": Duty().run},
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


def _restart_with_strict_cookies() -> None:
    """Settings are read once, and these depend on how browsers come."""
    if "SECURE" not in os.environ:
        os.environ["SECURE"] = "on"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _local_model() -> localmodel.LocalModel | None:
    """To be run beside the server; its address is known before it answers there."""
    if catalogue.upstreams():
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
    if settings.LOCAL_MODEL_URL:
        return f"{catalogue.local_model_name()}, a very small one on this machine"
    if servers := catalogue.upstreams():
        return "; ".join(
            f"{_names(name)}, at {urlsplit(server.base_url).hostname}"
            for name, server in servers.items()
        )
    log.warning("No model: set UPSTREAM_BASE_URL, or install the local model.")
    return NO_MODEL


def _names(upstream: str) -> str:
    if catalogue.asks_the_server(upstream):
        return "asks the server"
    return ", ".join(catalogue.named()[upstream])
