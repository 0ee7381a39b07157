"""Static files: one script out of many modules, fonts and icons that are what they claim to be."""

import importlib.util
import json
import re
from pathlib import Path

import brotli
import pytest

from conversations.statics import ENTRANCES, bundle

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static"
MODULES = {path.stem: path.read_text() for path in (STATIC / "js").glob("*.js")}
TEMPLATES = {path: path.read_text() for path in (ROOT / "templates").rglob("*.html")}
KIB = 1024


def test_a_module_comes_after_those_it_imports_and_only_once() -> None:
    sources = {
        "app": 'import { one } from "./one.js";\nimport { two } from "./two.js";\none(two);\n',
        "one": 'import { two } from "./two.js";\nexport function one() { return two; }\n',
        "two": "/** Said to readers only. */\nexport const two = 2; // and this\n",
    }
    assert bundle("app", sources.__getitem__) == (
        "const two=2;function one(){return two;}\none(two);"
    )


def test_what_only_looks_like_a_comment_stays() -> None:
    source = 'const address = "http://x"; // gone\nconst text = "a // b";\n\n  // gone\n'
    assert bundle("app", lambda _name: source) == ('const address="http://x";const text="a // b";')


def test_a_name_that_two_modules_declare_is_refused() -> None:
    sources = {"app": 'import { one } from "./one.js";\nlet two;\n', "one": "const two = 1;\n"}
    with pytest.raises(ValueError, match=r"two is in one\.js and app\.js"):
        bundle("app", sources.__getitem__)


@pytest.mark.parametrize(
    "line",
    [
        'import one from "./one.js";',
        'import "./one.js";',
        'export { one } from "./one.js";',
        "export default 1;",
        'const one = await import("./one.js");',
    ],
)
def test_an_import_or_export_in_another_form_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="cannot be bundled"):
        bundle("app", {"app": f"{line}\n", "one": ""}.__getitem__)


def test_modules_that_import_each_other_are_refused() -> None:
    sources = {
        "app": 'import { one } from "./one.js";\n',
        "one": 'import { app } from "./app.js";\nexport const one = 1;\n',
    }
    with pytest.raises(ValueError, match="by way of app, one"):
        bundle("app", sources.__getitem__)


def test_every_module_is_part_of_a_page() -> None:
    asked: set[str] = set()

    def read(name: str) -> str:
        asked.add(name)
        return MODULES[name]

    for entrance in ENTRANCES:
        bundle(entrance, read)
    assert set(MODULES) - asked == {"early"}  # a classic script, run before the first paint


def test_every_imported_name_is_exported() -> None:
    missing = [
        f"{module}: {name} from {source}"
        for module, text in MODULES.items()
        for names, source in re.findall(
            r'^import \{([^}]*)\} from "\./(\w+)\.js";', text, re.MULTILINE
        )
        for name in re.findall(r"\w+", names)
        if not re.search(
            rf"^export (?:async )?(?:function|const|class) {name}\b", MODULES[source], re.MULTILINE
        )
    ]
    assert missing == []


def test_scripts_weigh_what_a_first_page_may_spend_on_them() -> None:
    spec = importlib.util.find_spec("django_htmx")
    assert spec is not None
    assert spec.origin is not None
    htmx = Path(spec.origin).parent / "static/django_htmx/htmx-2.min.js"
    scripts = [htmx.read_bytes(), bundle("app", MODULES.__getitem__).encode()]
    assert sum(len(brotli.compress(script)) for script in scripts) <= 30 * KIB


def test_styles_and_fonts_stay_light() -> None:
    styles = [path.read_bytes() for path in (STATIC / "css").glob("*.css")]
    assert sum(len(brotli.compress(style)) for style in styles) < 20 * KIB
    assert (STATIC / "vendor/inter.woff2").stat().st_size <= 50_000
    assert (STATIC / "vendor/jetbrains-mono.woff2").stat().st_size <= 50_000


def test_every_phrase_that_scripts_say_is_in_the_page() -> None:
    words = TEMPLATES[ROOT / "templates/conversations/frame.html"].partition('id="words"')[2]
    there = {
        re.sub(r"-(\w)", lambda match: match[1].upper(), name)
        for name in re.findall(r"data-([\w-]+)=", words)
    }
    said = set(re.findall(r'word\("(\w+)"\)', "".join(MODULES.values())))
    assert said
    assert said - there == set()


def test_every_icon_that_is_shown_is_in_the_sprite() -> None:
    sprite = (STATIC / "icons.svg").read_text()
    there = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    shown = set(re.findall(r"icons }}#([\w-]+)", "".join(TEMPLATES.values())))
    shown |= set(re.findall(r'icon\("([\w-]+)"\)', "".join(MODULES.values())))
    assert shown
    assert shown - there == set()


def test_pages_hold_no_inline_style_and_no_inline_script() -> None:
    inline = re.compile(r"<style|\sstyle=|\son\w+=|hx-on|js:|<script(?![^>]*\ssrc=)")
    assert [str(path) for path, text in TEMPLATES.items() if inline.search(text)] == []


def test_fonts_and_icons_are_those_of_the_manifest() -> None:
    spec = importlib.util.spec_from_file_location("vendor", STATIC / "vendor.py")
    assert spec is not None
    assert spec.loader is not None
    vendor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vendor)
    assert vendor.differences() == []


def test_the_lock_of_npm_names_no_registry() -> None:
    lock = json.loads((STATIC / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
