"""What production installs is what pyproject.toml asks for, and names no machine of ours."""

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)(?: ; (?P<marker>.*?))?(?: \\)?$")
REGISTRIES = r"(?:pythonhosted|pypi|npmjs|deb\.debian)\.org"
MACHINE_PATHS = r"(?:^|[\s\"'=:(])/(?:root|work|home|farm)/"


@cache
def lock() -> str:
    return (ROOT / "requirements.txt").read_text()


@cache
def pins() -> dict[str, list[Version]]:
    """Some packages are pinned once for each kind of Python."""
    pinned: dict[str, list[Version]] = {}
    for line in lock().splitlines():
        if pin := PIN.match(line):
            pinned.setdefault(canonicalize_name(pin["name"]), []).append(Version(pin["version"]))
    return pinned


def asked_for() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["project"]["dependencies"]]


@pytest.mark.parametrize("asked", asked_for(), ids=lambda one: one.name)
def test_the_lock_holds_what_is_asked_for(asked: Requirement) -> None:
    pinned = pins().get(canonicalize_name(asked.name), [])
    assert pinned, "requirements.txt lacks it: lock again"
    assert all(version in asked.specifier for version in pinned), (
        "requirements.txt pins another version: lock again"
    )


def blocks() -> list[str]:
    """One for each pin: the line that names it and the hashes below."""
    kept = [line for line in lock().splitlines() if not line.lstrip().startswith("#")]
    return re.split(r"\n(?=\w)", "\n".join(kept))


def test_every_pin_has_hashes() -> None:
    assert len(blocks()) == sum(len(versions) for versions in pins().values())
    assert [block for block in blocks() if "--hash=sha256:" not in block] == []


TOOLS = {"mypy", "playwright", "pytest", "ruff"}


def test_production_installs_no_tools_and_no_model() -> None:
    model = {Requirement(text).name for text in PROJECT["dependency-groups"]["model"]}
    assert (TOOLS | model) & set(pins()) == set()


def test_the_lock_says_how_it_is_made() -> None:
    first_lines = "\n".join(lock().splitlines()[:2])
    assert "uv pip compile pyproject.toml --universal --generate-hashes" in first_lines


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def lines_with(pattern: str) -> list[str]:
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):  # a picture; or deleted, not yet committed
            continue
        if path == Path(__file__):
            continue
        found += [
            f"{path.relative_to(ROOT)}: {line}"
            for line in text.splitlines()
            if re.search(pattern, line)
        ]
    return found


def test_no_file_names_a_registry() -> None:
    assert lines_with(REGISTRIES) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_with(MACHINE_PATHS) == []


def test_the_licence_is_the_one_that_is_named() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
