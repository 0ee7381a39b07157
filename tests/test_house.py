"""The repository keeps its own promises."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from chatweb import env

ROOT = Path(__file__).resolve().parent.parent
CODE = ("chatweb", "conversations", "templates", "static", "tests")
# Not written here, or written by a machine.
FOREIGN = {"vendor", "migrations", "node_modules", "__pycache__", "test-results"}
CEILING = 500
VAGUE = {"utils", "helpers", "services", "managers", "common", "core", "misc", "lib"}


@cache
def files(*suffixes: str, under: tuple[str, ...] = CODE) -> list[Path]:
    return [
        path
        for folder in under
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes and not FOREIGN & set(path.relative_to(ROOT).parts)
    ]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def product() -> list[Path]:
    return files(".py", under=("chatweb", "conversations"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def importers_of(package: str) -> set[str]:
    return {
        name(path)
        for path in product()
        for module in imports(path)
        if module == package or module.startswith(f"{package}.")
    }


def lines_with(pattern: str, paths: list[Path]) -> list[str]:
    return [
        f"{name(path)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_file_is_longer_than_the_ceiling() -> None:
    counted = {
        name(path): path.read_text().count("\n") for path in files(".py", ".js", ".css", ".html")
    }
    assert {path: lines for path, lines in counted.items() if lines > CEILING} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [name(path) for path in files(".py", ".js") if path.stem in VAGUE] == []


def test_no_template_trusts_text() -> None:
    trusting = r"\|\s*safe\b|safeseq|autoescape\s+off"
    assert lines_with(trusting, files(".html")) == []


def test_only_the_markdown_room_declares_text_safe() -> None:
    safe = lines_with(r"\bmark_safe\b|\bSafeString\(|\bSafeText\b", product())
    assert [line for line in safe if not line.startswith("conversations/markdown")] == []


def test_no_page_has_inline_script_or_style() -> None:
    inline = r"<script(?![^>]*\bsrc=)|<style\b|\sstyle=|\son[a-z]+=\"|javascript:"
    assert lines_with(inline, files(".html", under=("templates",))) == []


def test_no_script_evaluates_text() -> None:
    assert lines_with(r"\beval\(|new Function\(", files(".js", under=("static",))) == []


def test_only_the_upstream_room_knows_the_http_client() -> None:
    for package in ("httpx", "httpx_aiohttp", "aiohttp"):
        outside = importers_of(package)
        assert {path for path in outside if not path.startswith("conversations/upstream/")} == set()


def test_only_the_events_room_knows_the_channel_layer() -> None:
    outside = importers_of("channels.layers")
    assert {path for path in outside if not path.startswith("conversations/events/")} == set()


@pytest.mark.parametrize(
    ("module", "known"),
    [
        ("consumers", {"access", "counts", "events", "fragments", "presence", "reading", "User"}),
        ("presence", {"events", "fragments", "Attendance", "Hub", "Mailbox", "Person"}),
    ],
)
def test_a_socket_changes_no_rows(module: str, known: set[str]) -> None:
    """Whatever a page sends there, with whatever right: only actions write."""
    imported = {
        alias.name
        for node in ast.walk(tree(ROOT / "conversations" / f"{module}.py"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("conversations")
        for alias in node.names
    }
    assert imported - {"conversation_topic"} == known


def test_there_are_no_signals() -> None:
    assert importers_of("django.dispatch") | importers_of("django.db.models.signals") == set()


def swallows(handler: ast.ExceptHandler) -> bool:
    broad = handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def broad_excepts() -> list[str]:
    return [
        name(path)
        for path in product()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    ]


def test_one_broad_except_at_most_and_it_keeps_sockets_from_failing_answers() -> None:
    found = broad_excepts()
    assert found == ["conversations/events/hub.py"]


def test_no_test_replaces_our_own_code() -> None:
    marks = r"mock\.patch|mocker\.|from unittest.mock|import mock"
    assert [
        line
        for line in lines_with(marks, files(".py", under=("tests",)))
        if "test_house" not in line
    ] == []


def test_nothing_is_left_for_later() -> None:
    marks = r"\b(?:TODO|FIXME|XXX|HACK)\b"
    found = lines_with(marks, files(".py", ".js", ".css", ".html"))
    assert [line for line in found if "test_house" not in line] == []


def readme_section(marker: str) -> str:
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"<!-- {marker} -->\n(.*?)\n<!-- /{marker} -->", text, re.DOTALL)
    assert found is not None, f"README.md has no section between <!-- {marker} --> marks"
    return found[1]


def test_the_readme_explains_every_setting_with_its_default() -> None:
    assert readme_section("settings").splitlines() == env.table().splitlines()


@pytest.mark.parametrize("setting", env.DECLARED.values(), ids=lambda one: one.name)
def test_every_setting_has_a_reason(setting: env.Setting) -> None:
    assert len(setting.why) > 10


def complaint(*command: str) -> str:
    """What a tool says when it finds something, else nothing."""
    done = subprocess.run(
        [sys.executable, *command],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_imports_point_down() -> None:
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    assert complaint("-c", script) == ""


def test_templates_are_well_formed() -> None:
    assert complaint("-m", "djlint", "templates", "--lint", "--quiet") == ""
