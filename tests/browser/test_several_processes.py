"""Two tabs at two processes, an answer in a third, and Redis that goes away and comes back."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.dictation import Dictate
from tests.browser.thread import rows, send, thread_html, until_ready, until_settled, words
from tests.engines import RedisServer, migrate
from tests.house import House, Web
from tests.upstream import ScriptedUpstream


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer, tmp_path: Path) -> Iterator[House]:
    url = f"sqlite:///{tmp_path / 'own.sqlite3'}"  # the run's portal would answer here too
    migrate(url)
    with ExitStack() as programs:
        yield House(
            programs,
            DATABASE_URL=url,
            REDIS_URL=redis.url,
            UPSTREAM_BASE_URL=upstream.base_url,
            EXCHANGE_BEAT_SECONDS="0.2",
            EXCHANGE_SILENCE_SECONDS="1",
        )


def open_as_somebody_new(context: BrowserContext, house: House, web: Web) -> Page:
    asking = house.start("signinlink", "alice@example.com", "--create", "--base-url", web.address)
    link = asking.line_with("/link/").strip()
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button").last.click()
    page.goto(f"{web.address}/")
    until_ready(page)
    return page


def test_both_tabs_see_one_answer_and_miss_nothing_while_redis_is_away(
    context: BrowserContext, house: House, redis: RedisServer, dictate: Dictate
) -> None:
    one, two = house.web("--relay", "outside"), house.web("--relay", "outside")
    house.relay()
    first = open_as_somebody_new(context, house, one)
    dictation = dictate()
    send(first, "Hello from the first process")
    first.wait_for_url(re.compile("/c/"))
    second = context.new_page()
    second.goto(first.url.replace(one.address, two.address))
    until_ready(second)
    tabs = (first, second)
    dictation.say("One ")
    for tab in tabs:
        expect(words(tab)).to_have_text("One")
    redis.stop()
    dictation.say("two ")
    for tab in tabs:  # from the table
        expect(words(tab)).to_have_text("One two")
    expect(first.locator("#connection")).to_have_text("")  # the sockets are well
    # Told to the first tab alone, since nobody can tell the other process.
    first.locator(".item .row").first.press("F2")
    first.locator(".item input").fill("A better name")
    first.locator(".item input").press("Enter")
    expect(rows(first)).to_contain_text(["A better name"])
    redis.start()
    expect(rows(second)).to_contain_text(["A better name"])
    dictation.say("three")
    for tab in tabs:
        expect(words(tab)).to_have_text("One two three")
    dictation.finish()
    for tab in tabs:
        until_settled(tab)
    assert thread_html(first) == thread_html(second)
