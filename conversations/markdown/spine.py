"""Where a growing page may change: places down the right edge of its tree, and patches there.

Everything left of a place stays as it is, so a selection there survives. Places count child
elements, and text in UTF-16 units after the last of them, so it does not matter how a browser
has split its text nodes, nor whether the page was built by patches or at once.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Attribute values may hold ">"; a formula is one piece, never entered.
_PIECE = re.compile(
    r"<math.*?</math>|<(/?)([a-z0-9]+)(?:[^>\"]|\"[^\"]*\")*>|[^<]+",
    re.DOTALL,
)
_VOID = frozenset({"br", "hr"})
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Patch:
    """Cut at a place, then add HTML there and at the levels above it.

    `path`: how many child elements stay at each level, from the root down; each level but the
    last is entered through the last child that stays. `text`: UTF-16 units that stay of the text
    after those children at the last level. `html`: what to add, innermost level first.
    """

    path: tuple[int, ...]
    text: int
    html: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"p": self.path, "t": self.text, "h": self.html}

    @property
    def size(self) -> int:
        """Bytes of HTML."""
        return sum(len(part.encode()) for part in self.html)


class Place:
    """A position in a tree, as the number of children and units of text before it per level."""

    __slots__ = ("children", "text")

    def __init__(self, children: list[int] | None = None, text: list[int] | None = None) -> None:
        self.children = children or [0]
        self.text = text or [0]

    def copy(self) -> "Place":
        return Place(self.children.copy(), self.text.copy())

    def advance(self, markup: str, start: int, limit: int) -> int:
        """Walk `markup` from `start`; stop at `limit` or before what it would cut in two."""
        children, text = self.children, self.text
        position = start
        while position < limit:
            match = _PIECE.match(markup, position)
            if match is None:
                break
            end = match.end()
            name = match[2]
            if name is None and markup[position] != "<":
                stop = end if end <= limit else _before_entity(markup, position, limit)
                text[-1] += units(markup[position:stop])
                if stop < end:
                    return stop
            elif end > limit:
                break
            elif name is None or name in _VOID:
                children[-1] += 1
                text[-1] = 0
            elif match[1]:
                children.pop()
                text.pop()
            else:
                children[-1] += 1
                text[-1] = 0
                children.append(0)
                text.append(0)
            position = end
        return position


def difference(place: Place, old: str, new: str) -> Patch | None:
    """The patch that turns `old` into `new`, both starting at `place`."""
    if old == new:
        return None
    place = place.copy()
    cut = place.advance(new, 0, common_prefix(old, new))
    return Patch(tuple(place.children), place.text[-1], _by_level(new, cut))


def _by_level(markup: str, start: int) -> tuple[str, ...]:
    """What follows `start`, one string for each level that it climbs out of."""
    parts: list[str] = []
    depth = 0
    for match in _PIECE.finditer(markup, start):
        name = match[2]
        if name is None or name in _VOID:
            continue
        if not match[1]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            parts.append(markup[start : match.start()])
            start = match.end()
    parts.append(markup[start:])
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def common_suffix(old: str, new: str) -> int:
    return _longest(min(len(old), len(new)), lambda n: old[len(old) - n :] == new[len(new) - n :])


def common_prefix(old: str, new: str) -> int:
    limit = min(len(old), len(new))
    return limit if old[:limit] == new[:limit] else _longest(limit, lambda n: old[:n] == new[:n])


def _longest(limit: int, holds: Callable[[int], bool]) -> int:
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _before_entity(markup: str, start: int, limit: int) -> int:
    ampersand = markup.rfind("&", start, limit)
    if ampersand >= 0 and markup.find(";", ampersand, limit) < 0:
        return ampersand
    return limit


def units(escaped: str) -> int:
    """UTF-16 units of escaped text, as a browser counts them."""
    text = html.unescape(escaped) if "&" in escaped else escaped
    return len(text) if text.isascii() else len(text) + len(_ASTRAL.findall(text))
