"""What is typed is sent once, or stays where it is with a reason."""

import pytest
from playwright.sync_api import Page, Route, expect

from conversations.models import Conversation, Message, User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of
from tests.browser.thread import (
    Visit,
    answer,
    delay,
    field,
    questions,
    send,
    send_button,
    stop_button,
    until_ready,
    until_settled,
    words,
)
from tests.browser.watch import Watch
from tests.upstream import ScriptedUpstream


def said_by(person: User) -> int:
    return Message.objects.filter(author=person).count()


def model_chip(page: Page) -> str:
    return page.locator("[data-model-chip]").inner_text()


def open_settings(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()


# --- Once -----------------------------------------------------------------------------------------


def test_a_double_click_on_send_sends_once(
    page: Page, alice: User, upstream: ScriptedUpstream
) -> None:
    field(page).fill("Only once")
    send_button(page).dblclick()
    until_settled(page)
    page.reload()
    expect(questions(page)).to_have_count(1)
    assert said_by(alice) == 1
    assert Conversation.objects.filter(participants__user=alice).count() == 1


def test_enter_pressed_twice_sends_once(
    visit: Visit, alice: User, conversation: Conversation, upstream: ScriptedUpstream
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    field(page).fill("Only once")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    until_settled(page)
    page.reload()
    expect(questions(page)).to_have_count(1)
    assert said_by(alice) == 1


def test_a_message_that_did_not_get_through_stays_and_is_sent_once_in_the_end(
    visit: Visit,
    alice: User,
    conversation: Conversation,
    upstream: ScriptedUpstream,
    watch: Watch,
) -> None:
    watch.allow("ERR_INTERNET_DISCONNECTED|WebSocket connection to|htmx:")
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.context.set_offline(True)
    send(page, "Can you hear me?")
    expect(page.get_by_text("The portal could not be reached.")).to_be_visible()
    expect(field(page)).to_have_value("Can you hear me?")
    page.context.set_offline(False)
    send_button(page).click()
    until_settled(page)
    expect(questions(page)).to_have_count(1)
    expect(field(page)).to_have_value("")
    assert said_by(alice) == 1


def test_a_blank_message_goes_nowhere(page: Page, alice: User) -> None:
    send(page, "  \n ")
    send_button(page).click()
    expect(field(page)).to_have_value("  \n ")
    assert said_by(alice) == 0


def test_shift_enter_breaks_the_line(page: Page, upstream: ScriptedUpstream) -> None:
    field(page).fill("one")
    field(page).press("Shift+Enter")
    page.keyboard.type("two")
    field(page).press("Enter")
    expect(questions(page).locator("> .text")).to_have_text("one\ntwo", use_inner_text=True)


# --- Kept -----------------------------------------------------------------------------------------


def test_what_is_sent_while_another_is_on_its_way_follows_it(page: Page, dictate: Dictate) -> None:
    first = dictate()
    send(page, "First")
    first.say("Answering")
    expect(words(page)).to_have_text("Answering")
    delay(page, "**/messages/", 700)
    send(page, "Waits")
    field(page).press("Enter")  # the same again, by habit
    send(page, "Follows")
    expect(page.locator("#queue .turn-text")).to_have_text(["Alice Waits", "Alice Follows"])
    expect(field(page)).to_have_value("")
    first.die()


def test_a_response_that_comes_after_the_answers_end_takes_nothing_back(
    page: Page, dictate: Dictate
) -> None:
    send(page, "Is it fast?")
    dictation = dictate()
    dictation.say("Yes.")
    dictation.finish()
    until_settled(page)
    dictation = dictate()

    def hold_back(route: Route) -> None:
        response = route.fetch()
        dictation.say("Very.")
        dictation.finish()
        expect(words(page)).to_have_text("Very.")
        until_settled(page)
        route.fulfill(response=response)

    page.route("**/messages/", hold_back, times=1)
    send(page, "How fast?")
    expect(field(page)).to_have_value("")
    until_settled(page)
    expect(words(page)).to_have_text("Very.")


def test_while_the_queue_is_full_sending_is_refused_and_the_text_stays(
    page: Page, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("409")
    first = dictate()
    send(page, "First")
    first.say("Answering")
    expect(words(page)).to_have_text("Answering")
    for number in range(8):
        send(page, f"Waits {number}")
        expect(page.locator("#queue .turn")).to_have_count(number + 1)
        expect(field(page)).to_have_value("")  # the socket may be faster than the form
    send(page, "One too many")
    expect(page.locator("#composer-refusal")).to_contain_text("8 messages of yours wait here")
    expect(field(page)).to_have_value("One too many")
    expect(field(page)).to_be_focused()
    page.get_by_role("button", name="Withdraw").first.click()
    expect(page.locator("#queue .turn")).to_have_count(7)
    expect(field(page)).to_have_value("One too many\n\nWaits 0")
    field(page).press("Enter")
    expect(page.locator("#queue .turn")).to_have_count(8)
    expect(page.locator("#composer-refusal")).to_have_text("")
    first.die()


def test_while_the_database_is_away_the_text_stays_with_the_reason_and_is_sent_once(
    visit: Visit, alice: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("503")
    page = visit(alice, f"/c/{conversation.public_id}/")
    away = {"status": 503, "content_type": "text/plain", "body": "Busy with its database."}
    page.route("**/messages/", lambda route: route.fulfill(**away), times=1)
    send(page, "Typed with care")
    expect(page.locator("#composer-refusal")).to_have_text("Busy with its database.")
    expect(field(page)).to_have_value("Typed with care")
    field(page).press("Enter")
    expect(questions(page)).to_have_count(1)
    expect(page.locator("#composer-refusal")).to_have_text("")
    assert said_by(alice) == 1


def test_a_draft_outlives_a_reload_and_belongs_to_its_conversation(
    visit: Visit, alice: User
) -> None:
    one, two = conversation_of(alice, title="One"), conversation_of(alice, title="Two")
    page = visit(alice, f"/c/{one.public_id}/")
    field(page).fill("For the first")
    page.reload()
    until_ready(page)
    expect(field(page)).to_have_value("For the first")
    page.get_by_role("link", name="Two").click()
    expect(page).to_have_url(f"/c/{two.public_id}/")
    expect(field(page)).to_have_value("")
    page.get_by_role("link", name="One").click()
    expect(field(page)).to_have_value("For the first")


def test_signing_out_leaves_no_draft_behind(visit: Visit, alice: User) -> None:
    page = visit(alice)
    field(page).fill("Nobody's business")
    assert page.evaluate("localStorage.length") > 0
    page.get_by_role("button", name="Alice").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/accounts/login/")
    kept = page.evaluate("Object.values(localStorage).join()")
    assert "Nobody" not in kept


def test_what_is_typed_while_a_message_is_on_its_way_is_kept(
    visit: Visit, alice: User, conversation: Conversation, upstream: ScriptedUpstream
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    delay(page, "**/messages/", 300)
    send(page, "Sent")
    page.keyboard.type(" and more")
    expect(questions(page)).to_have_count(1)
    expect(field(page)).to_have_value("and more")


# --- How the model is asked -----------------------------------------------------------------------


def test_model_and_settings_of_a_new_conversation_reach_the_upstream(
    page: Page, dictate: Dictate
) -> None:
    page.locator("[data-model-chip]").click()
    page.get_by_role("option", name="indigo-owl-4").click()
    assert "indigo-owl-4" in model_chip(page)
    open_settings(page)
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_role("button", name="Done").click()
    dictation = dictate()
    send(page, "Hello")
    dictation.say("Hi.")
    dictation.finish()
    until_settled(page)
    asked = dictation.request
    assert (asked["model"], asked["temperature"]) == ("indigo-owl-4", 0.3)
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    expect(answer(page)).to_contain_text("indigo-owl-4")


def test_settings_are_saved_and_there_after_a_reload(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    open_settings(page)
    page.get_by_label("Longest answer").fill("200")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    page.reload()
    until_ready(page)
    open_settings(page)
    expect(page.get_by_label("Longest answer")).to_have_value("200")
    conversation.refresh_from_db()
    assert conversation.parameters == {"max_tokens": 200}


@pytest.mark.parametrize("place", ["new", "saved"])
def test_a_setting_that_is_refused_says_why_beside_its_field(
    visit: Visit, alice: User, conversation: Conversation, watch: Watch, place: str
) -> None:
    watch.allow("422")
    page = visit(alice, "/" if place == "new" else f"/c/{conversation.public_id}/")
    open_settings(page)
    page.get_by_label("Stop sequences").fill("a\nb\nc\nd\ne")
    if place == "new":
        page.get_by_role("button", name="Done").click()
        send(page, "Hello")
        expect(field(page)).to_have_value("Hello")
    else:
        page.get_by_role("button", name="Save").click()
    wrong = page.locator(".setting", has=page.get_by_label("Stop sequences"))
    expect(wrong.locator(".field-error")).to_be_visible()
    expect(wrong.locator(".field-error")).to_contain_text("4")
    expect(page.get_by_label("Stop sequences")).to_have_value("a\nb\nc\nd\ne")
    expect(page.get_by_label("Stop sequences")).to_be_focused()


def test_settings_never_cover_the_button_that_opened_them(page: Page) -> None:
    for size in ((1280, 900), (1024, 700), (1024, 560)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        open_settings(page)
        sheet = page.locator("#settings").bounding_box()
        button = page.locator("[data-settings-chip]").bounding_box()
        assert sheet is not None
        assert button is not None
        assert sheet["y"] >= 0
        assert sheet["y"] + sheet["height"] <= button["y"]
        page.keyboard.press("Escape")
        expect(page.locator("#settings")).to_be_hidden()


def test_a_first_prompt_fills_the_field(page: Page) -> None:
    page.get_by_role("button", name="Explain DNS").click()
    expect(field(page)).to_have_value("Explain DNS")
    expect(field(page)).to_be_focused()
    expect(stop_button(page)).to_be_hidden()


def test_a_message_overtakes_a_page_that_has_not_come_yet(
    page: Page, upstream: ScriptedUpstream
) -> None:
    delay(page, "/", 300)
    delay(page, "**/conversations/", 700)
    page.keyboard.press("Control+Shift+O")
    send(page, "Faster than the page")
    expect(questions(page)).to_have_count(1)
    until_settled(page)
    expect(page.locator("#title h1")).to_have_text("Faster than the page")
