"""A growing answer: what to change in the page after each piece, in linear time and bytes.

The renderer is run over a *source* that stands for the whole text: what is closed has been taken
out of it, but the opening lines of the containers that are still open (list, quote, table, fence)
stay, with one closed item as a witness. Taking out is accepted only if it takes one run out of the
HTML and changes nothing else. The HTML up to that point, the head, must come out the same ever
after; if it does not (a list that turns loose re-wraps its items, a paragraph becomes a heading),
the open block is rendered from its start once more. So nothing here knows
Markdown's block rules by heart.

Texts that nothing can be taken out of are redrawn less often as they grow: the characters rendered
and the bytes sent stay within a constant times the text's.
"""

import html
import re
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from conversations.markdown import excision
from conversations.markdown.guards import Guard
from conversations.markdown.spine import Patch, Place, difference, units
from conversations.markdown.whole import normalise, pipeline, plain, render

WORK_FACTOR = 64  # characters rendered at most: so many per character of text,
WORK_PER_FEED = 8_192  # so many per call: an answer up to that length never waits,
WORK_FLOOR = 32_768  # and these to begin with
BYTES_FACTOR = 2.0  # bytes of HTML sent at most: so many per byte of the answer's HTML,
BYTES_PER_FEED = 48  # per call
BYTES_FLOOR = 16_384  # and to begin with
FIRST_EXCISION = 384  # characters of source
REFERENCE_REACH = 1_000  # characters back from the end where a definition may still be growing

# A line of these alone may yet become a rule, a heading's underline, a list item, a fence or a
# table's delimiter row: shown too early it would turn the paragraph above into a heading and back.
_UNDECIDED = re.compile(r"[-+*=_#~`|:>.)\d \t]{1,80}")
_REFERENCE = re.compile(r"^[ \t>]*(?:(?:[-+*]|\d+[.)])[ \t]+)*\[(\^?)[^\]\n]*\]:", re.MULTILINE)
_CLOSING_FENCE = re.compile(r"[ \t>]*(?:`{3,}|~{3,})[ \t]*")


@dataclass(slots=True)
class _Cut:
    """A source that stands for the whole text, and how what it renders to fits what was sent."""

    source: str = ""
    done: str = ""  # HTML of what the source no longer holds, tags left open
    head: str = ""  # what the source renders to in its place
    tail: str = ""  # what the source renders to after it: html() == done + tail
    place: Place = field(default_factory=Place)  # where the tail starts
    in_code: bool = False


class LiveMarkdown:
    """One per growing answer; not thread-safe.

    `shown` is the part of the text that viewers may see: all but an unfinished last line that has
    only marker characters so far. `work` counts the characters rendered.
    """

    def __init__(self, text: str = "") -> None:
        self.work = 0
        self._pieces: list[str] = []
        self._shown: list[str] = []
        self._held = ""
        self._line_is_decided = False
        self._guard = Guard()
        self._plain: list[str] = []
        self._plain_units = 0
        self._length = 0
        self._feeds = 0
        self._sent = 0
        self._cut = _Cut()
        self._anchor = _Cut()  # at the top level: the way back when a head changes
        self._anchor_at = 0
        self._definitions = ""
        self._has_footnotes = False
        self._is_stale = False  # a definition came whose whole redraw had to wait
        self._excise_at = FIRST_EXCISION
        if text:
            self.feed(text)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    def feed(self, text: str) -> Patch | None:
        """What changed for the viewers since the last call, or None."""
        self._pieces.append(text)
        self._feeds += 1
        arrived = self._release(text)
        if not arrived:
            return None
        self._shown.append(arrived)
        self._length += len(arrived)
        if self._guard.feed(arrived):
            return self._feed_plain(arrived)
        self._cut.source += arrived
        if not self._may_render(len(self._cut.source)):
            return None
        self._is_stale = self._is_stale or self._changes_what_was_sent(len(arrived))
        if self._is_stale:
            self._definitions, self._anchor, self._anchor_at = "", _Cut(), 0
            return self._redraw_from_anchor()
        return self._redraw()

    def html(self) -> str:
        """The keyframe: what a viewer has who applied every patch."""
        if self._plain:
            return f"{self._plain[0]}{''.join(self._plain[1:])}</pre>"
        return self._cut.done + self._cut.tail

    def finish(self) -> SafeString:
        """The whole text rendered, the same as `render(text)`."""
        return render(self.text)

    def _release(self, text: str) -> str:
        """Line ends made equal, and held back what is not yet decided."""
        text = self._held + text
        kept = len(text) - text.endswith("\r")
        line = max(text.rfind("\n", 0, kept), text.rfind("\r", 0, kept)) + 1
        starts_line = line > 0 or not self._line_is_decided
        if starts_line and _UNDECIDED.fullmatch(text, line, kept):
            kept = line
        self._held = text[kept:]
        if kept > 0:
            self._line_is_decided = text[kept - 1] not in "\r\n"
        return normalise(text[:kept])

    def _feed_plain(self, arrived: str) -> Patch:
        if self._plain:
            part = html.escape(arrived, quote=False)
            patch = Patch((1, 0), self._plain_units, (part,))
            self._plain.append(part)
            self._plain_units += units(arrived)
            return patch
        whole = plain(self.shown)
        self._plain = [whole.removesuffix("</pre>")]
        self._plain_units = units(self.shown)
        self._guard.tripped = True
        return Patch((0,), 0, (whole,))

    def _may_render(self, characters: int) -> bool:
        allowed = WORK_FACTOR * self._length + WORK_PER_FEED * self._feeds + WORK_FLOOR
        return self.work + characters <= allowed

    def _changes_what_was_sent(self, arrived: int) -> bool:
        """A definition gives a meaning to brackets anywhere in the text."""
        source = self._cut.source
        reach = source[max(0, len(source) - arrived - REFERENCE_REACH) :]
        if "]:" not in reach:
            return False
        found = list(_REFERENCE.finditer(reach))
        self._has_footnotes = self._has_footnotes or any(match[1] for match in found)
        return bool(found) and bool(self._anchor_at or self._cut.head)

    def _redraw(self) -> Patch | None:
        cut = self._cut
        markup = self._render(cut.source)
        if markup is None:
            return self._feed_plain("")
        back = not markup.startswith(cut.head) or (cut.in_code and not _code_is_open(cut.source))
        if back:
            return self._redraw_from_anchor()
        tail = markup[len(cut.head) :]
        patch = difference(cut.place, cut.tail, tail)
        if self._may_send(patch, len(cut.done) + len(tail)):
            cut.tail = tail
            self._excise(markup)
            return patch
        return None

    def _redraw_from_anchor(self) -> Patch | None:
        anchor = self._anchor
        source = self._definitions + self.shown[self._anchor_at :]
        if not self._may_render(len(source)):
            return None
        markup = self._render(source)
        if markup is None:
            return self._feed_plain("")
        old = self.html()[len(anchor.done) :]
        patch = difference(anchor.place, old, markup)
        if self._may_send(patch, len(anchor.done) + len(markup)):
            self._cut = _Cut(source, anchor.done, "", markup, anchor.place)
            self._is_stale = False
            self._excise_at = FIRST_EXCISION
            self._excise(markup)
            return patch
        return None

    def _render(self, source: str) -> str | None:
        self.work += len(source)
        return pipeline(source, last_code_is_open=_code_is_open(source))

    def _may_send(self, patch: Patch | None, size: int) -> bool:
        """Whether the bytes sent keep in step with the answer; if not, a later patch brings it."""
        if patch is None:
            return True
        allowed = BYTES_FACTOR * size + BYTES_PER_FEED * self._feeds + BYTES_FLOOR
        if self._sent + patch.size > allowed:
            return False
        self._sent += patch.size
        return True

    def _excise(self, markup: str) -> None:
        """Take closed parts out of the source while that makes it smaller."""
        if self._has_footnotes or len(self._cut.source) < self._excise_at:
            return
        self.work += len(self._cut.source)
        for candidate in excision.candidates(self._cut.source):
            if not self._may_render(len(candidate.source)):
                break
            shorter = self._render(candidate.source)
            if shorter is not None and self._accept(candidate, shorter, markup):
                break
        self._excise_at = max(FIRST_EXCISION, 2 * len(self._cut.source))

    def _accept(self, candidate: excision.Candidate, shorter: str, markup: str) -> bool:
        cut, kind, source = self._cut, candidate.kind, candidate.source
        at = excision.position(shorter, markup, kind)
        gone = len(markup) - len(shorter)
        start = at + gone - len(cut.head)  # of the new tail, in the old one
        if at < 0 or start < 0:
            return False
        place = cut.place.copy()
        if place.advance(cut.tail, 0, start) != start:
            return False
        since = source[len(candidate.definitions) :]
        if kind is excision.Kind.TOP and not self.shown.endswith(since):
            return False  # something was taken out of the open block before
        in_code = kind is excision.Kind.CODE or (cut.in_code and kind is not excision.Kind.TOP)
        done = cut.done + cut.tail[:start]
        self._cut = _Cut(source, done, shorter[:at], shorter[at:], place, in_code)
        if kind is excision.Kind.TOP:
            self._anchor = _Cut("", done, "", "", place)
            self._definitions = candidate.definitions
            self._anchor_at = self._length - len(since)
        return True


def _code_is_open(source: str) -> bool:
    """Whether a code block that ends the source may still grow."""
    last = source.rstrip()
    return not _CLOSING_FENCE.fullmatch(last, last.rfind("\n") + 1)
