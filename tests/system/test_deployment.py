"""The settings as a portal is served with them, each time in a process that reads them afresh."""

from pathlib import Path

from tests.processes import ROOT, program

ENV = {"DJANGO_SETTINGS_MODULE": "chatweb.settings", "DATABASE_URL": "", "SECRET_KEY": ""}

SERVED_OVER_TLS = """
import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
# Collecting and compressing files takes longer than all the rest.
plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STORAGES["staticfiles"] = plain
django.setup()
call_command("check", deploy=True, fail_level="DEBUG")
call_command("migrate", verbosity=0)
from conversations.models import User
User.objects.create_user("alice@example.com", "correct horse battery")
client = Client(SERVER_NAME="localhost")
client.get("/accounts/login/", secure=True)
form = {"login": "alice@example.com", "password": "correct horse battery"}
client.post("/accounts/login/", form, secure=True)
page = client.get("/", secure=True)
print("status", page.status_code, page["Strict-Transport-Security"])
print("plain", client.get("/")["Location"])
for morsel in client.cookies.values():
    print("cookie", morsel.OutputString())
print("done", flush=True)
"""


def test_over_tls_the_deployment_check_is_silent_and_cookies_are_bound_to_the_host(
    tmp_path: Path,
) -> None:
    env = {"DATA_DIR": str(tmp_path), "SECURE": "on"}
    with program("-c", SERVED_OVER_TLS, env=ENV | env) as running:
        running.line_with("done", seconds=60)
    lines = running.output.splitlines()
    assert lines[0] == "System check identified no issues (0 silenced)."
    assert "status 200 max-age=31536000; includeSubDomains; preload" in lines
    assert "plain https://localhost/" in lines
    cookies = [line.removeprefix("cookie ") for line in lines if line.startswith("cookie ")]
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-session", "__Host-csrf"}
    for cookie in cookies:
        flags = {part.strip() for part in cookie.split(";")}
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= flags
        assert "domain" not in cookie.lower()


def test_what_the_portal_writes_is_for_its_own_account_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with program(str(ROOT / "manage.py"), "migrate", env=ENV | {"DATA_DIR": str(data)}) as running:
        assert running.ended(60) == 0, running.output
    modes = {file.name: oct(file.stat().st_mode & 0o077) for file in data.iterdir()}
    assert {"chatweb.sqlite3", "secret-key"} <= set(modes)
    assert set(modes.values()) == {"0o0"}
