"""The secret key that the first start makes, and what becomes of sessions when it is changed."""

import os
import subprocess
import sys
from pathlib import Path

from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from conversations import access
from conversations.models import User
from tests.processes import ROOT
from tests.viewers import session_of

PRINT = "from chatweb import settings; print(settings.SECRET_KEY)"


def test_processes_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "SECRET_KEY": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    keys = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert keys == {(tmp_path / "secret-key").read_text()}
    assert [file.name for file in tmp_path.iterdir()] == ["secret-key"]


def test_a_new_key_signs_nobody_out_as_long_as_the_old_one_is_named(
    alice: User, settings: Settings
) -> None:
    client, session = Client(), session_of(alice)
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    old, settings.SECRET_KEY = settings.SECRET_KEY, "new " * 10
    settings.SECRET_KEY_FALLBACKS = [old]
    # An open socket cannot give its browser another cookie, so it leaves the session as it is.
    assert access.person_of_session(session) == alice
    assert Session.objects.filter(pk=session).exists()
    assert client.get("/account/").status_code == 200
    renewed = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert renewed != session
    settings.SECRET_KEY_FALLBACKS = []
    assert access.person_of_session(renewed) == alice


def test_without_it_a_new_key_signs_everybody_out(alice: User, settings: Settings) -> None:
    session = session_of(alice)
    settings.SECRET_KEY = "new " * 10
    assert access.person_of_session(session) is None
