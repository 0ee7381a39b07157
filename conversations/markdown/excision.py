"""What may be taken out of a live source: the closed parts along its right edge.

Candidates are only guesses from the parser's own line numbers; `position` says whether a guess
took one run out of the HTML and left the rest as it was, and where.
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from conversations.markdown.spine import common_prefix, common_suffix
from conversations.markdown.whole import to_markup

MAX_DEFINITIONS = 8_192  # characters of link definitions carried along
LONG_CODE = 6  # lines
LONG_PARAGRAPH = 600  # characters
KEPT_OF_PARAGRAPH = 160


class Kind(enum.Enum):
    TOP = enum.auto()  # whole blocks at the top level
    BLOCK = enum.auto()  # items, rows, blocks inside a container
    CODE = enum.auto()  # lines of a fence
    TEXT = enum.auto()  # the beginning of a paragraph


@dataclass(frozen=True, slots=True)
class Candidate:
    source: str
    kind: Kind
    definitions: str = ""  # link definitions that the source starts with


@dataclass(slots=True)
class _Block:
    tag: str
    first: int = 0  # lines, from 1
    last: int = 0
    tells: bool = True  # an item whose own words show whether its list is tight or loose
    children: list["_Block"] = field(default_factory=list)


_BLOCK_TAG = re.compile(
    r"<(/?)(ul|ol|li|p|pre|h[1-6]|hr|blockquote|table|thead|tbody|tr|section)\b"
    r'(?: data-sourcepos="(\d+):\d+-(\d+):(\d+)")?[^>]*>'
    r"(?=(<(?:ul|ol|pre|h[1-6]|hr|blockquote|div|table|/li)\b)?)"
)
_BLOCK_START = re.compile(r"<(?:ul|ol|li|p|pre|h[1-6]|hr|blockquote|div|tr|tbody)\b")
_PIECE = re.compile(r"<(?:[^>\"]|\"[^\"]*\")*>|[^<]+")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]^\n][^\]\n]*\]:[ \t]*\S.*$", re.MULTILINE)
_SETTLED_LAST_LINE = re.compile(r"\n[ \t]*\n[^\n]*\Z")
_OPENING = re.compile(r"[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(?:\[[ xX]\] )?")
_SAFE_SPACE = re.compile(r"(?<=[\w.,;]) (?=[A-Za-z])")
_UNMATCHED = re.compile(r"[*_~`$\[\]]|&lt;")
_CODE_OR_TAG = re.compile(r"<code>.*?</code>|<math.*?</math>|<[^>]*>", re.DOTALL)


def candidates(source: str) -> Iterator[Candidate]:
    """Shorter sources, the one that takes out most first."""
    settled = source
    if not source.endswith("\n") and not _SETTLED_LAST_LINE.search(source):
        settled = source[: source.rfind("\n") + 1]
    starts = [0, *(match.end() for match in re.finditer("\n", source)), len(source)]
    markup = to_markup(settled, with_positions=True)
    top = _outline(markup)
    if len(top.children) > 1:
        end = starts[min(top.children[-2].last, len(starts) - 1)]
        kept = definitions(source[:end])
        if len(kept) < MAX_DEFINITIONS:
            yield Candidate(kept + source[end:], Kind.TOP, kept)
    yield from _without_inner_blocks(source, starts, top)
    if not markup.endswith(">"):
        yield from _without_lines(source, starts, top.children[-1].last if top.children else 0)
    yield from _shorter_paragraphs(source)


def _without_inner_blocks(source: str, starts: list[int], top: _Block) -> Iterator[Candidate]:
    block = top
    while block.children:
        block = block.children[-1]
        if len(block.children) > 2 and block.tells:
            end = starts[block.children[-2].last]
            # Two witnesses may show a blank line between items where one does not.
            for witness in [child for child in block.children[:4] if child.tells][:2]:
                start = starts[witness.last]
                if start < end:
                    yield Candidate(source[:start] + source[end:], Kind.BLOCK)
    if block.tag == "pre":
        yield from _without_lines(source, starts, block.first)


def _without_lines(source: str, starts: list[int], first: int) -> Iterator[Candidate]:
    """Without the middle of the code, or raw HTML, that starts at a line and ends the source."""
    if len(starts) - first > LONG_CODE:
        yield Candidate(source[: starts[first + 1]] + source[starts[-4] :], Kind.CODE)


def definitions(source: str) -> str:
    """The link definitions among these lines, as a source of their own."""
    found = [match[0].strip() for match in _DEFINITION.finditer(source)]
    return "\n".join(dict.fromkeys(found)) + "\n\n" if found else ""


def position(shorter: str, markup: str, kind: Kind) -> int:
    """Where in `shorter` one run of `markup` is missing; -1 if they differ in any other way."""
    high = common_prefix(markup, shorter)
    low = len(shorter) - common_suffix(markup, shorter)
    if low > high or len(shorter) >= len(markup):
        return -1
    if kind is Kind.TOP:
        return 0 if low == 0 else -1
    if kind is Kind.BLOCK:
        found = [match.start() for match in _BLOCK_START.finditer(shorter, low, high + 8)]
        return max((start for start in found if start <= high), default=-1)
    at = _boundary(shorter, low)
    if at > high or (kind is Kind.TEXT and not _is_settled(shorter, markup, at)):
        return -1
    return at


def _boundary(markup: str, low: int) -> int:
    """The first position from `low` on that is in no tag and in no entity."""
    for piece in _PIECE.finditer(markup):
        if piece.end() < low:
            continue
        if piece[0][0] == "<":
            return piece.end() if low > piece.start() else low
        ampersand = markup.rfind("&", piece.start(), low)
        if ampersand >= 0 and markup.find(";", ampersand, low) < 0:
            return markup.find(";", ampersand) + 1
        return low
    return low


def _is_settled(shorter: str, markup: str, at: int) -> bool:
    """No bracket, star or backtick in what goes that a later one could still close."""
    gone = markup[at : at + len(markup) - len(shorter)]
    return not _UNMATCHED.search(_CODE_OR_TAG.sub("", gone))


def _shorter_paragraphs(source: str) -> Iterator[Candidate]:
    begin = source.rfind("\n\n") + 2 if "\n\n" in source else 0
    opening = _OPENING.match(source, begin)
    start = opening.end() if opening else begin
    if len(source) - start < LONG_PARAGRAPH:
        return
    limit = len(source) - KEPT_OF_PARAGRAPH
    spaces = [match.end() for match in _SAFE_SPACE.finditer(source, start, limit)]
    for end in spaces[:-4:-1]:
        gone = source[start:end]
        if "\\" not in gone:
            yield Candidate(source[:start] + source[end:], Kind.TEXT)


def _outline(markup: str) -> _Block:
    """The block structure with line numbers, from the Markdown library's output."""
    top = _Block("")
    stack = [top]
    for closing, tag, first, last, column, wordless in _BLOCK_TAG.findall(markup):
        if closing:
            done = stack.pop()
            if not done.first and done.children:
                done.first, done.last = done.children[0].first, done.children[-1].last
            continue
        # An end at column 0 is the end of the line before.
        end = int(last or 0) - (column == "0")
        block = _Block(tag, int(first or 0), end, tells=tag != "li" or not wordless)
        stack[-1].children.append(block)
        if tag != "hr":
            stack.append(block)
    return top
