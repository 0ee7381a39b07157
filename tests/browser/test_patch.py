"""static/js/patch.js in Chromium does what the tests' miniature page does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from conversations.markdown import LiveMarkdown
from tests.test_markdown import ATTACKS
from tests.test_markdown_live import BIG, EXAMPLES, GITHUB

MODULE = Path(__file__).parents[2] / "static/js/patch.js"

FOLLOW = """
async ({ source, answers }) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { applyPatch, lastElement } = await import(url);
  const wrong = [];
  for (const [index, frames] of answers.entries()) {
    const grown = document.createElement("div");
    for (const { patch, html } of frames) {
      const fresh = document.createElement("div");
      fresh.innerHTML = html;
      const applied = !patch || applyPatch(grown, patch);
      const same = grown.cloneNode(true);
      same.normalize();
      fresh.normalize();
      if (!applied || !same.isEqualNode(fresh) || !grown.contains(lastElement(grown))) {
        wrong.push([index, html]);
        break;
      }
    }
  }
  return wrong;
}
"""


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.goto("about:blank")
    yield page
    page.close()


def _frames(text: str, size: int) -> list[dict[str, object]]:
    answer = LiveMarkdown()
    frames: list[dict[str, object]] = []
    for at in range(0, len(text), size):
        patch = answer.feed(text[at : at + size])
        frames.append({"patch": patch and patch.to_json(), "html": answer.html()})
    return frames


@pytest.mark.parametrize(
    ("texts", "size"),
    [
        ([example[2] for example in EXAMPLES], 3),
        (GITHUB, 1),
        (ATTACKS, 5),
        ([text[:3_000] for text in BIG.values()], 40),
        (["some 🙂 words & <b>\n" + ">" * 80 + "\nmore & more\n"], 5),
    ],
    ids=["commonmark", "github", "attacks", "long", "plain"],
)
def test_a_page_built_by_patches_is_the_page_built_at_once(
    blank: Page, texts: list[str], size: int
) -> None:
    answers = [_frames(text, size) for text in texts]
    argument = {"source": MODULE.read_text("utf-8"), "answers": json.loads(json.dumps(answers))}
    assert blank.evaluate(FOLLOW, argument) == []


def test_a_selection_in_what_is_closed_or_already_written_survives(blank: Page) -> None:
    first = LiveMarkdown("First words.\n\n- one\n- tw")
    before = first.html()
    patch = first.feed("o and more\n- three")
    assert patch is not None
    selected = blank.evaluate(
        """async ({ source, before, patch }) => {
          const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const { applyPatch } = await import(url);
          document.body.innerHTML = before;
          const [start, end] = [document.querySelector("p"), document.querySelectorAll("li")[1]];
          getSelection().setBaseAndExtent(start.firstChild, 6, end.firstChild, 2);
          applyPatch(document.body, patch);
          return [getSelection().toString().replace(/\\s+/g, " "), document.body.textContent];
        }""",
        {"source": MODULE.read_text("utf-8"), "before": before, "patch": patch.to_json()},
    )
    assert selected == ["words. one tw", "First words.onetwo and morethree"]


def test_a_patch_for_another_page_is_refused(blank: Page) -> None:
    refused = blank.evaluate(
        """async ({ source }) => {
          const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
          const { applyPatch } = await import(url);
          document.body.innerHTML = "<p>one</p>";
          const applied = applyPatch(document.body, { p: [3, 0], t: 0, h: ["x"] });
          return [applied, document.body.innerHTML];
        }""",
        {"source": MODULE.read_text("utf-8")},
    )
    assert refused == [False, "<p>one</p>"]
