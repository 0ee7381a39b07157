"""Combinations of settings under which messages or sessions would be lost: refused at the start."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from chatweb import databases, installation

# File systems whose locks SQLite cannot trust: https://www.sqlite.org/useovernet.html
OVER_NETWORK = {"afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "nfs", "nfs4", "smb3"}
MOUNTS = Path("/proc/self/mountinfo")
WEAK_KEY = 32  # characters


def refusals(*, several: bool, sessions: bool = True) -> Iterator[str]:
    """What must be set right first, in words. `several`: this process is not the only one;
    `sessions`: it signs people's sessions."""
    if several and not settings.CHANNEL_LAYERS:
        yield (
            "Several processes hear of each other through Redis: set REDIS_URL. "
            "Without it, whoever watches in one process sees nothing of what another writes."
        )
    database = settings.DATABASES["default"]
    if database["ENGINE"] == databases.SQLITE and (kind := over_network(Path(database["NAME"]))):
        yield (
            f"The SQLite database lies on a network ({kind}), where its locks fail and rows get "
            "lost: set DATABASE_URL to PostgreSQL, or DATA_DIR to a disk of this machine."
        )
    if sessions and (os.environ.get("SECRET_KEY") or "").strip() != settings.SECRET_KEY:
        yield (
            "Set SECRET_KEY, the same for all processes and after each start, for example to "
            f"{secrets.token_urlsafe(40)} (made this moment, kept nowhere)."
        )
    elif sessions and (len(settings.SECRET_KEY) < WEAK_KEY or "insecure" in settings.SECRET_KEY):
        yield f"SECRET_KEY is too weak: at least {WEAK_KEY} random characters sign the sessions."
    if not installation.is_migrated():
        yield "The tables are not up to date: run `manage.py migrate` first."


def over_network(file: Path) -> str:
    """The kind of network file system that the file is on, or nothing. Linux alone tells."""
    if not MOUNTS.exists():
        return ""
    best, kind = Path(), ""
    folder = file.resolve().parent
    for line in MOUNTS.read_text().splitlines():
        before, _dash, after = line.partition(" - ")
        # Spaces and their like are written in octal: proc_pid_mountinfo(5).
        point = Path(before.split(" ")[4].encode().decode("unicode_escape"))
        if folder.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, after.split(" ")[0]
    return kind if kind in OVER_NETWORK else ""
