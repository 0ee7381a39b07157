import json
import re
import subprocess
import sys
from pathlib import Path

import nh3
import pytest
from django.conf import settings
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from conversations.markdown import (
    HIGHLIGHT_CLASSES,
    MATH_CLASSES,
    RENDERER_VERSION,
    LiveMarkdown,
    render,
    trusted,
)
from tests.markdown_page import Element, apply, parse

DATA = Path(__file__).parent / "data"
ATTACKS = [
    line.replace("⏎", "\n")
    for line in (DATA / "xss.txt").read_text("utf-8").split("\n")
    if line and not line.startswith("# One attack")
]
GOLDEN = sorted((DATA / "golden").glob("*.md"))

# The allow-list, said a second time and apart from the renderer's own.
LINK = {"href", "title", "data-host", "target", "rel", "class"}
PLAIN = set(
    """blockquote br del em hr li p strong sup table tbody thead tr ul h1 h2 h3 h4 h5 h6""".split()  # noqa: SIM905 -- a list of words
)
ALLOWED: dict[str, set[str]] = {
    **{tag: set() for tag in PLAIN},
    "a": LINK,
    "code": {"class"},
    "div": {"class", "tabindex"},
    "ol": {"start"},
    "pre": {"class", "tabindex"},
    "section": {"class"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}
MATH = set(
    """math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mrow ms mspace msqrt
    mroot mstyle msub msubsup msup mtable mtd mtext mtr munder munderover""".split()  # noqa: SIM905 -- a list of words
)
MATH_ATTRIBUTES = set(
    """accent accentunder class columnspan display displaystyle fence form height linethickness
    lspace mathvariant maxsize minsize movablelimits rspace scriptlevel separator stretchy
    symmetric width""".split()  # noqa: SIM905 -- a list of words
)
CLASSES = {"bar", "code", "footnotes", "image", "plain", "scroll", "task"}
CLASSES |= HIGHLIGHT_CLASSES | MATH_CLASSES

# Reads as a browser does; whatever it would take away is something a browser would see.
as_browser = nh3.Cleaner(
    tags=set(ALLOWED) | MATH,
    clean_content_tags=set(),
    attributes={
        **{tag: names for tag, names in ALLOWED.items() if names},
        **dict.fromkeys(MATH, MATH_ATTRIBUTES),
    },
    link_rel=None,
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)


def assert_safe(html: str) -> None:
    assert parse(as_browser.clean(html)).shape() == parse(html).shape(), html
    for element in parse(html).walk()[1:]:
        allowed = MATH_ATTRIBUTES if element.tag in MATH else ALLOWED[element.tag]
        assert set(element.attributes) <= allowed, html
        assert set(element.attributes.get("class", "").split()) <= CLASSES, html
        if element.tag == "a":
            assert re.match(
                r"https?://[^/]|mailto:", element.attributes.get("href", "mailto:"), re.IGNORECASE
            )
            assert element.attributes["target"] == "_blank"
            assert element.attributes["rel"] == "noopener noreferrer nofollow"


def links(html: str) -> list[Element]:
    return [element for element in parse(html).walk() if element.tag == "a"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_leaves_the_allow_list_whole_or_cut_anywhere(attack: str) -> None:
    assert_safe(render(attack))
    for cut in range(len(attack) + 1):
        answer = LiveMarkdown()
        page = parse("")
        for piece in (attack[:cut], attack[cut:]):
            patch = answer.feed(piece)
            if patch is not None:
                apply(page, patch)
            assert_safe(answer.html())
        assert page.shape() == parse(answer.html()).shape()


IN_ONE_ANSWER = 50


def test_attacks_in_one_growing_answer_stay_within_the_allow_list() -> None:
    for start in range(0, len(ATTACKS), IN_ONE_ANSWER):
        answer = LiveMarkdown()
        for attack in ATTACKS[start : start + IN_ONE_ANSWER]:
            for piece in (attack[: len(attack) // 2], attack[len(attack) // 2 :], "\n\n"):
                patch = answer.feed(piece)
                for html in patch.html if patch else ():
                    assert_safe("." + html)  # a parser drops a byte order mark that stands first
        assert_safe(answer.html())
        assert_safe(answer.finish())


@pytest.mark.parametrize(
    "around", ["- {}", "> {}", "| a |\n|---|\n| {} |", "**{}**", "[{}](https://a.bc)"]
)
def test_no_attack_leaves_the_allow_list_inside_other_markdown(around: str) -> None:
    for attack in ATTACKS:
        assert_safe(render(around.format(attack)))


@given(st.text(alphabet="<>\"'&=/ ab:`*[]()!#$\\\n-|", max_size=80))
def test_random_markup_stays_within_the_allow_list(text: str) -> None:
    assert_safe(render(text))


@pytest.mark.parametrize(
    "html",
    ["<canvas>x</canvas>", "a <b>b</b>", "<div>\n*a*\n</div>", "<!-- c -->", "<script>x"],
)
def test_raw_html_is_shown_as_text_and_never_vanishes(html: str) -> None:
    assert parse(render(html)).text == html


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "//evil.example",
        "/logout",
        "#x",
        "https:evil.example",
        "https:///evil.example",
        "ftp://a.bc",
    ],
)
def test_a_link_that_is_not_to_the_web_or_to_mail_keeps_only_its_words(address: str) -> None:
    html = render(f"[words]({address})")
    assert links(html) == []
    assert parse(html).text == "words"


@pytest.mark.parametrize(
    ("markdown", "host"),
    [
        ("[x](https://docs.example.org/a)", "docs.example.org"),
        ("[x](HTTPS://EXAMPLE.org:8443/a)", "example.org:8443"),
        ("[x](https://bank.example@evil.example)", "evil.example"),
        ("[https://bank.example](https://evil.example)", "evil.example"),
        ("[bank.example](https://evil.example)", "evil.example"),
        ("https://bank.example@evil.example", "evil.example"),
        ("[x](http://bücher.example)", "xn--bcher-kva.example"),
        ("[x](https://a.bc/?q=@d.ef)", "a.bc"),
        ("![chart](https://pics.example/a.png)", "pics.example"),
        ("![](https://pics.example/a.png)", "pics.example"),
        ("[![x](https://a.bc/i.png)](https://d.ef)", "d.ef"),
    ],
)
def test_a_link_shows_the_host_that_it_leads_to(markdown: str, host: str) -> None:
    (link,) = links(render(markdown))
    assert link.attributes["data-host"] == host


def test_a_link_that_says_where_it_leads_does_not_say_it_twice() -> None:
    found = links(render("https://a.bc/d www.a.bc [a.bc](https://a.bc/) <m@a.bc>"))
    assert ["data-host" in link.attributes for link in found] == [False] * 4


def test_a_picture_becomes_a_link_so_that_nobody_learns_who_reads() -> None:
    html = render("![a chart](https://pics.example/a.png) ![b](data:image/png;base64,AA)")
    assert "<img" not in html
    assert parse(html).text == "a chart b"
    assert links(html)[0].attributes["class"] == "image"


def test_tables_scroll_inside_and_keep_their_alignment() -> None:
    html = render("| a | b |\n|:--|--:|\n| 1 | 2 |\n")
    assert html.startswith('<div class="scroll" tabindex="0"><table><thead>')
    assert '<td align="right">2</td>' in html


def test_task_items_are_signs_not_form_fields() -> None:
    assert render("- [ ] a\n- [x] b\n") == (
        '<ul><li><span class="task">☐</span> a</li><li><span class="task">☑</span> b</li></ul>'
    )


def test_footnotes_have_numbers_but_no_ids_to_collide() -> None:
    html = render("a[^x] b[^x]\n\n[^x]: note\n")
    assert "<p>a<sup>1</sup> b<sup>1</sup></p>" in html
    assert '<section class="footnotes"><ol><li><p>note</p></li></ol></section>' in html


def test_code_has_its_language_and_a_few_classes() -> None:
    html = render('```python\ndef f():\n    return "x"  # y\n```\n')
    assert html.startswith('<div class="code"><div class="bar"><span>python</span></div>')
    assert '<pre tabindex="0"><code><span class="k">def</span> <span class="f">f</span>' in html
    assert set(re.findall(r'<span class="(\w+)">', html)) <= HIGHLIGHT_CLASSES


@pytest.mark.parametrize("language", ["", "nosuchlanguage", "text", "../../x", "python3000"])
def test_code_of_an_unknown_language_stays_plain(language: str) -> None:
    assert "<span class" not in render(f"```{language}\ndef f(): pass\n```\n")


@pytest.mark.parametrize("code", ["x = 1\n" * 501, "x" * 2_000 + " = 1", '"' * 40_000])
def test_long_code_stays_plain(code: str) -> None:
    assert "<span class" not in render(f"```python\n{code}\n```\n")


@given(st.text(max_size=120), st.sampled_from(["python", "js", "html", "diff", "sql", "c++"]))
def test_colours_never_change_the_code(code: str, language: str) -> None:
    code = re.sub(r"[\r`\x00\ud800-\udfff]", " ", code)
    (block,) = (
        e for e in parse(render(f"````{language}\n{code}\n````\n")).walk() if e.tag == "pre"
    )
    assert block.text == f"{code}\n"


def test_formulas_become_mathml_without_inline_styles() -> None:
    html = render(r"$x<y$ and $$\begin{align}a&=b\\c&=d\end{align}$$ and $\color{red}x$")
    assert html.count("<math") == 3
    assert " style=" not in html
    assert 'class="m-right' in html


def test_a_formula_that_is_refused_is_shown_as_tex() -> None:
    assert render(r"$\nosuch{<b>}$") == r"<p><code>\nosuch{&lt;b&gt;}</code></p>"


def test_prices_are_not_formulas() -> None:
    assert render("It costs $5 and $6.") == "<p>It costs $5 and $6.</p>"


def test_markers_of_formulas_cannot_be_written_by_hand() -> None:
    text = "m000000000000000000000000x0; $x$ m000000000000000000000000x1;"
    assert parse(render(text)).text == text.replace("$x$", "x")


@pytest.mark.parametrize("text", ["", "\n\n", "\x00", "\ud800 lone", "a\rb\r\nc", "\ufeff"])
def test_odd_text_renders(text: str) -> None:
    assert isinstance(render(text), SafeString)


def test_kept_html_is_trusted_only_while_the_renderer_is_the_same() -> None:
    assert trusted("<p>x</p>", RENDERER_VERSION) == "<p>x</p>"
    assert trusted("<p>x</p>", RENDERER_VERSION - 1) == ""
    assert trusted("<p>x</p>", None) == ""


HOSTILE = {
    "too long": "a " * (settings.MARKDOWN_MAX_CHARS // 2 + 1),
    "wide table of short rows": "|" + "a|" * 3_000 + "\n|" + "-|" * 3_000 + "\n" + "|b\n" * 3_000,
    "nested quotes": ">" * 64 + " x",
    "nested lists": "- " * 80 + "x",
    "lists nested over many lines": "".join(" " * 2 * depth + "- a\n" for depth in range(400)),
    "footnotes": "[^a]" * 600 + "\n\n[^a]: x\n",
    "nested emphasis": "*a " * 2_000 + "a* " * 2_000,
    "addresses": "a@b.cd " * 20_000,
    "formulas never closed": "\\(" * 20_000,
    "stars": "*a**b " * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_stall_the_renderer_is_shown_plain(name: str) -> None:
    text = HOSTILE[name]
    html = render(text)
    assert html.startswith('<pre class="plain"')
    assert parse(html).text == text


def test_how_long_a_text_may_be_to_be_dressed_is_as_set(settings: Settings) -> None:
    settings.MARKDOWN_MAX_CHARS = 10
    assert render("**123456**") == "<p><strong>123456</strong></p>"
    assert render("**1234567**") == '<pre class="plain" tabindex="0">**1234567**</pre>'


@pytest.mark.parametrize("name", HOSTILE)
def test_a_growing_answer_meets_the_same_guards(name: str) -> None:
    text = HOSTILE[name]
    answer = LiveMarkdown()
    for at in range(0, len(text), 997):
        answer.feed(text[at : at + 997])
    assert answer.html().startswith('<pre class="plain"')
    assert answer.finish() == render(text)


def test_importing_the_renderer_does_not_import_the_lexers() -> None:
    script = "import sys, conversations.markdown; print('pygments.lexers' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_golden_corpus_renders_as_kept(path: Path) -> None:
    """If only the library's output changed and it is right, write the new HTML beside the text."""
    kept = path.with_suffix(".html").read_text("utf-8")
    assert f"{render(path.read_text('utf-8'))}\n" == kept


def test_the_commonmark_examples_keep_their_words() -> None:
    """A second opinion: the specification's own HTML says the same words, where it says any."""
    examples = json.loads((DATA / "commonmark-0.31.2.json").read_text("utf-8"))
    different = 0
    for _, _, markdown, html in examples:
        words = re.sub(r"\s+", "", re.sub(r"<[^>]*>", "", html).replace("&quot;", '"'))
        ours = re.sub(r"\s+", "", re.sub(r"<[^>]*>", "", render(markdown)))
        different += words != ours
    # Raw HTML is text here, pictures have words, and bare addresses become links.
    assert different <= 150
