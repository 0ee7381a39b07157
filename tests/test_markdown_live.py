import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.markdown import LiveMarkdown, live, render
from tests.markdown_page import Element, apply, parse, shape_of

EXAMPLES = json.loads((Path(__file__).parent / "data/commonmark-0.31.2.json").read_text("utf-8"))

# Examples whose live page differs at some cut from a whole rendering of the same text. Definitions
# that come late are followed by a redraw, so there are none; a number that appears goes here.
CHANGED_LATER: frozenset[int] = frozenset()

GITHUB = [
    "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | `x|y` |\n| 4 |\n\nafter\n",
    "Words before\n| a | b |\n| - | - |\n| c | d |\n> quote\n",
    "- | a |\n  |---|\n  | b |\n  | c |\n- next\n",
    "> | a |\n> |---|\n> | b |\n> | c |\n\nend",
    "- [ ] open\n- [x] done\n  - [ ] inside\n- [X] *also* done\n\n1. [ ] numbered\n",
    "~~gone~~ and ~~two\nlines~~ and ~one~ and ~~~not code\n",
    "Visit www.example.com/a_(b), https://example.org?q=1&r=2. Mail a.b@c.de!\n",
    "$x<y$ and \\(a\\) and\n\n$$\nE = mc^2\n$$\n\n\\[ \\frac{a}{b} \\] costs $5 and $6 $\\nope{$\n",
    "A claim[^1] and one more[^long].\n\n[^1]: First.\n[^long]: Second\n    goes on.\n\nafter\n",
    "> [!NOTE]\n> no alert\n\n* * *\n\n***bold and*** _so_ __on__\n",
    "<canvas>\nstays\n</canvas>\n\ntext <b>bold</b>\n\n<!-- a\n\nb -->\n\nend\n",
    "1. one\n\n   ```python\n   def f():\n       return\n   ```\n\n2. two\n   > q\n   lazy\n\n3. c",
    "```python\nx = 1\n```\n```sql\nselect 1\n```\n~~~~ text\n```\n~~~~\n",
    "A\r\nB\rC\r\n\r\n- d\r\n- e\r\n\r\n  f\r\n",
    "🙂 **🙂🙂** `🙂` [🙂](https://x.y) &amp; &nbsp; \u00a0 &lt;\n\n- 🙂\n",
    "- - a\n- ```\n  b\n  ```\n- c\n- d\n- e\n- f\n\n  loose now\n",
    "a\n- b\n---\nc\n===\n1) d\n2) e\n",
]

WORDS = "The quick brown fox jumps over the lazy dog and goes on through the wood until night. "
# As long as answers get, where one block is all of it; of what is in them, enough to tell linear
# from quadratic, which is fifty times as much by then.
BIG = {
    "fence": "```python\n" + "def f(x):  # a < b\n    return x & 1\n" * 2_800 + "```\n",
    "list": "".join(f"- item {i} with **bold** words in it\n" for i in range(2_600)),
    "table": "| a | b |\n|---|---|\n" + "".join(f"| row {i} | `{i}` |\n" for i in range(5_000)),
    "paragraph": WORDS * 1_180,
    "fence in a list": "- item\n\n  ```\n" + "  some code & more of it\n" * 1_600 + "  ```\n",
    "loose list": "".join(f"{i}. item {i} with **bold** words\n\n" for i in range(1, 1_200)),
    "nested list": "- top\n" + "  - sub with words\n    - deep and more words\n" * 900,
    "paragraph with markup": (WORDS + "**Bold** and `code` [link](https://a.bc/d). ") * 310,
    "paragraph of lines": (WORDS.strip() + "\n") * 460,
    "quote": "> a line of the quote goes here and on\n" * 1_000,
    "raw html": "<div>\n" + "<p>some html is here</p>\n" * 1_600,
    "prose": (f"## Heading\n\n{WORDS * 4}\n\n- a point\n- another\n\n```js\nlet x;\n```\n\n") * 100,
}
WHOLE_ANSWERS = ("fence", "list", "table", "paragraph")


def _pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _follow(pieces: list[str]) -> tuple[LiveMarkdown, Element]:
    """Feeds the pieces and compares the page with the renderer after each."""
    answer, page = LiveMarkdown(), parse("")
    for piece in pieces:
        patch = answer.feed(piece)
        if patch is not None:
            apply(page, patch)
        html, whole = answer.html(), render(answer.shown)
        assert page.shape() == shape_of(html)
        if whole != html:  # what is equal needs no second look
            plain = parse(whole).shape(with_colours=False)
            assert page.shape(with_colours=False) == plain, answer.shown
    assert answer.finish() == render("".join(pieces))
    return answer, page


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed parts leave the source at once, so that short texts show what long ones do."""
    monkeypatch.setattr(live, "FIRST_EXCISION", 1)


@pytest.mark.parametrize("size", [1, 9])
def test_every_cut_of_the_commonmark_examples_shows_what_the_whole_text_shows(size: int) -> None:
    for number, _, markdown, _ in EXAMPLES:
        if number not in CHANGED_LATER:
            _follow(_pieces(markdown, size))


def test_cutting_closed_parts_out_of_the_source_changes_no_commonmark_example(eager: None) -> None:
    for number, _, markdown, _ in EXAMPLES:
        if number not in CHANGED_LATER:
            _follow(_pieces(markdown, 1))


@pytest.mark.parametrize("text", GITHUB)
def test_every_cut_of_github_markdown_shows_what_the_whole_text_shows(text: str) -> None:
    for size in (1, 2, 5, 40):
        _follow(_pieces(text, size))


@pytest.mark.parametrize("text", GITHUB)
def test_cutting_closed_parts_out_of_the_source_changes_no_github_markdown(
    text: str, eager: None
) -> None:
    _follow(_pieces(text, 1))
    _follow(_pieces(text * 3, 3))


def test_the_examples_one_after_the_other_make_one_long_answer(eager: None) -> None:
    order = random.Random(7)
    for _ in range(12):
        chosen = order.sample(EXAMPLES, 8)
        _follow(_pieces("\n".join(example[2] for example in chosen), 11))


@pytest.mark.parametrize("name", BIG)
def test_a_long_block_costs_linear_bytes_and_work(name: str) -> None:
    text = BIG[name]
    assert len(text) > (95_000 if name in WHOLE_ANSWERS else 38_000)
    answer, page = LiveMarkdown(), parse("")
    sent = 0
    skipped = 0
    for piece in _pieces(text, 40):
        patch = answer.feed(piece)
        if patch is None:
            skipped += 1
            continue
        sent += len(json.dumps(patch.to_json(), ensure_ascii=False).encode())
        apply(page, patch)
    whole = answer.finish()
    assert page.shape(with_colours=False) == parse(render(answer.shown)).shape(with_colours=False)
    assert sent <= 3 * len(whole.encode())
    assert answer.work <= 20 * len(text)
    assert skipped <= 400  # pieces that only held back markers; nothing waited for its redraw


def test_a_block_that_cannot_be_shortened_is_redrawn_less_often_but_within_bounds() -> None:
    for text in ("# " + WORDS * 500, "a * b *c and so on " * 2_300, "| a " * 50 + "\n" + WORDS):
        answer, page = LiveMarkdown(), parse("")
        sent = 0
        for piece in _pieces(text, 40):
            patch = answer.feed(piece)
            if patch is not None:
                sent += len(json.dumps(patch.to_json(), ensure_ascii=False).encode())
                apply(page, patch)
        assert page.shape() == parse(answer.html()).shape()
        assert sent <= 3 * len(answer.finish().encode()) + 2 * live.BYTES_FLOOR
        per_character = live.WORK_FACTOR + live.WORK_PER_FEED / 40
        assert answer.work <= per_character * len(text) + live.WORK_FLOOR + live.WORK_PER_FEED


def test_a_viewer_who_joins_by_keyframe_applies_the_next_patches_like_the_others() -> None:
    for text in (*GITHUB, *(BIG[name][:2_000] for name in BIG)):
        pieces = _pieces(text, 23)
        for joins in range(3, len(pieces), 1 + len(pieces) // 5):
            answer = LiveMarkdown()
            for piece in pieces[:joins]:
                answer.feed(piece)
            page = parse(answer.html())
            for piece in pieces[joins:]:
                patch = answer.feed(piece)
                if patch is not None:
                    apply(page, patch)
            assert page.shape() == parse(answer.html()).shape()


def test_continue_starts_from_the_kept_text() -> None:
    answer = LiveMarkdown("- one\n- tw")
    page = parse(answer.html())
    assert page.text == "onetw"
    patch = answer.feed("o\n- three")
    assert patch is not None
    apply(page, patch)
    assert page.shape() == parse(render("- one\n- two\n- three")).shape()
    assert answer.text == "- one\n- two\n- three"


def test_an_answer_that_comes_token_by_token_is_never_held_back() -> None:
    text = BIG["prose"][:1_500] + BIG["table"][:800] + BIG["list"][:800]
    answer = LiveMarkdown()
    for count, piece in enumerate(_pieces(text, 3)):
        answer.feed(piece)
        if count % 37 == 0:
            assert parse(answer.html()).text == parse(render(answer.shown)).text


def test_closed_blocks_are_never_sent_again() -> None:
    answer = LiveMarkdown()
    answer.feed("First paragraph.\n\nSecond")
    patch = answer.feed(" paragraph")
    assert patch is not None
    assert patch.to_json() == {"p": (2, 0), "t": 6, "h": (" paragraph",)}


def test_an_open_fence_grows_by_its_new_text_and_is_coloured_once_it_closes() -> None:
    answer = LiveMarkdown("```python\nreturn 1\n")
    assert "<span class" not in answer.html()
    patch = answer.feed("return 2\n")
    assert patch is not None
    assert patch.html == ("return 2\n",)
    answer.feed("```\n")
    assert answer.html() == render("```python\nreturn 1\nreturn 2\n```\n")


@pytest.mark.parametrize("marker", ["-", "---", "==", "#", "1.", "``", "|--", "* *"])
def test_a_line_of_markers_alone_waits_until_it_is_decided(marker: str) -> None:
    answer = LiveMarkdown("A paragraph\n")
    assert answer.feed(marker) is None
    assert answer.html() == "<p>A paragraph</p>"
    assert answer.feed(" x\n") is not None
    assert answer.finish() == render(f"A paragraph\n{marker} x\n")


def test_a_late_link_definition_redraws_what_it_changes() -> None:
    answer = LiveMarkdown("See [the guide].\n\nMore words.\n\n" + WORDS * 20 + "\n\n")
    page = parse(answer.html())
    patch = answer.feed("[the guide]: https://example.org/guide\n")
    assert patch is not None
    apply(page, patch)
    links = [element.attributes["href"] for element in page.walk() if element.tag == "a"]
    assert links == ["https://example.org/guide"]


def test_an_answer_beyond_the_guards_goes_on_as_plain_text() -> None:
    answer, page = LiveMarkdown(), parse("")
    text = "some *words* 🙂 & more\n" + "> " * 80 + "deep\n" + "and <b> on\n" * 5
    for piece in _pieces(text, 9):
        patch = answer.feed(piece)
        if patch is not None:
            apply(page, patch)
        assert page.shape() == parse(answer.html()).shape()
    assert page.shape() == parse(render(answer.shown)).shape()
    assert [element.tag for element in page.children] == ["pre"]


FRAGMENTS = st.sampled_from(
    [
        *"abc \n\n\n>-*_`~|[]()<&$\\#=:!1.",
        "- ", "  - ", "1. ", "> ", "\n\n", "```\n", "```py\n", "~~~", "| a | b |\n", "|---|---|\n",
        "    ", "**", "[x](https://e.x)", "![i](https://e.x/i)", "[x]: /u\n", "[^1]", "[^1]: n\n",
        "<div>", "<!--", "-->", "$$", "\\(", "\\)", "www.a.bc", "\r\n", "\r", "\t", "🙂", "\u00a0",
        "&amp;", "---\n", "===\n", "- [ ] ", "word ", "two words. ", "\u202e", "\x00",
    ]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=60), st.integers(1, 9), st.booleans())
def test_any_text_in_any_pieces_shows_what_the_whole_text_shows(
    fragments: list[str], size: int, early: bool
) -> None:
    with pytest.MonkeyPatch.context() as patching:
        if early:
            patching.setattr(live, "FIRST_EXCISION", 1)
        _follow(_pieces("".join(fragments), size))


@given(st.text(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_random_text_cut_anywhere_shows_what_the_whole_text_shows(
    text: str, cuts: list[int]
) -> None:
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    _follow([text[start:end] for start, end in pairwise(bounds)])
