"""The Redis and the database of a chaos run."""

import os
import secrets
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engines import PostgresServer, RedisServer, migrate

# Nothing but static files, which take long to collect: those of the other tests will do.
_CHECKOUT = zlib.crc32(str(Path(__file__).resolve().parents[1]).encode())
DATA = Path(tempfile.gettempdir()) / f"chatweb-tests-{os.getuid()}-{_CHECKOUT:08x}"


@dataclass
class Engines:
    """`database` is PostgreSQL's name of it, or SQLite's file where there is no server."""

    redis: RedisServer
    postgres: PostgresServer | None
    database: str


@contextmanager
def made(database: str, folder: Path) -> Iterator[Engines]:
    """Started, and named in the environment before Django reads its settings."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATA_DIR": str(DATA),
        "SECRET_KEY": secrets.token_hex(32),
        "SECURE": "off",
        "UPSTREAM_BASE_URL": "http://127.0.0.1:9/v1",  # nobody answers on this port
    }
    (DATA / "static").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        redis = RedisServer()
        stack.callback(redis.end)
        redis.start()
        if database == "sqlite":
            file = folder / "chaos.sqlite3"
            os.environ["DATABASE_URL"] = f"sqlite:///{file}"
            migrate(os.environ["DATABASE_URL"])
            yield Engines(redis, None, str(file))
            return
        postgres = PostgresServer()
        stack.callback(postgres.end)
        postgres.start()
        name = postgres.new_database()
        os.environ["DATABASE_URL"] = postgres.url(name)
        yield Engines(redis, postgres, name)
