"""People who are called by name, `@Rita Moss`: marked in sanitised HTML, and found there again."""

import html
import re
from collections.abc import Collection, Iterator

_TAG = re.compile(r"(<[^>]*>)")
# What stands in code is no call to anybody; a link says where it leads and nothing else.
_QUIET = re.compile(r"<(/?)(?:code|pre|a)\b")
_MARKED = re.compile(r'<span class="mention">@([^<]*)</span>')


def mark(sanitised: str, names: Collection[str]) -> str:
    """Wraps each call of one of `names`, in whatever case, in a span of our own making. The text
    inside stays as the sanitiser left it. Longer names go before those that they begin with."""
    if "@" not in sanitised or not names:
        return sanitised
    longest_first = sorted({_escaped(name) for name in names}, key=len, reverse=True)
    # Not within a word, an address or a path: `rita@example.com`, `@types/node`.
    call = re.compile(
        rf"(?<![\w@./+-])@({'|'.join(map(re.escape, longest_first))})(?![\w@/-])", re.IGNORECASE
    )
    return "".join(_marked(sanitised, call))


def _marked(sanitised: str, call: re.Pattern[str]) -> Iterator[str]:
    quiet = 0
    for piece in _TAG.split(sanitised):
        if tag := _QUIET.match(piece):
            quiet += -1 if tag[1] else 1
        is_call = not quiet and "@" in piece and not piece.startswith("<")
        yield call.sub(r'<span class="mention">@\1</span>', piece) if is_call else piece


def mentioned(rendered: str) -> list[str]:
    """The names that `mark` found, as they are written there, each once and in order."""
    return list(dict.fromkeys(html.unescape(name) for name in _MARKED.findall(rendered)))


def _escaped(name: str) -> str:
    """As the sanitiser writes text."""
    return html.escape(name, quote=False)
