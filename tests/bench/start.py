"""How long `manage.py start` takes to say its address, beside importing its packages alone."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conversations.localmodel import free_port
from tests.processes import ROOT, program

PACKAGES = """
import django
from django.conf import settings
apps = "auth contenttypes sessions messages staticfiles humanize admin".split()
settings.configure(
    INSTALLED_APPS=[f"django.contrib.{app}" for app in apps] + ["allauth", "allauth.account"],
    MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"],
    USE_TZ=True,
)
django.setup()
import django.contrib.staticfiles.finders, django.db.backends.sqlite3.base
import allauth.account.urls, channels.auth, channels.routing, csp.middleware, django_htmx.middleware
import comrak, daphne.server, environ, httpx, aiohttp, math_core, nh3, orjson
import pygments.lexers, pygments.formatters, template_partials, uvloop, whitenoise.middleware
"""


def importing_alone() -> float:
    """Seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", PACKAGES], check=True, cwd=ROOT, timeout=60)
    return time.monotonic() - started


def starting(data: Path) -> float:
    """Seconds, of a portal whose data is there and whose model is left out."""
    env = {"DJANGO_SETTINGS_MODULE": "chatweb.settings", "LOCAL_MODEL": "off"}
    options = ("manage.py", "start", "--port", str(free_port()))
    with program(*options, env=env | {"DATA_DIR": str(data)}) as portal:
        portal.line_with("Address", 60)
        return time.monotonic() - portal.started


def run(rounds: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        starting(data)  # makes tables and static files, which later starts find
        pairs = [(importing_alone(), starting(data)) for _ in range(rounds)]
    imports, starts = (min(times) for times in zip(*pairs, strict=True))
    return (
        f"start {starts:.2f} s, its packages alone {imports:.2f} s, "
        f"ratio {starts / imports:.2f} (best of {rounds})"
    )
