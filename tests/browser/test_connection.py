"""Tabs, restarts, sockets that do not come through, and sessions that end."""

import json
import signal

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from conversations.models import Conversation, User
from tests.browser.dictation import Dictate
from tests.browser.portal import Portal
from tests.browser.proxy import proxy_without_sockets
from tests.browser.rows import session_of
from tests.browser.test_queue import expect_line
from tests.browser.thread import (
    Visit,
    answer,
    answers,
    field,
    questions,
    send,
    stop_button,
    thread_html,
    until,
    until_ready,
    until_settled,
    words,
)
from tests.browser.watch import Watch

# What Chromium itself writes when a server is away.
AWAY = r"WebSocket connection to|ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET"


def another_tab(page: Page) -> Page:
    tab = page.context.new_page()
    tab.goto(page.url)
    until_ready(tab)
    return tab


def test_two_tabs_show_the_same_at_every_moment(
    visit: Visit, alice: User, conversation: Conversation, dictate: Dictate
) -> None:
    one = visit(alice, f"/c/{conversation.public_id}/")
    two = another_tab(one)
    dictation = dictate()
    send(one, "Hello from the first tab")
    expect(questions(two).locator("> .text")).to_have_text(["Hello from the first tab"])
    dictation.say("Growing")
    for tab in (one, two):
        expect(words(tab)).to_have_text("Growing")
    dictation.say(" in both\n\n- a\n- b")
    for tab in (one, two):
        expect(words(tab).locator("li")).to_have_text(["a", "b"])
    dictation.finish()
    for tab in (one, two):
        until_settled(tab)
    assert thread_html(one) == thread_html(two)


def test_what_one_tab_stops_has_stopped_in_the_other(
    visit: Visit, alice: User, conversation: Conversation, dictate: Dictate
) -> None:
    one = visit(alice, f"/c/{conversation.public_id}/")
    two = another_tab(one)
    dictation = dictate()
    send(one, "Go on")
    dictation.say("Going on")
    expect(words(two)).to_have_text("Going on")
    stop_button(two).click()
    for tab in (one, two):
        expect(answer(tab)).to_contain_text("Stopped by Alice.")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_portal_in_the_middle_loses_nothing(
    page: Page, dictate: Dictate, portal: Portal, watch: Watch, how: signal.Signals
) -> None:
    watch.allow(AWAY)
    dictation, again, following = dictate(), dictate(), dictate()
    send(page, "Tell me")
    dictation.say("What was said before")
    expect(words(page)).to_have_text("What was said before")
    send(page, "And then?")
    expect_line("And then", on=[page])
    field(page).fill("A thought for later")
    page.wait_for_timeout(1_200)  # after a second it is in the table, however the portal ends
    portal.end(how)
    try:
        expect(page.get_by_text("Reconnecting…")).to_be_visible()
    finally:
        portal.start()

    expect(page.get_by_text("Reconnecting…")).to_have_count(0, timeout=20_000)
    expect(answer(page)).to_contain_text("The portal was restarted")
    expect(words(page)).to_have_text("What was said before")
    expect(field(page)).to_have_value("A thought for later")
    expect_line("And then", on=[page])
    expect(page.locator("#queue")).to_contain_text("The last answer broke off")
    expect(questions(page)).to_have_count(1)
    answer(page).get_by_role("button", name="Retry").click()
    again.say("Said again")
    expect(words(page)).to_have_text("Said again")
    expect(answers(page)).to_have_count(1)
    again.finish()
    following.say("And then this")
    expect(words(page)).to_have_text("And then this")
    expect_line(on=[page])
    following.finish()
    until_settled(page)
    expect(questions(page)).to_have_count(2)
    expect(answers(page)).to_have_count(2)


def test_without_a_socket_the_page_asks_and_the_answer_still_comes(
    visit: Visit,
    alice: User,
    conversation: Conversation,
    dictate: Dictate,
    portal: Portal,
    watch: Watch,
) -> None:
    watch.allow(r"WebSocket connection to|off origin")
    with proxy_without_sockets(portal.port) as address:
        page = visit(None)
        page.context.add_cookies(
            [{"name": "sessionid", "value": session_of(alice), "url": address}]
        )
        page.goto(f"{address}/c/{conversation.public_id}/")
        until_ready(page)
        dictation = dictate()
        send(page, "Anybody there?")
        dictation.say("Yes, ")
        expect(words(page)).to_have_text("Yes,")
        dictation.say("here.")
        expect(words(page)).to_have_text("Yes, here.")
        dictation.finish()
        until_settled(page)
        expect(words(page)).to_have_text("Yes, here.")
        expect(page.get_by_text("Reconnecting…")).to_have_count(0)
        page.close()


def test_who_is_signed_out_elsewhere_is_told_and_keeps_what_was_typed(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    one = visit(alice, f"/c/{conversation.public_id}/")
    two = another_tab(one)
    # In the same browser drafts go when one signs out; what is in the field of a tab stays there.
    field(one).fill("Not sent yet")
    two.get_by_role("button", name="Alice").click()
    two.get_by_role("button", name="Sign out").click()
    expect(two).to_have_url("/accounts/login/")
    expect(one.get_by_text("You were signed out.")).to_be_visible()
    expect(field(one)).to_have_value("Not sent yet")
    link = one.get_by_role("link", name="Sign in")
    expect(link).to_have_attribute(
        "href", f"/accounts/login/?next=%2Fc%2F{conversation.public_id}%2F"
    )


def test_a_message_sent_after_being_signed_out_stays_in_the_field(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    Session.objects.all().delete()
    send(page, "Is anybody there?")
    expect(page.get_by_text("You were signed out.")).to_be_visible()
    expect(field(page)).to_have_value("Is anybody there?")


WATCH_LIVE = """() => {
  window.changes = 0;
  new MutationObserver((changes) => { window.changes += changes.length; }).observe(
    document.getElementById("messages"), { subtree: true, attributeFilter: ["data-live"] });
}"""


def test_what_comes_late_takes_nothing_newer_away(
    visit: Visit, alice: User, conversation: Conversation, dictate: Dictate
) -> None:
    """As where the line between processes stands still: what was told then arrives afterwards."""
    late: list[str | bytes] = []
    lines: list[WebSocketRoute] = []

    def hold_back(line: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            is_late = json.loads(message)["t"] in {"added", "settled"}
            late.append(message) if is_late else line.send(message)

        lines.append(line)
        line.connect_to_server().on_message(pass_on)

    asking = visit(alice, f"/c/{conversation.public_id}/")
    page = asking.context.new_page()
    page.route_web_socket("**/ws/", hold_back)
    page.goto(asking.url)
    until_ready(page)
    dictation = dictate()
    send(asking, "One?")
    dictation.say("One.")
    dictation.finish()
    until_settled(asking)
    until_settled(page)
    expect(words(page)).to_have_text("One.")
    until(page, lambda: len(late) == 2)  # a fetch may have been faster
    page.reload()  # whatever is told from here on is of the past
    until_ready(page)
    shown = thread_html(page)
    assert [json.loads(message)["t"] for message in late] == ["added", "settled"]
    lines[-1].send(late[0])
    with page.expect_console_message(lambda heard: "late" in heard.text):
        page.evaluate("setTimeout(() => console.info('late'), 200)")
    assert thread_html(page) == shown
    assert thread_html(asking) == shown


def test_a_fetch_that_comes_late_takes_nothing_back(
    visit: Visit, alice: User, conversation: Conversation, dictate: Dictate
) -> None:
    dictation = dictate()
    page = visit(alice, f"/c/{conversation.public_id}/")
    send(page, "Is it fast?")
    dictation.say("Very.")
    expect(words(page)).to_have_text("Very.")
    fetched: list[str] = []

    def hold_back(route: Route) -> None:
        response = route.fetch()
        dictation.finish()
        until_settled(page)
        page.evaluate(WATCH_LIVE)
        page.on("response", lambda response: fetched.append(response.url))
        route.fulfill(response=response)

    page.route("**/messages/", hold_back, times=1)
    other = page.context.new_page()
    other.goto(page.url)
    until_ready(other)
    other.get_by_role("button", name="Rename").click()
    other.get_by_label("Title", exact=True).fill("About speed")
    other.keyboard.press("Enter")
    until(page, lambda: len(fetched) == 2)  # the second is right
    expect(page.locator("[data-title-text]")).to_have_text("About speed")
    assert page.evaluate("window.changes") == 0
