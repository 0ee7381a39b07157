"""Inputs that would stall the parser or the sanitiser are shown as plain text instead.

The limits are far above what people and models write; each names the input that it stops. Only the
length is a setting: the others hold for the parser that was measured.
"""

import re

from django.conf import settings

MAX_TABLE = 50_000  # most bars in a line x lines with a bar: comrak pads short rows to full width
MAX_FOOTNOTES = 500
MAX_NESTING = 64  # containers opened by one line
MAX_INDENT = 200  # characters before a marker: nesting over many lines
MAX_AT = 1_000  # `@` in one paragraph: comrak recurses once per address and overflows the stack
MAX_FORMULAS = 4_000  # comrak looks for the end of each to the end of the text
MAX_STARS = 20_000  # emphasis marks of one kind
MAX_DEPTH = 100  # nested inline elements

_SIGNS = ("*", "_", "~")
_PAIRS = {"[^": MAX_FOOTNOTES, "\\(": MAX_FORMULAS, "\\[": MAX_FORMULAS}
_INDENTED = re.compile(rf"[ \t>]{{{MAX_INDENT},}}(?:[-+*>]|\d{{1,9}}[.)])(?:[ \t]|\Z)")
_MARKERS = re.compile(r"(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t])))+")
_HEAD = 4_096
_MARKER = re.compile(r">|[-+*]|\d+[.)]")
_INLINE = re.compile(r"<(/?)(?:em|strong|del|a)\b")


class Guard:
    """Watches a growing text; the verdict at its end is the same however it was cut."""

    def __init__(self) -> None:
        self.tripped = False
        self._length = 0
        self._head = ""  # the start of the last line, where its containers open
        self._bars = 0  # in the last line
        self._most_bars = 0
        self._lines_with_bars = 0
        self._addresses = 0  # since the last empty line
        self._signs = dict.fromkeys(_SIGNS, 0)
        self._pairs = dict.fromkeys(_PAIRS, 0)
        self._last = ""  # the first half of a pair that a cut has parted

    def feed(self, text: str) -> bool:
        """True from the moment when the text so far is one to show plain."""
        self._length += len(text)
        self._count(text)
        first, *more = text.split("\n")
        self._extend(first)
        for line in more:
            if not self._head.strip():
                self._addresses = 0
            self._head, self._bars = "", 0
            self._extend(line)
        self.tripped = self.tripped or self._length > settings.MARKDOWN_MAX_CHARS
        return self.tripped

    def _count(self, text: str) -> None:
        for sign in _SIGNS:
            self._signs[sign] += text.count(sign)
        joined = self._last + text
        self._last = joined[-1:]
        for pair, most in _PAIRS.items():
            self._pairs[pair] += joined.count(pair)
            self.tripped = self.tripped or self._pairs[pair] > most
        self.tripped = self.tripped or max(self._signs.values()) > MAX_STARS

    def _extend(self, piece: str) -> None:
        bars = piece.count("|")
        if bars:
            self._lines_with_bars += not self._bars
            self._bars += bars
            self._most_bars = max(self._most_bars, self._bars)
        self._addresses += piece.count("@")
        if len(self._head) < _HEAD:
            self._head += piece[:_HEAD]
        if (
            self._most_bars * self._lines_with_bars > MAX_TABLE
            or (len(self._head) >= MAX_NESTING and _opens_too_much(self._head))
            or self._addresses > MAX_AT
        ):
            self.tripped = True


def _opens_too_much(line: str) -> bool:
    if _INDENTED.match(line):
        return True
    match = _MARKERS.match(line)
    return match is not None and len(_MARKER.findall(match[0])) >= MAX_NESTING


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
