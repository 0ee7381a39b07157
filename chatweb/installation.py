"""What a start brings up to date: tables and static files, and only when they are not yet."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

# Beside the static files lies what they are made with.
NOT_SERVED = ["node_modules", "package*.json", "*.py"]


def migrate() -> bool:
    """Whether there was something to do. The plan itself would take longer than looking."""
    if is_migrated():
        return False
    call_command("migrate", interactive=False, verbosity=0)
    return True


def is_migrated() -> bool:
    applied = set(MigrationRecorder(connection).applied_migrations())
    return set(_migrations_on_disk()) <= applied


def _migrations_on_disk() -> Iterator[tuple[str, str]]:
    for app in apps.get_app_configs():
        for file in Path(app.path, "migrations").glob("[!_]*.py"):
            yield app.label, file.stem


def collect_static() -> bool:
    """Whether there was something to do. Of several that start at once, one does it."""
    with _static_lock():
        had_to = _collect_static()
        _learn_names()
        return had_to


def read_static() -> None:
    """For a process whose supervisor has collected: waits for whoever collects at the moment."""
    with _static_lock():
        _learn_names()


@contextmanager
def _static_lock() -> Iterator[None]:
    with (settings.DATA_DIR / "static.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _learn_names() -> None:
    """Now, and not with the first page: another version that starts with the same folder clears it
    first, and whoever finds no names then has none for as long as it runs."""
    storage: Any = staticfiles_storage  # whichever the settings name
    if hasattr(storage, "load_manifest"):
        storage.hashed_files, storage.manifest_hash = storage.load_manifest()


def _collect_static() -> bool:
    stamp = settings.DATA_DIR / "static.stamp"
    current = _static_digest()
    collected = Path(settings.STATIC_ROOT, "staticfiles.json").exists()
    if collected and stamp.exists() and stamp.read_text() == current:
        return False
    stamp.unlink(missing_ok=True)  # interrupted in the middle, it is done again
    call_command(
        "collectstatic", interactive=False, clear=True, verbosity=0, ignore_patterns=NOT_SERVED
    )
    stamp.write_text(current)
    return True


def _static_digest() -> str:
    """Over name, size and time of every file, and over who prepares them."""
    digest = hashlib.sha256(
        f"{metadata.version('django')} {metadata.version('whitenoise')}".encode()
    )
    for finder in get_finders():
        for name, storage in finder.list(NOT_SERVED):
            file = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{file.st_size}\0{file.st_mtime_ns}\n".encode())
    return digest.hexdigest()
