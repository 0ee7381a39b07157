"""Messages that wait for their turn, seen and moved by two people in two browsers."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, Message, Participant, QueuedTurn, Role, User
from tests.browser.dictation import Dictate
from tests.browser.rows import newcomer
from tests.browser.test_accessibility import look
from tests.browser.thread import (
    Visit,
    field,
    for_anybody,
    questions,
    send,
    stop_button,
    thread_html,
    until_settled,
    words,
)
from tests.browser.watch import Watch


def turns(page: Page) -> Locator:
    return page.locator("#queue .turn")


def turn(page: Page, text: str) -> Locator:
    return turns(page).filter(has_text=text)


def queue_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Queue", exact=True)


def expect_line(*texts: str, on: list[Page]) -> None:
    for page in on:
        expect(turns(page)).to_have_text([re.compile(text) for text in texts])


def test_a_message_waits_where_all_see_it_and_is_sent_in_turn(
    hers: Page, his: Page, dictate: Dictate
) -> None:
    first, second, third = dictate(), dictate(), dictate()
    send(hers, "One?")
    first.say("Answering")
    for page in (hers, his):
        expect(words(page)).to_have_text("Answering")
        expect(queue_button(page)).to_be_visible()
        expect(stop_button(page)).to_be_visible()
    send(his, "Two?")
    expect_line("Two", on=[hers, his])
    expect(field(his)).to_have_value("")
    expect(field(his)).to_be_focused()
    field(hers).fill("Three?")
    queue_button(hers).click()
    expect_line("Two", "Three", on=[hers, his])
    hers.reload()
    expect_line("Two", "Three", on=[hers])
    first.finish()
    second.say("Second answer")
    expect_line("Three", on=[hers, his])
    expect(words(his)).to_have_text("Second answer")
    second.finish()
    third.say("Third answer")
    expect_line(on=[hers, his])
    for page in (hers, his):
        expect(words(page)).to_have_text("Third answer")
    third.finish()
    for page in (hers, his):
        until_settled(page)
        expect(questions(page)).to_have_count(3)
        expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    assert for_anybody(hers) == for_anybody(his)
    before = thread_html(his)
    his.reload()
    assert thread_html(his) == before


def test_its_author_edits_it_and_nobody_else_may(
    hers: Page, his: Page, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("422")
    first, second = dictate(), dictate()
    send(hers, "One?")
    first.say("Answering")
    send(his, "Teh question")
    expect(turn(hers, "Teh").get_by_role("button", name="Edit")).to_be_hidden()
    turn(his, "Teh").get_by_role("button", name="Edit").click()
    sheet = his.get_by_role("dialog", name="Edit your turn")
    expect(sheet.get_by_label("Message")).to_be_focused()
    sheet.get_by_label("Message").fill(" ")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.get_by_text("Write something first.")).to_be_visible()
    sheet.get_by_label("Message").fill("The question")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet).to_be_hidden()
    expect_line("The question edited", on=[hers, his])
    first.finish()
    second.wait_until_asked()
    assert second.request["messages"][-1]["content"].endswith("The question")
    second.finish()


def test_what_is_typed_for_a_turn_that_goes_meanwhile_stays_in_the_sheet(
    hers: Page, his: Page, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("404|htmx:")
    first, second = dictate(), dictate()
    send(hers, "One?")
    first.say("Answering")
    send(his, "Early")
    turn(his, "Early").get_by_role("button", name="Edit").click()
    sheet = his.get_by_role("dialog", name="Edit your turn")
    sheet.get_by_label("Message").fill("Typed with care")
    first.finish()
    second.wait_until_asked()
    sheet.get_by_role("button", name="Save").click()
    expect(his.get_by_text("It was sent or withdrawn meanwhile.")).to_be_visible()
    expect(sheet.get_by_label("Message")).to_have_value("Typed with care")
    his.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    second.finish()


def test_an_owner_puts_turns_in_order_by_keyboard(hers: Page, his: Page, dictate: Dictate) -> None:
    first = dictate()
    send(hers, "Now?")
    first.say("Answering")
    for text in ("First", "Second", "Third"):
        send(his, text)
        expect(turn(his, text)).to_be_visible()
    expect(turn(his, "Third").get_by_role("button", name="Earlier")).to_be_hidden()
    up = turn(hers, "Third").get_by_role("button", name="Earlier")
    up.focus()
    hers.keyboard.press("Enter")
    expect_line("First", "Third", "Second", on=[hers, his])
    expect(up).to_be_focused()
    hers.keyboard.press("Enter")
    expect_line("Third", "First", "Second", on=[hers, his])
    # It cannot go further up; the next button of the same turn has the focus.
    expect(turn(hers, "Third").get_by_role("button", name="Later")).to_be_focused()
    hers.keyboard.press("Enter")
    expect_line("First", "Third", "Second", on=[hers, his])
    stop_button(hers).click()


@pytest.mark.parametrize("who", ["author", "owner"])
def test_it_is_withdrawn_by_its_author_and_by_an_owner(
    hers: Page, his: Page, bob: User, dictate: Dictate, who: str
) -> None:
    first = dictate()
    send(hers, "One?")
    first.say("Answering")
    send(his, "Never mind")
    expect_line("Never mind", on=[hers, his])
    page = his if who == "author" else hers
    turn(page, "Never mind").get_by_role("button", name="Withdraw").click()
    expect_line(on=[hers, his])
    for each in (hers, his):
        expect(each.locator("#queue")).to_be_hidden()
    expect(field(his)).to_have_value("Never mind" if who == "author" else "")
    first.finish()
    until_settled(his)
    assert not Message.objects.filter(author=bob).exists()


def test_sent_now_the_answer_stops_and_the_turn_goes_first(
    hers: Page, his: Page, bob: User, dictate: Dictate
) -> None:
    first, second, third = dictate(), dictate(), dictate()
    send(hers, "One?")
    first.say("Long answer")
    send(hers, "Can wait")
    expect_line("Can wait", on=[his])
    expect(turn(his, "Can wait").get_by_role("button", name="Send now")).to_be_hidden()
    send(his, "Urgent")
    turn(his, "Urgent").get_by_role("button", name="Send now").click()
    first.wait_until_over()
    second.say("At once")
    for page in (hers, his):
        expect(words(page)).to_have_text("At once")
        expect(page.locator("#messages")).to_contain_text("Stopped by Bob.")
    expect_line("Can wait", on=[hers, his])
    # Stopping by hand goes on with what waits.
    stop_button(his).click()
    third.say("And this")
    for page in (hers, his):
        expect(questions(page)).to_have_count(3)
    third.finish()
    until_settled(hers)


def test_both_press_send_now_and_it_is_sent_once(
    hers: Page, his: Page, bob: User, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("404|409|htmx:")
    first, second = dictate(), dictate()
    send(hers, "One?")
    first.say("Answering")
    send(his, "Urgent")
    expect_line("Urgent", on=[hers, his])
    buttons = [turn(page, "Urgent").get_by_role("button", name="Send now") for page in (hers, his)]
    for button in buttons:
        button.evaluate("button => setTimeout(() => button.click(), 50)")
    second.say("Once")
    for page in (hers, his):
        expect(words(page)).to_have_text("Once")
        expect(questions(page)).to_have_count(2)
    second.finish()
    assert Message.objects.filter(author=bob).count() == 1


def test_after_a_failure_it_waits_until_somebody_sends_the_next(
    hers: Page, his: Page, dictate: Dictate
) -> None:
    first, second = dictate(), dictate()
    send(hers, "One?")
    first.say("Half")
    send(his, "Two?")
    expect_line("Two?", on=[hers, his])
    first.die()
    for page in (hers, his):
        expect(page.locator("#queue")).to_contain_text("The last answer broke off")
        expect(queue_button(page)).to_be_visible()
    hers.get_by_role("button", name="Send next").click()
    second.say("Goes on")
    for page in (hers, his):
        expect(words(page)).to_have_text("Goes on")
        expect_line(on=[page])
    second.finish()


def test_without_a_socket_the_queue_is_seen_too(
    visit: Visit, hers: Page, bob: User, shared: Conversation, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("WebSocket")
    first = dictate()
    send(hers, "One?")
    first.say("Answering")
    page = visit(bob)
    page.context.route_web_socket("**/ws/", lambda socket: socket.close())
    page.goto(f"/c/{shared.public_id}/")
    send(hers, "From Alice")
    expect_line("From Alice", on=[page])
    first.finish()


def test_a_queue_looks_right(
    hers: Page, his: Page, visit: Visit, shared: Conversation, dictate: Dictate, tmp_path: Path
) -> None:
    first = dictate()
    send(hers, "Why is the export slow since Monday, and what changed in the nightly job?")
    first.say("It reads every row twice. ")
    send(his, "And " + "what about the other one, which was slow already? " * 8)
    send(hers, "Sum it up for the team.")
    expect(turns(hers)).to_have_count(2)
    viewer = newcomer("Vera")
    Participant.objects.create(conversation=shared, user=viewer, role=Role.VIEWER)
    hers_too = visit(viewer, f"/c/{shared.public_id}/")
    expect(turns(hers_too)).to_have_count(2)
    expect(hers_too.locator("#queue button:visible")).to_have_count(0)
    for page in (hers, his, hers_too):
        look(page)
    turn(hers, "Sum it up").get_by_role("button", name="Edit").click()
    expect(hers.get_by_role("dialog", name="Edit your turn")).to_be_visible()
    look(hers)
    hers.keyboard.press("Escape")
    first.die()
    expect(hers.get_by_role("button", name="Send next")).to_be_visible()
    look(hers)
    assert QueuedTurn.objects.filter(conversation=shared).count() == 2
