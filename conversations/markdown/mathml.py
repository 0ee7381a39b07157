"""TeX to MathML. Runs after the sanitiser, so it checks what the converter wrote by itself."""

import html
import re
import secrets
from functools import lru_cache

from math_core import LatexError, LatexToMathML

MAX_CHARACTERS = 4_000
MAX_FORMULAS = 1_000  # in one text; the rest is shown as TeX

_converter = LatexToMathML(fancy_error=False, max_expansions=200)

_ELEMENTS = frozenset(
    """math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot
    mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none
    semantics""".split()  # noqa: SIM905 -- a list of words
)
_ATTRIBUTES = frozenset(
    """accent accentunder columnalign columnspan depth dir display displaystyle fence form height
    largeop linethickness lspace mathvariant maxsize minsize movablelimits rowspan rspace
    scriptlevel separator stretchy symmetric voffset width""".split()  # noqa: SIM905 -- a list of words
)
# The CSP forbids inline styles: what matters becomes a class, colours and the rest are dropped.
_CLASS_OF_STYLE = (
    (re.compile(r"text-align: ?left"), "m-left"),
    (re.compile(r"text-align: ?right"), "m-right"),
    (re.compile(r"border-left: ?0\.05em solid"), "m-bl"),
    (re.compile(r"border-right: ?0\.05em solid"), "m-br"),
    (re.compile(r"border-top: ?0\.05em solid"), "m-bt"),
    (re.compile(r"border-bottom: ?0\.05em solid"), "m-bb"),
    (re.compile(r"(?<![-\w])width: ?100%"), "m-wide"),
    (re.compile(r"(?<![-\w])width: ?50%"), "m-half"),
)
MATH_CLASSES = frozenset(name for _, name in _CLASS_OF_STYLE)

_FORMULA = re.compile(r'<span data-math-style="(inline|display)">(.*?)</span>', re.DOTALL)
_MARKER = re.compile(r"m([0-9a-f]{24})x(\d+);")
_TOKEN = re.compile(r"<(/?)([a-z]+)((?: [a-z-]+=\"[^\"<>]*\")*) ?(/?)>|[^<>]+")
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')


class Formulas:
    """The formulas of one text, taken out before the sanitiser and put back after it."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._token = ""

    def take_out(self, markup: str) -> str:
        if "<span data-math-style=" not in markup:
            return markup
        self._token = secrets.token_hex(12)
        return _FORMULA.sub(self._marker, markup)

    def put_in(self, markup: str) -> str:
        if not self._found:
            return markup
        return _MARKER.sub(self._formula, markup)

    def _formula(self, match: re.Match[str]) -> str:
        return self._found[int(match[2])] if match[1] == self._token else match[0]

    def _marker(self, match: re.Match[str]) -> str:
        escaped = match[2]
        mathml = ""
        if len(self._found) < MAX_FORMULAS:
            mathml = convert(html.unescape(escaped), match[1] == "display")
        if not mathml:
            return f"<code>{escaped}</code>"
        self._found.append(mathml)
        return f"m{self._token}x{len(self._found) - 1};"


@lru_cache(maxsize=1024)
def convert(tex: str, display: bool) -> str:
    """MathML, or "" for what the converter refuses or what leaves the allow-list."""
    if len(tex) > MAX_CHARACTERS:
        return ""
    try:
        return _checked(_converter.convert_with_local_state(tex, displaystyle=display))
    except LatexError:
        return ""


def _checked(mathml: str) -> str:
    pieces: list[str] = []
    end = 0
    for match in _TOKEN.finditer(mathml):
        if match.start() != end:
            return ""
        end = match.end()
        if match[2] is None:
            pieces.append(match[0])
        elif match[2] not in _ELEMENTS:
            return ""
        else:
            pieces.append(f"<{match[1]}{match[2]}{_attributes(match[3])}{match[4]}>")
    return "".join(pieces) if end == len(mathml) and mathml.startswith("<math") else ""


def _attributes(source: str) -> str:
    kept: list[str] = []
    for name, value in _ATTRIBUTE.findall(source):
        if name in _ATTRIBUTES:
            kept.append(f' {name}="{value}"')
        elif name == "style":
            classes = [short for pattern, short in _CLASS_OF_STYLE if pattern.search(value)]
            if classes:
                kept.append(f' class="{" ".join(classes)}"')
    return "".join(kept)
