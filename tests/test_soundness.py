"""Settings under which messages or sessions would be lost are refused, in words."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from chatweb import databases, soundness
from conversations.management.commands.serve import Command

pytestmark = pytest.mark.django_db
KEY = "6Ew0VbLDwYv0WbUxSfnhPpQ8mZkT3r1JcXaGd5Io"


@pytest.fixture(autouse=True)
def sound(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to refuse, until a test takes something away."""
    settings.SECRET_KEY = KEY
    monkeypatch.setenv("SECRET_KEY", KEY)
    settings.CHANNEL_LAYERS = {"default": {}}


def refused(*, several: bool = True, sessions: bool = True) -> str:
    return "\n".join(soundness.refusals(several=several, sessions=sessions))


def test_what_is_sound_is_not_refused() -> None:
    assert refused() == ""


def test_several_processes_need_redis(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {}
    assert "REDIS_URL" in refused()
    assert refused(several=False) == ""


def test_the_key_that_was_made_here_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    assert "SECRET_KEY" in refused()
    assert refused(sessions=False) == ""  # a relay signs nothing


@pytest.mark.parametrize("key", ["short", "django-insecure-" + KEY])
def test_a_weak_key_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    settings.SECRET_KEY = key
    monkeypatch.setenv("SECRET_KEY", key)
    assert "too weak" in refused()


def test_tables_that_are_not_there_yet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'conversations'")
    assert "manage.py migrate" in refused()


@pytest.mark.parametrize(
    ("kind", "is_refused"), [("nfs4", True), ("cifs", True), ("ext4", False), ("overlay", False)]
)
def test_sqlite_on_a_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_refused: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 27 0:21 / / rw - ext4 /dev/sda rw\n"
        f"23 27 0:22 / /srv/our\\040data rw - {kind} server:/data rw\n"
    )
    monkeypatch.setattr(soundness, "MOUNTS", mounts)
    assert bool(soundness.over_network(Path("/srv/our data/chatweb.sqlite3"))) is is_refused
    assert not soundness.over_network(Path("/srv/elsewhere/chatweb.sqlite3"))


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize(("kind", "is_refused"), [("nfs4", True), ("ext4", False)])
def test_the_start_is_refused_with_sqlite_on_a_network(
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    is_refused: bool,
    several: bool,
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"23 27 0:22 / {tmp_path} rw - {kind} server:/data rw\n")
    monkeypatch.setattr(soundness, "MOUNTS", mounts)
    sqlite = {"ENGINE": databases.SQLITE, "NAME": tmp_path / "chatweb.sqlite3"}
    monkeypatch.setitem(settings.DATABASES, "default", settings.DATABASES["default"] | sqlite)
    said = refused(several=several)
    assert (f"lies on a network ({kind})" in said) is is_refused
    assert ("DATABASE_URL" in said) is is_refused


@pytest.mark.parametrize("processes", [0, 65])
def test_a_number_of_processes_out_of_range_is_refused(processes: int) -> None:
    with pytest.raises(CommandError, match="between 1 and 64"):
        call_command(Command(), processes=processes)


def test_without_tls_the_portal_is_not_served_as_if_there_were(settings: Settings) -> None:
    settings.SECURE, settings.BEHIND_PROXY = True, False
    with pytest.raises(CommandError, match="BEHIND_PROXY"):
        call_command(Command())


def test_an_open_line_is_not_served_to_others(settings: Settings) -> None:
    settings.SECURE = False
    with pytest.raises(CommandError, match="--insecure"):
        call_command(Command(), host="192.0.2.7")
