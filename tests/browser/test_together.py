"""Three people in one conversation, from the invitation to a branch that is taken back: at the
portal as it starts by itself, and at two processes with Redis and PostgreSQL."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import pytest
from django.conf import settings
from django.db import connections
from playwright.sync_api import Page, expect

from chatweb import databases
from conversations.models import User
from tests.browser.dictation import Dictate
from tests.browser.portal import Portal
from tests.browser.rows import newcomer, session_of
from tests.browser.test_branches import button
from tests.browser.test_company import choose, open_details, participant
from tests.browser.test_queue import expect_line, turn
from tests.browser.thread import (
    Visit,
    answer,
    answers,
    field,
    for_anybody,
    questions,
    rows,
    send,
    stop_button,
    until_ready,
    until_settled,
    words,
)
from tests.browser.watch import Watch
from tests.house import House, Web
from tests.relays import empty_the_pool
from tests.upstream import ScriptedUpstream


class Open(Protocol):
    """A browser of one's own at the first or the second of the portal's processes."""

    def __call__(self, person: User, process: int) -> Page: ...


# A page may be fetching what it learns a moment later that it may not have any more.
REMOVED = r"404.*/messages/"


@pytest.fixture
def at_one_process(visit: Visit, watch: Watch) -> Open:
    watch.allow(REMOVED)
    return lambda person, _process: visit(person)


@pytest.fixture
def at_two_processes(
    new_context: Any, portal: Portal, upstream: ScriptedUpstream, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Both write answers; whose turn it is, is theirs to settle."""
    url = request.getfixturevalue("postgres_url")
    shared = {"DATABASE_URL": url, "REDIS_URL": request.getfixturevalue("redis_url")}
    watches: list[Watch] = []
    with ExitStack() as programs:
        house = House(programs, UPSTREAM_BASE_URL=upstream.base_url, **shared)
        webs = house.web(), house.web()

        def open_at(person: User, process: int) -> Page:
            web = webs[process]
            context = new_context()
            watches.append(Watch(web.address))
            watches[-1].allow(REMOVED)
            watches[-1].over(context)
            context.add_cookies([_cookie(person, web)])
            page: Page = context.new_page()
            page.goto(f"{web.address}/")
            until_ready(page)
            return page

        with _tables_at(url):
            yield open_at
    assert [watch.unexpected() for watch in watches] == [[]] * len(watches)


def _cookie(person: User, web: Web) -> Any:
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": session_of(person), "url": web.address}


@contextmanager
def _tables_at(url: str) -> Iterator[None]:
    """What a test puts into the tables goes there."""
    usual = connections["default"]
    elsewhere = usual.settings_dict | databases.configured(url, pool=2, timeout=20)
    connections.settings["elsewhere"] = elsewhere
    connections["default"] = connections.create_connection("elsewhere")
    try:
        yield
    finally:
        empty_the_pool()
        connections["default"] = usual
        del connections.settings["elsewhere"]


@pytest.mark.parametrize("processes", ["at_one_process", "at_two_processes"])
def test_three_people_from_the_invitation_to_a_branch_that_is_taken_back(
    processes: str, request: pytest.FixtureRequest, dictate: Dictate
) -> None:
    open_at: Open = request.getfixturevalue(processes)
    alice, bob, charlie = (newcomer(name) for name in ("Alice", "Bob", "Charlie"))
    hers, his, theirs = open_at(alice, 0), open_at(bob, 1), open_at(charlie, 0)
    everybody = [hers, his, theirs]

    # Alice asks, and invites the others in the middle of the answer, which they follow from there.
    first, second, third = dictate(), dictate(), dictate()
    send(hers, "Why is the export slow?")
    first.say("It reads *every* row, ")
    expect(words(hers)).to_have_text("It reads every row,")
    drawer = open_details(hers)
    for person in (bob, charlie):
        drawer.get_by_label("Name, team or email address").press_sequentially(person.email[:12])
        drawer.locator(".candidates").get_by_role("button", name=person.name).click()
        expect(participant(hers, person)).to_contain_text("Editor")
    hers.keyboard.press("Escape")
    for page in (his, theirs):
        rows(page).filter(has_text="Why is the export slow?").locator(".row").click()
        expect(words(page)).to_have_text("It reads every row,")
    first.say("twice")
    for page in everybody:
        expect(words(page)).to_have_text("It reads every row, twice")

    # Two turns wait; Alice puts them in order, Bob stops the answer, and the next one goes.
    send(his, "And at night?")
    expect_line("And at night", on=everybody)
    send(theirs, "By how much?")
    expect_line("And at night", "By how much", on=everybody)
    turn(hers, "By how much").get_by_role("button", name="Earlier").click()
    expect_line("By how much", "And at night", on=everybody)
    stop_button(his).click()
    for page in everybody:
        expect(answers(page).first).to_contain_text("Stopped by Bob.")
        expect_line("And at night", on=[page])
        expect(questions(page).last).to_contain_text("By how much?")
    second.say("By half")

    # Charlie is removed in the middle of the answer to his own question, and sees nothing more.
    for page in everybody:
        expect(words(page)).to_have_text("By half")
    open_details(hers)
    choose(hers, charlie, "Remove")
    expect(theirs.get_by_text("You no longer have access")).to_be_visible()
    second.say(" or more")
    hers.keyboard.press("Escape")
    for page in (hers, his):
        expect(words(page)).to_have_text("By half or more")
    expect(rows(theirs)).to_have_count(0)
    expect(theirs.locator("body")).not_to_contain_text("By half")
    second.finish()
    third.say("At night too")
    third.finish()
    for page in (hers, his):
        expect(words(page)).to_have_text("At night too")
        until_settled(page)
        expect_line(on=[page])

    # Bob goes on by himself; Alice calls him meanwhile.
    fourth, fifth = dictate(), dictate()
    button(answer(his), "Fork privately from here").click()
    expect(his.locator("#fork")).to_contain_text("Fork of Why is the export slow?")
    send(his, "And with an index?")
    fourth.say("Ten times as fast")
    fourth.finish()
    expect(words(his)).to_have_text("Ten times as fast")
    until_settled(his)
    field(hers).press_sequentially("@bo")
    hers.get_by_role("option", name="Bob").click()
    field(hers).press_sequentially("any idea?")
    field(hers).press("Enter")
    expect(questions(hers).last.locator(".mention")).to_have_text("@Bob")
    fifth.say("None of mine")
    fifth.finish()
    until_settled(hers)
    calling = rows(his).filter(has_not_text="Fork").locator(".unread")
    expect(calling.first).to_have_text(re.compile("you are mentioned"))

    # He offers what came of it, and she takes it: both see the same, also when they come anew.
    his.locator("#fork").get_by_role("button", name="Offer back").click()
    his.locator("#sheet").get_by_label("A word about it").fill("I tried an index")
    his.locator("#sheet").get_by_role("button", name="Offer", exact=True).click()
    hers.locator("#queue .offer").get_by_role("link", name="Compare").click()
    offered = hers.get_by_role("region", name="What Bob offers")
    expect(offered).to_contain_text("Ten times as fast")
    hers.get_by_role("button", name="Take as the new head").click()
    until_ready(hers)
    expect(his.locator("#fork")).to_contain_text("Alice took what was offered")
    his.goto(re.sub("/c/.*", f"/c/{hers.url.partition('/c/')[2]}", his.url))  # at his process
    for page in (hers, his):
        until_ready(page)
        expect(words(page)).to_have_text("Ten times as fast")
        expect(questions(page)).to_have_count(4)
    assert for_anybody(hers) == for_anybody(his)
    hers.reload()
    until_ready(hers)
    assert for_anybody(hers) == for_anybody(his)
