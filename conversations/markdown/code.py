"""Code blocks: language label and highlighting by a handful of classes.

The copy button and the wrap switch are the page's: their words are translated, stored HTML is not.
"""

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

MAX_LINES = 500
MAX_CHARACTERS = 32_768
MAX_LINE = 2_000  # a minified file on one line is where a lexer's regular expressions get slow

# Lexers that models write and that were tried against hostile input; guessing is never used.
LANGUAGES = frozenset(
    """asm awk bash bat c c# c++ clj clojure cmake cpp cs csharp csh css dart diff docker dockerfile
    elixir elm erl erlang ex exs f# fish fortran fsharp gherkin go golang gradle graphql groovy
    haskell hcl hs html ini ipython java javascript jinja jl js json json5 jsonc jsonl jsx julia
    kotlin kt latex less lua make makefile markdown matlab md mysql nasm nginx nim nix objc
    objective-c ocaml octave pascal patch perl php pl plpgsql postgres postgresql powershell
    prolog properties proto protobuf ps1 psql pwsh py py3 python python3 pycon r rb rs ruby rust
    sass scala scheme scss sh shell sql sqlite3 svelte svg swift tcl terraform tex tf toml ts tsx
    typescript udiff v vb.net verilog vhdl vim vue xml yaml yml zig zsh""".split()  # noqa: SIM905 -- read as words
)
_SYNONYMS = {
    "jsonl": "json",
    "json5": "json",
    "jsonc": "json",
    "svg": "xml",
    "svelte": "html",
    "vue": "html",
    "golang": "go",
    "patch": "diff",
    "tex": "latex",
    "psql": "postgresql",
    "plpgsql": "postgresql",
    "tf": "terraform",
    "ipython": "python",
    "gradle": "groovy",
    "csh": "tcsh",
    "sqlite3": "sql",
    "prolog": "prolog",
}

# Pygments' token types, the most special first, and what a reader needs to tell apart:
# keyword, string, number, comment, function or class, type or built-in, attribute,
# inserted line, deleted line, heading of a diff or of console output.
_CLASS_OF = (
    ("Comment", "c"),
    ("Keyword.Type", "t"),
    ("Keyword.Constant", "n"),
    ("Keyword", "k"),
    ("Operator.Word", "k"),
    ("Literal.String.Doc", "c"),
    ("Literal.String", "s"),
    ("Literal.Number", "n"),
    ("Literal", "s"),
    ("Name.Function", "f"),
    ("Name.Class", "f"),
    ("Name.Decorator", "a"),
    ("Name.Attribute", "a"),
    ("Name.Builtin", "t"),
    ("Name.Exception", "t"),
    ("Name.Constant", "n"),
    ("Name.Tag", "k"),
    ("Generic.Inserted", "i"),
    ("Generic.Deleted", "d"),
    ("Generic.Heading", "h"),
    ("Generic.Subheading", "h"),
    ("Generic.Prompt", "h"),
    ("Generic.Traceback", "d"),
)
HIGHLIGHT_CLASSES = frozenset(name for _, name in _CLASS_OF)

_BLOCK = re.compile(r'<pre><code(?: class="language-([^"]*)")?>(.*?)</code></pre>', re.DOTALL)

_END = re.compile(r"</code></pre>(?:</li>|</ul>|</ol>|</blockquote>)*\Z")


def dress(markup: str, *, last_is_open: bool = False) -> str:
    """Give every code block its bar and its colours.

    `markup` comes from the Markdown library with all text escaped. With `last_is_open` the last
    block stays plain: it is still being written.
    """
    ends_in_code = last_is_open and _END.search(markup)
    last = markup.rfind("<pre><code") if ends_in_code else -1

    def block(match: re.Match[str]) -> str:
        label, code = "", match[2]
        if match[1]:
            language = html.unescape(match[1])
            label = f"<span>{html.escape(language[:40])}</span>"
            if match.start() != last:
                code = highlight(language.lower(), code)
        return (
            f'<div class="code"><div class="bar">{label}</div>'
            f'<pre tabindex="0"><code>{code}</code></pre></div>'
        )

    return _BLOCK.sub(block, markup)


@lru_cache(maxsize=128)
def highlight(language: str, escaped: str) -> str:
    """`escaped` with spans, or as it is: unknown language, too long, or a lexer that fails."""
    if language not in LANGUAGES or len(escaped) > MAX_CHARACTERS:
        return escaped
    lines = escaped.split("\n")
    if len(lines) > MAX_LINES + 1 or max(map(len, lines)) > MAX_LINE:
        return escaped
    code = html.unescape(escaped)
    pieces: list[str] = []
    known = 0
    run, run_class = "", ""
    try:
        for token, value in _lexer(_SYNONYMS.get(language, language)).get_tokens(code):
            known += len(value)
            name = _class_of(token)
            if name != run_class and run:
                pieces.append(_span(run, run_class))
                run = ""
            run += value
            run_class = name
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return escaped  # a lexer's own error: the code matters more than its colours
    pieces.append(_span(run, run_class))
    coloured = "".join(pieces)
    # A lexer that drops or rewrites a character would change what people copy.
    if known != len(code) or html.unescape(re.sub(r"<[^>]*>", "", coloured)) != code:
        return escaped
    return coloured


def _span(text: str, name: str) -> str:
    escaped = html.escape(text)
    return f'<span class="{name}">{escaped}</span>' if name and not text.isspace() else escaped


@lru_cache(maxsize=64)
def _lexer(language: str) -> "Lexer":
    # Pygments costs 20 ms to import: only who shows code pays.
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


@lru_cache(maxsize=512)
def _class_of(token: "_TokenType") -> str:
    name = str(token).removeprefix("Token.") + "."
    return next((short for known, short in _CLASS_OF if name.startswith(known + ".")), "")
