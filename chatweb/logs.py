"""How a record of the log looks, whose doing it was, and what it never holds."""

import json
import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# On whose behalf something is done. Tasks and `sync_to_async` threads inherit them; a request, a
# socket and a generation each run in a context of their own, so nobody has to reset them.
request_id: ContextVar[str] = ContextVar("request_id", default="")
generation: ContextVar[str] = ContextVar("generation", default="")
# A public id, or nothing while nobody has looked up who it is: asking must cost no query.
person: ContextVar[Callable[[], str]] = ContextVar("person", default=str)

# The beginning of a program's key is shown in pages; the rest is nobody's business.
KEY = re.compile(r"(\blt_[A-Za-z0-9]{10})[A-Za-z0-9]+")
# Whoever has the address of an unused link can sign in with it, or join a conversation. It may
# stand in another address, as what comes after the sign-in.
LINK = re.compile(r"((?:/|%2f)link(?:/|%2f))[\w/%-]+", re.IGNORECASE)

# PostgreSQL quotes the row that it refuses, and rows hold what people write.
ROW = re.compile(r"(DETAIL: ).*?(?=\n *\n *(?:The above|During handling)|\Z)", re.DOTALL)

# What could end a line or move a terminal's cursor: upstreams and people choose parts of messages.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

FORMATTERS: dict[str, dict[str, Any]] = {
    "line": {
        "()": "chatweb.logs.LineFormatter",
        "format": "{asctime} {levelname:7} {name} {message}",
        "style": "{",
    },
    "json": {"()": "chatweb.logs.JsonFormatter"},
}

# At DEBUG these would write statements with their values, and what templates were filled with.
TOLD_WITH_WORDS = ("django.db.backends", "django.template")


def configured(level: str, form: str) -> dict[str, Any]:
    """Django's LOGGING: all to standard error. Raises ImproperlyConfigured."""
    if form not in FORMATTERS:
        raise ImproperlyConfigured(f"LOG_FORMAT={form!r} is neither line nor json.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {form: FORMATTERS[form]},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # One line per request would bury what matters; a proxy's access log is for those.
            "daphne": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            **{name: {"level": "INFO"} for name in TOLD_WITH_WORDS},
        },
    }


class LineFormatter(logging.Formatter):
    """Masks one-time links and quoted rows, in messages and tracebacks alike; a message is one
    line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 logging's name
        return CONTROL.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 logging's name
        """Indented, so that no line of it looks like a record of its own."""
        lines = super().formatException(ei).split("\n")
        return "\n".join("  " + CONTROL.sub(lambda c: ascii(c[0])[1:-1], line) for line in lines)

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class JsonFormatter(logging.Formatter):
    """One object a line, in ASCII: half a surrogate pair and a line separator pass as escapes.
    What is not known is left out."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
            "request_id": request_id.get(),
            "generation": generation.get(),
            "person": person.get()(),
            "traceback": masked(self._traceback(record)),
        }
        return json.dumps({name: value for name, value in told.items() if value})

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = [
            self.formatException(record.exc_info) if record.exc_info else record.exc_text or "",
            record.stack_info or "",
        ]
        return "\n".join(part for part in parts if part)


def masked(text: str) -> str:
    for secret in (LINK, KEY, ROW):
        text = secret.sub(r"\1…", text)
    return text
