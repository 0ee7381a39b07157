"""What is marked for translation, and a language in which each such message stands in brackets."""

import ast
import gettext
import re
import struct
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
# Their own catalogues name what Django and allauth say; any language will do.
OTHERS = ("django", "django.contrib.admin", "django.contrib.auth", "allauth")
HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"

Message = tuple[str, ...]  # one text, or one and its plural


def code() -> list[Path]:
    folders = (ROOT / "conversations", ROOT / "chatweb")
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def templates() -> list[Path]:
    return sorted(path for path in (ROOT / "templates").rglob("*.*"))


def marked(source: str) -> Iterator[Message | None]:
    """Each message that Python code marks; None for one that is put together and so never found."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if name in MARKS:
            count = 2 if name.startswith("n") else 1
            yield _literals(node.args[:count])


def _literals(arguments: list[ast.expr]) -> Message | None:
    try:
        return tuple(str(ast.literal_eval(argument)) for argument in arguments)
    except ValueError:
        return None


def marked_in_template(path: Path) -> Iterator[Message]:
    """As `makemessages` finds them, in the Python that it makes of a template."""
    source = templatize(path.read_text())
    for start in re.finditer(r"\b(?:n?gettext|_)\(", source):
        for end in re.finditer(r"\)", source[start.end() :]):
            call = source[start.start() : start.end() + end.end()]
            try:
                found = next(marked(call.replace("count)", "0)")), None)
            except SyntaxError:
                continue
            if found is not None:
                yield found
            break


@cache
def messages() -> set[Message]:
    found = {one for path in code() for one in marked(path.read_text()) if one is not None}
    found |= {one for path in templates() for one in marked_in_template(path)}
    return found | {one for package in OTHERS for one in _of(package)}


def _of(package: str) -> Iterator[Message]:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    for path in (folder / "locale", folder / "conf" / "locale"):
        if not (file := path / "de" / "LC_MESSAGES" / "django.mo").exists():
            continue
        with file.open("rb") as opened:
            catalogue = gettext.GNUTranslations(opened)._catalog  # type: ignore[attr-defined]
        for key in catalogue:
            text, is_plural = (key, False) if isinstance(key, str) else (key[0], True)
            yield (text, text) if is_plural else (text,)


def bracketed(message: Message) -> tuple[str, str]:
    """The entry of a catalogue: key and translation."""
    forms = [f"⟦{form.rpartition(chr(4))[2]}⟧" for form in message]
    return "\0".join(message), "\0".join(forms)


def compile_catalogue(folder: Path, language: str) -> None:
    """Writes LANGUAGE/LC_MESSAGES/django.mo."""
    path = folder / language / "LC_MESSAGES" / "django.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(_compiled())


@cache
def _compiled() -> bytes:
    """As msgfmt does it (GNU gettext manual, 11.3)."""
    entries = dict(sorted([("", HEADER), *(bracketed(one) for one in messages() if one[0])]))
    keys = [key.encode() for key in entries]
    values = [value.encode() for value in entries.values()]
    at = 28 + 16 * len(entries)
    tables, texts = b"", b""
    for column in (keys, values):
        for text in column:
            tables += struct.pack("<II", len(text), at + len(texts))
            texts += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, at)
    return head + tables + texts
