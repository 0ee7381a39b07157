"""The portal's settings for tests: a database file per worker, no data of the developer's."""

import os
import tempfile
from pathlib import Path

TEST_DATA = Path(tempfile.gettempdir()) / f"chatweb-tests-{os.getuid()}"
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

from chatweb.settings import *  # noqa: E402, F403
from chatweb.settings import DATABASES, STORAGES  # noqa: E402

# Nothing is collected: each test client would look through all of it.
STATIC_ROOT = TEST_DATA / "no-static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# Django's in-memory test database locks under threads; a file behaves as it does in use.
worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
DATABASES["default"]["TEST"] = {"NAME": str(TEST_DATA / f"test-{os.getpid()}-{worker}.sqlite3")}
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
UPSTREAM_CONTINUES = True
RELAY_KEEP_SECONDS = 0.2
RELAY_POLL_SECONDS = 0.2
TICK_SECONDS = 0.3
RIGHTS_CHECK_SECONDS = 0.2
