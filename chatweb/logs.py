"""How a line of the log looks, and what it never holds."""

import logging
import re
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

# Whoever has the address of an unused link can sign in with it.
LINK = re.compile(r"(/link/)[\w-]+")

# What could end a line or move a terminal's cursor: upstreams and people choose parts of messages.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configured(level: str) -> dict[str, Any]:
    """Django's LOGGING: all to standard error."""
    line = {
        "()": "chatweb.logs.LineFormatter",
        "format": "{asctime} {levelname:7} {name} {message}",
        "style": "{",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        # One line per request would bury what matters; a proxy's access log is for those.
        "loggers": {"daphne": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
    }


class LineFormatter(logging.Formatter):
    """Masks one-time links, in messages and tracebacks alike; a message is one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 logging's name
        return CONTROL.sub(lambda found: ascii(found[0])[1:-1], super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return LINK.sub(r"\1…", super().format(record))


def to_stderr(level: str) -> dict[str, Any]:
    """For Django's LOGGING."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "chatweb.logs.LineFormatter",
                "format": "{asctime} {levelname:7} {name} {message}",
                "style": "{",
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        # One line per request would bury what matters; a proxy's access log is the place for those.
        "loggers": {"daphne": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
    }
