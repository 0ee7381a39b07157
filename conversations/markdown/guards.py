"""Inputs that would stall the parser or the sanitiser are shown as plain text instead.

The limits are far above what people and models write; each names the input that it stops.
"""

import re

MAX_CHARACTERS = 200_000
MAX_TABLE = 50_000  # most bars in a line x lines with a bar: comrak pads short rows to full width
MAX_FOOTNOTES = 500
MAX_NESTING = 64  # containers opened by one line
MAX_INDENT = 400  # nested lists: the sanitiser is quadratic in depth
MAX_DEPTH = 100  # nested inline elements

_MARKERS = re.compile(r"(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t])))+")
_MARKER = re.compile(r">|[-+*]|\d+[.)]")
_RULE = re.compile(r"[ \t]*([-*])(?:[ \t]*\1)*[ \t]*$")
_INLINE = re.compile(r"<(/?)(?:em|strong|del|a)\b")


class Guard:
    """Watches a growing text; the verdict at its end is the same however it was cut."""

    def __init__(self) -> None:
        self.tripped = False
        self._length = 0
        self._line = ""
        self._bars = 0
        self._lines_with_bars = 0
        self._footnotes = 0

    def feed(self, text: str) -> bool:
        """True as soon as the text so far is one to show plain."""
        self._length += len(text)
        if self.tripped or self._length > MAX_CHARACTERS:
            self.tripped = True
            return True
        *finished, rest = text.split("\n")
        for line in finished:
            self._finish(self._line + line)
            self._line = ""
        self._line += rest
        self.tripped = self.tripped or self._length_of_last() or self._is_too_deep(self._line)
        return self.tripped

    def _length_of_last(self) -> bool:
        bars = self._line.count("|") if len(self._line) < MAX_TABLE else 0
        return max(self._bars, bars) * (self._lines_with_bars + bool(bars)) > MAX_TABLE

    def _finish(self, line: str) -> None:
        bars = line.count("|")
        self._bars = max(self._bars, bars)
        self._lines_with_bars += bool(bars)
        self._footnotes += line.count("[^")
        self.tripped = (
            self.tripped
            or self._bars * self._lines_with_bars > MAX_TABLE
            or self._footnotes > MAX_FOOTNOTES
            or self._is_too_deep(line)
        )

    @staticmethod
    def _is_too_deep(line: str) -> bool:
        if len(line) < MAX_NESTING:
            return False
        match = _MARKERS.match(line)
        if match and len(_MARKER.findall(match[0])) >= MAX_NESTING and not _RULE.match(line):
            return True
        return False


def is_too_deep(markup: str) -> bool:
    """Inline elements nested beyond reason, in the Markdown library's output."""
    if markup.count("<em") + markup.count("<strong") + markup.count("<del") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _INLINE.finditer(markup):
        depth += -1 if match[1] else 1
        if depth > MAX_DEPTH:
            return True
    return False
