"""static/js/socket.js spreads those who come back: a restart must not bring all pages at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

MODULE = Path(__file__).parents[2] / "static/js/socket.js"

PAUSES = """
async ({ source, pages, losses, opens }) => {
  const made = [];
  const pauses = [];
  class Transport {
    static OPEN = 1;
    constructor() { made.push(this); }
    close() {}
    send() {}
  }
  window.WebSocket = Transport;
  window.setInterval = () => 1;
  window.setTimeout = (act, pause) => { pauses.push(pause); return act; };
  const { Connection } = await import(
    URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const callbacks = { opened() {}, received() {}, closed: () => true, state() {}, poll() {} };
  const all = [];
  for (let page = 0; page < pages; page += 1) {
    new Connection("ws://nowhere/", callbacks);
    const own = [];
    for (let loss = 0; loss < losses; loss += 1) {
      if (opens) made.at(-1).onopen();
      made.at(-1).onclose({ code: 4012 });
      own.push(pauses.at(-1));
      dispatchEvent(new Event("online"));
    }
    all.push(own);
  }
  return all;
}
"""


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.goto("about:blank")
    yield page
    page.close()


def pauses(page: Page, *, pages: int, losses: int, opens: bool) -> list[list[float]]:
    """In milliseconds, for each page, before each time that it comes back."""
    source = MODULE.read_text()
    found: list[list[float]] = page.evaluate(
        PAUSES, {"source": source, "pages": pages, "losses": losses, "opens": opens}
    )
    return found


def test_a_thousand_pages_that_are_sent_away_come_back_one_by_one(blank: Page) -> None:
    firsts = [first for [first] in pauses(blank, pages=1000, losses=1, opens=True)]
    assert 150 <= min(firsts) <= 180
    assert 420 <= max(firsts) <= 450
    for tenth in range(10):
        begin = 150 + 30 * tenth
        assert 50 <= sum(begin <= pause < begin + 30 for pause in firsts) <= 160


def test_who_finds_nobody_waits_longer_each_time_and_never_for_long(blank: Page) -> None:
    [waits] = pauses(blank, pages=1, losses=4, opens=False)
    assert 300 <= waits[1] <= 900
    assert waits[2:] == [30_000, 30_000]  # no socket ever opened: the thread is fetched meanwhile
    [opened] = pauses(blank, pages=1, losses=12, opens=True)
    assert max(opened) <= 450  # each time that it was there, it begins anew
