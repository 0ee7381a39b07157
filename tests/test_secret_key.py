"""The secret key that the first start makes."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

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
