"""How a line of the log looks, and what it never holds."""

import logging
import re

# Whoever has the address of an unused link can sign in with it.
LINK = re.compile(r"(/link/)[\w-]+")


class LineFormatter(logging.Formatter):
    """Masks one-time links, in messages and tracebacks alike."""

    def format(self, record: logging.LogRecord) -> str:
        return LINK.sub(r"\1…", super().format(record))
