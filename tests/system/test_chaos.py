"""The chaos run in its bounded form: fixed seeds, a minute for both databases."""

import os
import subprocess
import sys

import pytest

from tests.processes import ROOT

SIZE = ("--generations", "110", "--pause", "1.6")


def run(*options: str) -> str:
    """A program of its own: it makes its Redis and its database, and ends them."""
    environment = {name: os.environ[name] for name in os.environ if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *options],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "chatweb.settings"},
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_under_faults_of_all_kinds_every_promise_is_kept(database: str) -> None:
    said = run(*SIZE, "--seed", "20261125", "--database", database)
    assert "Every promise was kept." in said
