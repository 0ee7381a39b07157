"""What DATABASE_URL means, and what keeps its connections fresh."""

import asyncio
import threading
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

SQLITE, POSTGRESQL = "django.db.backends.sqlite3", "django.db.backends.postgresql"
LOOK_SECONDS = 1  # a round trip for each idle connection, of which there are few


def configured(url: str, *, pool: int, timeout: float) -> dict[str, Any]:
    """Django's settings for one database. `timeout`, in seconds, is how long a request waits for a
    lock or for one of the `pool` connections of its process. Raises ImproperlyConfigured."""
    database: dict[str, Any] = environ.Env.db_url_config(url)
    if database["ENGINE"] == SQLITE:
        database["OPTIONS"] = {
            # Writers take the lock when they begin; upgrading a read lock later fails at once
            # under load.
            "transaction_mode": "IMMEDIATE",
            "timeout": timeout,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif database["ENGINE"] == POSTGRESQL:
        # A connection that the server has closed is found out before a request gets it.
        database["CONN_HEALTH_CHECKS"] = True
        options = database.setdefault("OPTIONS", {})
        options["pool"] = {
            "min_size": 1,
            "max_size": pool,
            "timeout": timeout,
            # Each that a restart of the server broke costs whoever is given it a pause: keep few.
            "max_idle": 30,
            # Tries come ever more rarely: after a long outage it would be away for as long again.
            "reconnect_timeout": 5,
        }
        # A server that has vanished sends nothing, and its own timeouts do not help.
        options |= {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}
        options["tcp_user_timeout"] = 20_000
        milliseconds = int(timeout * 1000)
        options.setdefault("connect_timeout", max(2, int(timeout / 4)))
        options["options"] = f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds}"
    else:
        raise ImproperlyConfigured("DATABASE_URL must be a sqlite:/// or a postgres:// address.")
    return database


_looking = threading.Lock()


async def look_after_pool() -> None:
    """A job: has the pool test its idle connections every now and then. A restart of the server
    breaks them all, which nobody is told: whoever wants one tries them one after the other, with
    a pause of 1 second, then 2, then 4, and sees no error before all patience is spent."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        pool = getattr(connection, "pool", None)  # SQLite has none
        if pool is not None and not pool.closed and _looking.acquire(blocking=False):
            # A thread that nobody waits for: a server that is frozen keeps it as long as it likes.
            threading.Thread(target=_look, args=(pool,), name="pool", daemon=True).start()


def _look(pool: Any) -> None:
    try:
        pool.check()
    finally:
        _looking.release()
