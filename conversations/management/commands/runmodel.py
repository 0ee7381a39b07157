"""`manage.py runmodel`: serves a GGUF file with llama.cpp. `start` runs it; by hand it can serve
on another port, or another machine's."""

import ctypes
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conversations import catalogue, localmodel

if TYPE_CHECKING:
    import xllamacpp

ERRORS_ONLY = 1
# prctl(2): the signal to get when the parent dies.
PR_SET_PDEATHSIG = 1


class Command(BaseCommand):
    help = "Serve the local model over the chat completions protocol, without a key."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--host", default=localmodel.HOST)
        parser.add_argument(
            "--supervised", action="store_true", help="end when standard input is closed"
        )

    def handle(
        self, *_args: str, port: int, host: str, supervised: bool, **_options: object
    ) -> None:
        if supervised:
            _end_with_parent()
        try:
            file = localmodel.weights()
        except localmodel.ModelFileMissing as missing:
            raise CommandError(str(missing)) from missing
        if file is None:
            raise CommandError(
                "There is no local model. Install it with `uv sync --group model`, "
                "or set LOCAL_MODEL to a GGUF file."
            )
        server = _load(file, host, port)  # serves from threads of its own
        self.stdout.write(
            f"{catalogue.local_model_name()} is served at {server.listening_address}/v1"
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def _load(file: Path, host: str, port: int) -> "xllamacpp.Server":
    import xllamacpp  # only where it is used: production does not install it

    return xllamacpp.Server(parameters(file, host, port))


def parameters(file: Path, host: str, port: int) -> "xllamacpp.CommonParams":
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.model_alias = {catalogue.local_model_name()}
    parameters.hostnames, parameters.port = [host], port
    # llama.cpp divides its context among the slots.
    slots = settings.LOCAL_MODEL_SLOTS
    parameters.n_parallel, parameters.n_ctx = slots, settings.LOCAL_MODEL_CONTEXT * slots
    # A request's own limit counts before this one.
    parameters.n_predict = settings.LOCAL_MODEL_ANSWER_TOKENS
    # A thread that competes for its core makes all of them wait: the portal keeps one.
    threads = settings.LOCAL_MODEL_THREADS or max(1, (os.cpu_count() or 2) - 1)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.verbosity = ERRORS_ONLY
    # Its own page, and a list of what others are asking, are not for whoever finds the port.
    parameters.ui = parameters.endpoint_slots = parameters.endpoint_props = False
    parameters.cors_origins = ""
    parameters.cache_ram_mib = settings.LOCAL_MODEL_CACHE_MIB
    return parameters


def _end_with_parent() -> None:
    if sys.platform == "linux":
        # At once, even while loading holds Python's lock.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
