"""A PostgreSQL and a Redis of the tests' own, from Debian's programs, on free ports of loopback.

Each session has at most one of each: started when a test first asks, ended with the session, and
also when the session is killed. Tests may restart, freeze and fill them; the fixtures make good
what a test did. Where the programs are missing these tests are skipped, but fail under CI.
"""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psycopg
import pytest
import redis as redis_client
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.processes import ROOT

S = TypeVar("S", bound="Server")
ADMIN, OWNER = "postgres", "chatweb"

# A server ends when the thread that started it does, so that none is left over whatever happens to
# us. The main thread would do, but tests start servers from threads that end before.
_starter = ThreadPoolExecutor(1, thread_name_prefix="starts-engines")


class Missing(Exception):
    """A program is not installed."""


class Server:
    """A server program, with its data in a folder of its own."""

    ends_by = signal.SIGTERM

    def __init__(self) -> None:
        self.port = _free_port()
        # Below the system's temporary folder: another account could not reach pytest's own.
        self.folder = Path(tempfile.mkdtemp(prefix="chatweb-tests-engine-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Returns when it answers."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = _starter.submit(
                subprocess.Popen,
                [*_as_owner_of(self.folder), *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            ).result()
        _until(lambda: not self.is_running or self.answers(), self.said)
        assert self.is_running, self.said()

    def stop(self) -> None:
        """Cuts whoever is connected."""
        if self.process is None:
            return
        self.resume()
        self.process.send_signal(self.ends_by)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self) -> None:
        """On the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):  # a session that has just ended
                os.kill(pid, number)

    def pids(self) -> Iterator[int]:
        if self.process is not None and self.is_running:
            yield self.process.pid

    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def end(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisServer(Server):
    """Keeps nothing on disk."""

    def __init__(self) -> None:
        self._program = _program("redis-server")
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [self._program, *where, "--save", "", "--appendonly", "no", "--daemonize", "no"]

    def answers(self) -> bool:
        with self.client() as client, contextlib.suppress(redis_client.RedisError):
            return bool(client.ping())
        return False

    def client(self, *, decodes: bool = True) -> "redis_client.Redis":
        return redis_client.Redis(
            port=self.port,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
            decode_responses=decodes,
        )

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def limit_memory(self, maximum: int) -> None:
        """In bytes; more is refused, as Redis does by default. 0 is no limit."""
        with self.client() as client:
            client.config_set("maxmemory", maximum)
            client.config_set("maxmemory-policy", "noeviction")

    def disconnect_all(self) -> None:
        with self.client() as client:
            client.client_kill_filter(_type="normal")
            client.client_kill_filter(_type="pubsub")

    def heal(self) -> None:
        """Whatever a test did to it."""
        if not self.is_running:
            self.start()
        self.resume()
        self.limit_memory(0)
        self.flush()


class PostgresServer(Server):
    """A cluster that forgets all when the machine dies, which makes it quick. The portal's role
    may make databases and is no superuser, so that limits hold for it."""

    ends_by = signal.SIGINT  # PostgreSQL's fast shutdown: cuts sessions, and needs no recovery

    def __init__(self) -> None:
        self._initdb, self._postgres = _program("initdb"), _program("postgres")
        super().__init__()
        self._template = ""
        if os.geteuid() == 0:
            # PostgreSQL does not run as root; Debian's package brings this account.
            shutil.chown(self.folder, ADMIN, ADMIN)
        self._make()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        return f"postgres://{OWNER}@127.0.0.1:{self.port}/{database}"

    def _make(self) -> None:
        made = subprocess.run(
            [
                *_as_owner_of(self.folder),
                *(self._initdb, "--pgdata", str(self.data), "--username", ADMIN),
                *("--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 120,
            "shared_buffers": "32MB",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
        }
        options = [f"{name}={value}" for name, value in settings.items()]
        return [self._postgres, "-D", str(self.data), *(f"-c{option}" for option in options)]

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self.do("SELECT 1")
            return True
        return False

    def start(self) -> None:
        super().start()
        if not self.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", OWNER):
            self.do(f"CREATE ROLE {OWNER} LOGIN CREATEDB")

    def pids(self) -> Iterator[int]:
        """The main process first, then the sessions, which would go on answering."""
        for pid in super().pids():
            yield pid
            yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def do(self, statement: str, *values: object, database: str = ADMIN) -> None:
        """As superuser, outside of transactions."""
        with self._session(database) as session:
            session.execute(statement.encode(), values or None)

    def rows(self, query: str, *values: object, database: str = ADMIN) -> list[tuple[object, ...]]:
        with self._session(database) as session:
            return session.execute(query.encode(), values or None).fetchall()

    def _session(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=ADMIN,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    # --- Databases ---

    def new_database(self) -> str:
        """The name of a fresh one with the portal's tables."""
        name = f"test_{uuid4().hex}"
        self.do(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {self._migrated()}")
        return name

    def drop(self, database: str) -> None:
        self.do(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def _migrated(self) -> str:
        """Migrating takes seconds and copying a fraction of one, so it is done once."""
        if not self._template:
            name = "migrated"
            self.do(f"CREATE DATABASE {name} OWNER {OWNER}")
            migrate(self.url(name))
            self._template = name
        return self._template

    # --- Faults ---

    def disconnect(self, database: str) -> None:
        """Cuts every connection to it; returns when they have ended."""
        self.do(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            database,
        )

    def limit_connections(self, database: str, most: int) -> None:
        """-1 is no limit. Those that there are stay."""
        self.do(f"ALTER DATABASE {database} CONNECTION LIMIT {most}")

    def connections(self, database: str) -> int:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        [(number,)] = self.rows(counted, database)
        assert isinstance(number, int)
        return number

    def set_read_only(self, read_only: bool) -> None:
        """The whole server, sessions that there are included, as a replica is."""
        self.do(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if read_only else 'off'}")
        self.do("SELECT pg_reload_conf()")
        shown = "on" if read_only else "off"
        _until(lambda: self.rows("SHOW default_transaction_read_only") == [(shown,)], self.said)

    @contextlib.contextmanager
    def locked(self, database: str, table: str) -> Iterator[None]:
        """Whoever reads or writes the table waits."""
        with self._session(database) as session, session.transaction():
            session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            yield

    def heal(self) -> None:
        """Whatever a test did to it; limits go with the test's database."""
        if not self.is_running:
            self.start()
        self.resume()
        self.set_read_only(False)


def url_for_the_suite() -> str:
    """Of a cluster for all processes of a session: the first starts it and tells the others."""
    if "TEST_DATABASE_URL" not in os.environ:
        server = PostgresServer()
        atexit.register(server.end)
        server.start()
        server.do(f"CREATE DATABASE suite OWNER {OWNER}")
        os.environ["TEST_DATABASE_URL"] = server.url("suite")
    return os.environ["TEST_DATABASE_URL"]


def migrate(url: str) -> None:
    """In a process of its own, as an operator does it."""
    env = {"DJANGO_SETTINGS_MODULE": "chatweb.settings", "DATABASE_URL": url}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env=os.environ | env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- Fixtures -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with _started(RedisServer) as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis that a test may do to what it likes."""
    redis_server.heal()
    yield redis_server
    redis_server.heal()


@pytest.fixture
def redis_url(redis: RedisServer) -> str:
    return redis.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with _started(PostgresServer) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may do to what it likes."""
    postgres_server.heal()
    yield postgres_server
    postgres_server.heal()


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database of the test's own, with the portal's tables."""
    name = postgres.new_database()
    yield name
    postgres.heal()
    postgres.drop(name)


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_database: str) -> str:
    return postgres.url(postgres_database)


@contextlib.contextmanager
def _started(kind: Callable[[], S]) -> Iterator[S]:
    try:
        server = kind()
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    try:
        server.start()
        yield server
    finally:
        server.end()


def _program(name: str) -> str:
    """Debian keeps PostgreSQL's server programs out of the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, versions)])
    found = shutil.which(name, path=path)
    if found is None:
        raise Missing(f"{name} is not installed: apt-get install redis-server postgresql")
    return found


def _as_owner_of(folder: Path) -> list[str]:
    """What comes before a command so that it runs as the folder's account and ends with us."""
    command = ["setpriv", "--pdeathsig", "KILL"]
    owner = folder.stat()
    if owner.st_uid != os.geteuid():
        command += ["--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups"]
    return [*command, "--"]


def _free_port() -> int:
    """Below those that the system gives to whoever connects, one of which could take it while the
    server is down."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port on loopback")


def _until(condition: Callable[[], bool], explain: Callable[[], str], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)
