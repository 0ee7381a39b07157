"""A whole text: guards, Markdown, dressing, sanitiser, formulas."""

import html
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

import comrak
import nh3
from django.utils.safestring import SafeString, mark_safe

from conversations.markdown import code, mentions
from conversations.markdown.guards import Guard, is_too_deep
from conversations.markdown.mathml import Formulas

RENDERER_VERSION: Final = 1
"""Stored beside cached HTML; raise it whenever the output for any text changes."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_RULE_TAGS = r"</(?:p|ul|ol|pre|table|h[1-6]|blockquote)>|<hr />|<blockquote>"
_RAW_HTML = re.compile(rf"(^|{_RULE_TAGS})( {{0,3}}&lt;[^<]*)")
_LINK = re.compile(r'<a href="([^"]*)"(?: title="([^"]*)")?>(.*?)</a>', re.DOTALL)
_IMAGE = re.compile(r'<img src="([^"]*)" alt="([^"]*)"(?: title="[^"]*")? />')
_TAG = re.compile(r"<[^>]*>")
_FOOTNOTE = re.compile(
    r'<sup class="footnote-ref"><a [^>]*>(\d+)</a></sup>|'
    r' ?<a [^>]* class="footnote-backref"[^>]*>.*?</a>'
)
_WEB = re.compile(r"https?://([^/?#\\]+)", re.IGNORECASE)

_HOST = re.compile(r"[a-z0-9._-]+(?::\d{1,5})?|\[[0-9a-f:.]+\](?::\d{1,5})?")


def _extensions() -> comrak.ExtensionOptions:
    extensions = comrak.ExtensionOptions()
    extensions.autolink = True
    extensions.table = True
    extensions.strikethrough = True
    extensions.tasklist = True
    extensions.footnotes = True
    extensions.math_dollars = True
    extensions.math_latex = True
    return extensions


def _output(*, with_positions: bool) -> comrak.RenderOptions:
    output = comrak.RenderOptions()
    output.escape = True
    output.compact_html = True
    output.sourcepos = with_positions
    return output


_EXTENSIONS = _extensions()
_PARSING = comrak.ParseOptions()
_OUTPUT = _output(with_positions=False)
_OUTPUT_WITH_POSITIONS = _output(with_positions=True)

_cleaner = nh3.Cleaner(
    tags=set(
        """a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre section span strong sup
    table tbody td th thead tr ul""".split()  # noqa: SIM905 -- a list of words
    ),
    # Nothing is dropped with its content: what is not allowed loses its tag and keeps its words.
    clean_content_tags=set(),
    attributes={
        "a": {"href", "title", "data-host"},
        "ol": {"start"},
    },
    tag_attribute_values={
        "div": {"tabindex": {"0"}},
        "pre": {"tabindex": {"0"}},
        "td": {"align": {"left", "center", "right"}},
        "th": {"align": {"left", "center", "right"}},
    },
    set_tag_attribute_values={"a": {"target": "_blank"}},
    allowed_classes={
        "a": {"image"},
        "code": {"tex"},
        "div": {"code", "bar", "scroll"},
        "pre": {"plain"},
        "section": {"footnotes"},
        "span": set(code.HIGHLIGHT_CLASSES) | {"task"},
    },
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)


def render(text: str, *, names: Collection[str] = ()) -> SafeString:
    """Safe HTML for a whole text. Never raises; text never vanishes, raw HTML is shown as text.
    Calls of `names`, as in `@Rita Moss`, are marked, which `mentioned` finds again."""
    text = normalise(text)
    if Guard().feed(text):
        return mark_safe(plain(text))  # noqa: S308 -- escaped
    sanitised = pipeline(text, names=names)
    return mark_safe(plain(text) if sanitised is None else sanitised)  # noqa: S308


def trusted(kept: str, version: int | None) -> SafeString:
    """HTML that `render()` wrote and the database kept; "" if another version of it did."""
    return mark_safe(kept if version == RENDERER_VERSION else "")  # noqa: S308 -- our own output


def normalise(text: str) -> str:
    """Line ends as LF; what is not a Unicode scalar value as U+FFFD."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def plain(text: str) -> str:
    """What the guards refuse: readable, escaped, one element."""
    return f'<pre class="plain" tabindex="0">{html.escape(text, quote=False)}</pre>'


def to_markup(text: str, *, with_positions: bool = False) -> str:
    """The Markdown library's own output: all text escaped, not yet sanitised."""
    output = _OUTPUT_WITH_POSITIONS if with_positions else _OUTPUT
    return comrak.render_markdown(text, _EXTENSIONS, _PARSING, output)


def pipeline(
    text: str, *, last_code_is_open: bool = False, names: Collection[str] = ()
) -> str | None:
    """Sanitised HTML of a text that passed the guards, None if it nests too deep."""
    markup = to_markup(text)
    if is_too_deep(markup):
        return None
    formulas = Formulas()
    markup = formulas.take_out(_dress(markup, last_code_is_open))
    return formulas.put_in(mentions.mark(_cleaner.clean(markup), names))


def _dress(markup: str, last_code_is_open: bool) -> str:
    if "&lt;" in markup:
        markup = _RAW_HTML.sub(_raw_html, markup)
    if "<pre><code" in markup:
        markup = code.dress(markup, last_is_open=last_code_is_open)
    if "<table>" in markup:
        markup = markup.replace("<table>", '<div class="scroll" tabindex="0"><table>')
        markup = markup.replace("</table>", "</table></div>")
    if "<input " in markup:
        markup = markup.replace(
            '<input type="checkbox" disabled="" />', '<span class="task">☐</span>'
        ).replace('<input type="checkbox" checked="" disabled="" />', '<span class="task">☑</span>')
    if "footnote" in markup:
        # Without ids two answers on one page cannot claim each other's footnotes.
        markup = _FOOTNOTE.sub(lambda match: f"<sup>{match[1]}</sup>" if match[1] else "", markup)
    if "<a " in markup:
        markup = _LINK.sub(_link, markup)
    if "<img " in markup:
        markup = _IMAGE.sub(_image, markup)
    return markup


def _raw_html(match: re.Match[str]) -> str:
    return f'{match[1]}<pre class="plain" tabindex="0">{match[2].rstrip()}</pre>'


def _link(match: re.Match[str]) -> str:
    href, title, inner = match[1], match[2], match[3]
    if "<img " in inner:
        inner = _IMAGE.sub(lambda image: image[2] or image[1], inner)
    host = _host(href)
    if host is None:
        return inner
    shown = html.unescape(_TAG.sub("", inner)).strip().removesuffix("/")
    # A name before an @ reads like the host and is not.
    says_it = shown in {host, html.unescape(href).removesuffix("/")} and "@" not in shown
    attributes = f' title="{title}"' if title else ""
    if host and not says_it:
        attributes += f' data-host="{html.escape(host)}"'
    return f'<a href="{href}"{attributes}>{inner}</a>'


def _image(match: re.Match[str]) -> str:
    """A picture elsewhere would tell its server who reads what: it becomes a link."""
    href, words = match[1], match[2]
    host = _host(href)
    if not host:
        return words or href
    return f'<a class="image" href="{href}" data-host="{html.escape(host)}">{words or href}</a>'


def _host(href: str) -> str | None:
    """The host of a web address, "" for mail, None for what must not be a link."""
    address = html.unescape(href)
    if address[:7].lower() == "mailto:":
        return ""
    match = _WEB.match(address)
    if not match:
        return None
    host = unquote(match[1].rpartition("@")[2]).lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return None
    return host if _HOST.fullmatch(host) else None
