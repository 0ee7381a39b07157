"""Which relays are gone: judged by their beats and this process's own clock alone."""

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# The relays of this process, so that a number that came round again is told from one of ours.
living: set[str] = set()
_ALONE = secrets.token_hex(4)


class Watch:
    """Looks at the beats of all every now and then. Who shows the same number for `patience`
    seconds is gone, whatever any clock says: one that was set back or forward changes nothing.
    `me` is never gone, and tells whether anybody's beats reach the table."""

    def __init__(
        self, patience: float, me: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience = patience
        self._me = me
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = clock()

    def gone(self, census: dict[str, int], asked: float | None = None) -> set[str]:
        """`census` holds the beats of all who claim to live, as looked up since `asked`: what the
        looking took counts as nobody's silence."""
        now = self._clock()
        asked = now if asked is None else asked
        if asked - self._looked > self._patience / 2:
            # It was we who were away: the others may have had no chance either, so all count anew.
            self._seen.clear()
        self._looked = now
        before, self._seen = self._seen, {name: (beats, now) for name, beats in census.items()}
        unchanged = {name: seen for name, seen in before.items() if seen[0] == census.get(name)}
        if self._me in unchanged:
            self._seen[self._me] = unchanged[self._me]
            if asked - unchanged[self._me][1] > self._patience / 2:
                # Nothing can be written, of the others neither: all count anew.
                return set()
        self._seen |= unchanged
        last = asked - self._patience
        return {name for name, (_beats, since) in self._seen.items() if since <= last} - {self._me}


def own_name(nonce: str) -> str:
    return f"{_here()}:{os.getpid()}:{nonce}"


def is_dead(worker: str) -> bool:
    """A relay of this machine whose process is gone. Of another machine's nothing is known."""
    match worker.rsplit(":", 2):
        case [here, pid, _nonce] if here == _here():
            return worker not in living if int(pid) == os.getpid() else not _runs(int(pid))
        case _:
            return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _here() -> str:
    """Where process numbers mean the same. Containers may share a host's name, and machines may
    share one too; where nothing tells them apart, this process knows only itself."""
    space = Path("/proc/self/ns/pid")
    for machine in (Path("/proc/sys/kernel/random/boot_id"), Path("/etc/machine-id")):
        with suppress(OSError):
            return f"{socket.gethostname()[:40]}/{machine.read_text()[:8]}/{space.readlink()}"
    return f"{socket.gethostname()[:40]}/{_ALONE}"
