"""The portal's settings for tests: a database per worker, no data of the developer's.

With TEST_DATABASE=postgresql it is one of a cluster that is made for the session, else a file.
"""

import os
import tempfile
import zlib
from pathlib import Path

# Of this checkout alone: another one's files would be collected over ours, under running processes.
_CHECKOUT = zlib.crc32(str(Path(__file__).resolve().parent).encode())
# And of this worker: only one portal runs with the data of a folder.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
TEST_DATA = Path(tempfile.gettempdir()) / f"chatweb-tests-{os.getuid()}-{_CHECKOUT:08x}-{_WORKER}"
os.environ["DATA_DIR"] = str(TEST_DATA)
for name in (
    "UPSTREAM_BASE_URL",
    "UPSTREAM_API_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "SECURE",
    "DEBUG",
):
    os.environ.pop(name, None)
os.environ["UPSTREAM_BASE_URL"] = "http://127.0.0.1:9/v1"  # nobody answers on this port
ON_POSTGRESQL = os.environ.get("TEST_DATABASE", "sqlite") == "postgresql"
if ON_POSTGRESQL:
    from tests.engines import url_for_the_suite

    os.environ["DATABASE_URL"] = url_for_the_suite()

from chatweb.settings import *  # noqa: E402, F403
from chatweb.settings import DATABASES, STORAGES  # noqa: E402

# Nothing is collected: each test client would look through all of it.
STATIC_ROOT = TEST_DATA / "no-static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
if not ON_POSTGRESQL:
    # Django's in-memory test database locks under threads; a file behaves as it does in use.
    file = TEST_DATA / f"test-{os.getpid()}-{_WORKER}.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": str(file)}
# What tests start as programs of their own is told which database by each of them.
os.environ.pop("DATABASE_URL", None)
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
UPSTREAM_CONTINUES = True
RELAY_KEEP_SECONDS = 0.2
RELAY_POLL_SECONDS = 0.2
TICK_SECONDS = 0.3
CATALOGUE_SECONDS = 60  # tests count queries
RIGHTS_CHECK_SECONDS = 0.2
