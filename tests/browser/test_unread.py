"""Unread: in the sidebar, in the thread, in the window's title, and over several tabs."""

import re
from typing import Any

import pytest
from django.db.models import Max
from playwright.sync_api import Page, expect

from conversations.models import Conversation, Participant, Role, User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of
from tests.browser.test_accessibility import LOOKS, violations
from tests.browser.test_branches import button
from tests.browser.thread import Visit, field, questions, rows, send, until_ready, until_settled
from tests.programs import until

LONG = "It reads every row twice.\n\n" * 40
# What a hidden tab is to its scripts; browsers without a window never hide one.
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
NOTIFY = """
window.shown = [];
window.Notification = class {
  static permission = "default";
  static async requestPermission() { return (this.permission = "granted"); }
  constructor(title, options) { window.shown.push([title, options.body]); }
};
"""


@pytest.fixture
def shared(alice: User, bob: User) -> Conversation:
    conversation = conversation_of(alice, ("Why is the export slow?", LONG))
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return conversation


def hide(page: Page, hidden: bool = True) -> None:
    page.evaluate(HIDE, hidden)


def line(page: Page) -> Any:
    return page.locator("#messages > [data-unread]")


def test_a_row_counts_and_reading_clears_it_in_all_tabs(
    visit: Visit, alice: User, bob: User, shared: Conversation, dictate: Dictate
) -> None:
    other = visit(bob)
    asking = visit(alice, f"/c/{shared.public_id}/")
    dictation = dictate()
    send(asking, "And why twice?")
    expect(rows(other).locator(".unread")).to_have_text(re.compile("^1 unread"))
    expect(other).to_have_title(re.compile(r"^\(1\) "))
    expect(rows(asking).locator(".unread")).to_have_count(0)  # one's own
    dictation.say("Because it joins.")
    dictation.finish()
    expect(rows(other).locator(".unread")).to_have_text(re.compile("^2 unread"))
    until_settled(asking)
    asking.wait_for_timeout(300)
    expect(rows(asking).locator(".unread")).to_have_count(0)  # seen as it was written
    reading = other.context.new_page()
    reading.goto(f"/c/{shared.public_id}/")
    until_ready(reading)
    expect(line(reading)).to_contain_text("And why twice?")
    expect(reading.get_by_role("button", name="Jump to latest")).to_be_hidden()
    expect(rows(reading).locator(".unread")).to_have_count(0)
    expect(rows(other).locator(".unread")).to_have_count(0)
    expect(other).not_to_have_title(re.compile(r"^\("))
    other.reload()
    expect(rows(other).locator(".unread")).to_have_count(0)


def test_one_begins_where_the_unread_does(
    visit: Visit, alice: User, bob: User, shared: Conversation, dictate: Dictate
) -> None:
    asking = visit(alice, f"/c/{shared.public_id}/")
    dictation = dictate()
    send(asking, "And why twice?")
    dictation.say(LONG)
    dictation.finish()
    until_settled(asking)
    reading = visit(bob, f"/c/{shared.public_id}/")
    expect(line(reading)).to_be_in_viewport()
    expect(line(reading)).to_contain_text("And why twice?")
    reading.wait_for_timeout(2500)
    expect(rows(reading).locator(".unread")).to_have_count(1)  # the end has not been seen
    reading.get_by_role("button", name="Jump to latest").click()
    expect(rows(reading).locator(".unread")).to_have_count(0)
    expect(line(reading)).to_have_count(1)  # and stays while one reads on
    reading.reload()
    until_ready(reading)
    expect(line(reading)).to_have_count(0)


def test_what_comes_while_the_tab_is_hidden_is_unread_until_one_is_back(
    visit: Visit, alice: User, bob: User, shared: Conversation, dictate: Dictate
) -> None:
    away = visit(bob, f"/c/{shared.public_id}/")
    asking = visit(alice, f"/c/{shared.public_id}/")
    hide(away)
    dictation = dictate()
    send(asking, "And why twice?")
    expect(line(away)).to_contain_text("And why twice?")
    expect(away).to_have_title(re.compile(r"^\(1\) "))
    dictation.say("So.")
    dictation.finish()
    expect(rows(away).locator(".unread")).to_have_text(re.compile("^2 unread"))
    hide(away, False)
    expect(rows(away).locator(".unread")).to_have_count(0)
    expect(away).not_to_have_title(re.compile(r"^\("))
    expect(line(away)).to_contain_text("And why twice?")


def test_what_somebody_has_left_by_another_branch_is_unread_no_longer(
    visit: Visit, alice: User, bob: User, shared: Conversation, dictate: Dictate
) -> None:
    asking, reading = visit(alice, f"/c/{shared.public_id}/"), visit(bob)
    until_ready(asking)
    button(questions(asking).last, "Say it in new words").click()
    expect(asking.locator("#composer .place")).to_be_visible()
    dictation = dictate()
    send(asking, "And why at all?")
    dictation.say("So.")
    dictation.finish()
    until_settled(asking)
    expect(rows(reading).locator(".unread")).to_have_text(re.compile("^2 unread"))
    button(questions(asking).last, "Previous wording").click()
    expect(questions(asking).last).to_contain_text("Why is the export slow?")
    rows(reading).get_by_role("link").click()
    expect(questions(reading).last).to_contain_text("Why is the export slow?")
    expect(line(reading)).to_have_count(0)
    expect(rows(reading).locator(".unread")).to_have_count(0)
    part = Participant.objects.filter(conversation=shared, user=bob)
    news = shared.messages.aggregate(Max("news"))["news__max"]
    until(lambda: part.filter(read_revision__gte=news).exists(), 30)
    reading.reload()
    until_ready(reading)
    expect(rows(reading).locator(".unread")).to_have_count(0)


def test_a_muted_conversation_is_not_in_the_title(
    visit: Visit, alice: User, bob: User, shared: Conversation, dictate: Dictate
) -> None:
    muting = visit(bob)
    menu = muting.get_by_role("button", name="Actions for Slow export")
    rows(muting).hover()
    menu.click()
    muting.get_by_role("button", name="Mute", exact=True).click()
    expect(rows(muting).get_by_role("img", name="Muted")).to_be_visible()
    dictate()
    asking = visit(alice, f"/c/{shared.public_id}/")
    send(asking, "And why twice?")
    expect(rows(muting).locator(".unread")).to_have_count(1)
    expect(muting).not_to_have_title(re.compile(r"^\("))
    rows(muting).hover()
    menu.click()
    muting.get_by_role("button", name="Unmute").click()
    expect(rows(muting).get_by_role("img", name="Muted")).to_have_count(0)
    expect(muting).to_have_title(re.compile(r"^\(1\) "))


def test_notifications_come_when_asked_for_and_only_to_a_hidden_tab(
    visit: Visit, alice: User, shared: Conversation, dictate: Dictate
) -> None:
    page = visit(alice, f"/c/{shared.public_id}/")
    page.add_init_script(NOTIFY)
    page.reload()
    until_ready(page)
    page.get_by_role("button", name="Alice").click()
    control = page.get_by_role("button", name="Notifications in this browser")
    expect(control).to_have_attribute("aria-pressed", "false")  # off until one asks
    control.click()
    expect(control).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    for hidden in (False, True):
        hide(page, hidden)
        dictation = dictate()
        send(page, "And why twice?")
        dictation.say("So.")
        dictation.finish()
        until_settled(page)
        page.wait_for_timeout(500)
        expected = [["Slow export", "Your answer is there."]] if hidden else []
        assert page.evaluate("window.shown") == expected
    page.get_by_role("button", name="Alice").click()
    control.click()
    expect(control).to_have_attribute("aria-pressed", "false")


def test_who_is_mentioned_is_notified_in_a_hidden_tab(
    visit: Visit, alice: User, bob: User, shared: Conversation, dictate: Dictate
) -> None:
    away = visit(bob, f"/c/{shared.public_id}/")
    away.add_init_script(NOTIFY)
    away.reload()
    until_ready(away)
    away.get_by_role("button", name="Bob").click()
    control = away.get_by_role("button", name="Notifications in this browser")
    control.click()
    expect(control).to_have_attribute("aria-pressed", "true")
    away.keyboard.press("Escape")
    hide(away)
    asking = visit(alice, f"/c/{shared.public_id}/")
    dictation = dictate()
    field(asking).fill("@Bob, look")
    field(asking).press("Escape")
    field(asking).press("Enter")
    until(lambda: bool(away.evaluate("window.shown.length")), 10)
    dictation.say("So.")
    dictation.finish()
    until_settled(away)
    away.wait_for_timeout(500)
    assert away.evaluate("window.shown") == [["Slow export", "Alice mentions you."]]


@pytest.mark.parametrize(("theme", "size"), LOOKS)
def test_axe_finds_nothing_where_something_is_unread(
    visit: Visit,
    alice: User,
    bob: User,
    shared: Conversation,
    dictate: Dictate,
    theme: str,
    size: dict[str, int],
) -> None:
    away = visit(bob, f"/c/{shared.public_id}/", color_scheme=theme, viewport=size)
    hide(away)
    dictate()
    send(visit(alice, f"/c/{shared.public_id}/"), "And why twice?")
    expect(line(away)).to_have_count(1)
    expect(rows(away).locator(".unread")).to_have_count(1)
    assert violations(away) == []
