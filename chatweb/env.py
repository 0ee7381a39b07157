"""Typed readers for settings from the environment: nonsense is refused at start-up, by name.

Each reader notes what it read in `DECLARED`, so that a test can hold the README's table against it;
`python -m chatweb.env` prints that table.
"""

import os
import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    why: str


DECLARED: dict[str, Setting] = {}


def text(name: str, default: str = "", *, why: str) -> str:
    DECLARED[name] = Setting(name, default, why)
    return os.environ.get(name, default).strip()


def switch(name: str, default: bool, *, why: str) -> bool:
    raw = text(name, "on" if default else "off", why=why).lower()
    if raw in TRUE:
        return True
    if raw in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r} is neither on nor off.")


def words(
    name: str, default: str = "", *, between: str = ",", least: int = 0, why: str
) -> list[str]:
    parts = [part.strip() for part in text(name, default, why=why).split(between)]
    found = [part for part in parts if part]
    if len(found) < least:
        raise ImproperlyConfigured(f"{name} is empty.")
    return found


def integer(name: str, default: int, *, low: int, high: int, why: str) -> int:
    raw = text(name, str(default), why=why)
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number.") from None
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name}={value} is not between {low} and {high}.")
    return value


def seconds(name: str, default: float, *, low: float, high: float, why: str) -> float:
    raw = text(name, f"{default:g}", why=why)
    try:
        value = float(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a number of seconds.") from None
    if not low <= value <= high:  # NaN fails every comparison, so it is refused here too
        raise ImproperlyConfigured(f"{name}={raw} is not between {low:g} and {high:g} seconds.")
    return value


def choice(name: str, default: str, *, among: Collection[str], why: str) -> str:
    value = text(name, default, why=why)
    if value not in among:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(sorted(among))}.")
    return value


def address(name: str, *, why: str) -> str:
    """An http or https address, or none. One that is refused is not repeated: it may hold a
    password."""
    value = text(name, why=why)
    if value and not _is_address(value):
        raise ImproperlyConfigured(
            f"{name} is not an address that begins with http:// or https:// and names a host, "
            "without user, query and fragment."
        )
    return value


def origins(name: str, *, why: str) -> list[str]:
    values = words(name, why=why)
    for value in values:
        if not _is_address(value) or urlsplit(value).path:
            raise ImproperlyConfigured(f"{name}: {value!r} is no origin as https://chat.example.")
    return values


def _is_address(value: str) -> bool:
    try:
        url = urlsplit(value)
        named = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False
    plain = url.username is None and not (url.query or url.fragment)
    return url.scheme in {"http", "https"} and named and plain


def key(name: str, *, why: str) -> str:
    """What goes into a header. A key that is refused is not repeated."""
    value = text(name, why=why)
    if not all(33 <= ord(char) < 127 for char in value):
        raise ImproperlyConfigured(f"{name} holds something else than plain ASCII without blanks.")
    return value


def image(name: str, *, why: str) -> str:
    value = text(name, why=why)
    if value and not value.startswith("/static/"):
        raise ImproperlyConfigured(f"{name} is not under /static/: pages show no other images.")
    return value


def file(name: str, *, why: str) -> str:
    value = text(name, why=why)
    if value and not Path(value).is_file():
        raise ImproperlyConfigured(f"{name}={value!r} is not a file.")
    return value


def time_zone(name: str, default: str, *, why: str) -> str:
    value = text(name, default, why=why)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(f"{name}={value!r} is no time zone as Europe/Berlin.") from None
    return value


def kept_secret(name: str, path: Path, *, why: str) -> str:
    """The operator's secret, or one made at the first start and kept at `path` for the next."""
    given = text(name, why=why)
    if given:
        return given
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(50))
    return path.read_text()


def _write_once(path: Path, text: str) -> None:
    """Whole or not at all, whenever we are killed; the first of several processes wins."""
    own = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    own.touch(mode=0o600)
    own.write_text(text)
    with suppress(FileExistsError):
        path.hardlink_to(own)
    own.unlink()


def table() -> str:
    """All settings as Markdown, in the order in which they are read."""
    rows = [(f"`{one.name}`", _code(one.default), one.why) for one in DECLARED.values()]
    cells = [("Setting", "Default", "What it does, or why"), ("---", "---", "---"), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells
    )


def _code(default: str) -> str:
    return f"`{default}`" if default else ""


if __name__ == "__main__":
    # Reading the settings declares them, in the module that they import and not in this one.
    print(import_module("chatweb.settings").env.table())
