"""What model servers really send, as one person reads it in one conversation: of each row one of
each kind of end. All variants are played in tests/system."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from conversations.models import State
from tests.browser.test_several_processes import open_as_somebody_new
from tests.browser.thread import answer, answers, send, thread_html, until_ready, words
from tests.engines import migrate
from tests.house import House
from tests.quirks import IMPATIENT, Quirk, every
from tests.upstream import ScriptedUpstream


@pytest.fixture
def house(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[House]:
    """A portal of its own, which waits for no server for long."""
    url = f"sqlite:///{tmp_path / 'own.sqlite3'}"
    migrate(url)
    with ExitStack() as programs:
        yield House(
            programs,
            DATABASE_URL=url,
            DATA_DIR=str(tmp_path),
            THREAD_PAGE="500",
            UPSTREAM_BASE_URL=upstream.base_url,
            **IMPATIENT,
        )


def one_of_each_kind() -> list[Quirk]:
    kinds = {(quirk.row, quirk.state, quirk.why): quirk for quirk in every()}
    return list(kinds.values())


def test_each_row_is_read_as_it_was_meant_and_looks_the_same_after_a_reload(
    context: BrowserContext, house: House, upstream: ScriptedUpstream
) -> None:
    page = open_as_somebody_new(context, house, house.web())
    kinds = one_of_each_kind()
    assert {quirk.row for quirk in kinds} >= set(range(1, 38)) | {40}
    for number, quirk in enumerate(kinds, 1):
        upstream.forget()
        for name, options in quirk.played:
            upstream.script(name, **options)
        send(page, str(quirk))
        expect(answers(page)).to_have_count(number)
        reads(page, quirk)
    page.wait_for_url(re.compile("/c/"))
    as_it_grew = thread_html(page)
    page.reload()
    until_ready(page)
    expect(answers(page)).to_have_count(len(kinds))
    assert thread_html(page) == as_it_grew


def reads(page: Page, quirk: Quirk) -> None:
    end = answer(page)
    expect(end).not_to_have_attribute("aria-busy", "true")
    if quirk.text:
        expect(words(page)).to_have_text(quirk.text)
    expect(end).to_contain_text(quirk.says)
    goes_wrong = quirk.state in {State.FAILED, State.INTERRUPTED}
    expect(end.get_by_role("button", name="Retry")).to_have_count(int(goes_wrong))
    if quirk.reasoning:
        expect(end.locator("summary")).to_be_visible()
        expect(end.locator(".reasoning-text")).to_be_hidden()  # folded
