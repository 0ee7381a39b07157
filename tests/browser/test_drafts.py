"""Several answers side by side: two people watch, vote, and go on with one."""

from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, User
from tests.browser.dictation import Dictate, Dictation
from tests.browser.test_accessibility import violations
from tests.browser.thread import (
    Visit,
    answers,
    for_anybody,
    questions,
    send,
    stop_button,
    thread_html,
    until_ready,
    until_settled,
)
from tests.browser.watch import Watch


def columns(page: Page) -> Locator:
    return page.locator("#messages .drafts > .draft")


def ask_for(page: Page, text: str, *also: str) -> None:
    until_ready(page)
    page.get_by_role("button", name="Several answers").click()
    for model in also:
        page.locator("#several").get_by_label(model).check()
    page.get_by_role("button", name="Done").click()
    send(page, text)


def in_order(*dictations: Dictation) -> list[Dictation]:
    """Both models are asked at the same time, and who comes first is nobody's promise."""
    for one in dictations:
        one.wait_until_asked()
    return sorted(dictations, key=lambda one: str(one.request["model"]))


def until_all_settled(page: Page) -> None:
    expect(page.locator("#messages [data-live]")).to_have_count(0)


def vote(page: Page, number: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Vote for answer {number}")


def test_two_people_watch_two_answers_vote_and_go_on_with_one(
    hers: Page, his: Page, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("409")
    first, second, third = dictate(), dictate(), dictate()
    ask_for(hers, "Which?", "indigo-owl-4")
    first, second = in_order(first, second)
    for page in (hers, his):
        expect(columns(page)).to_have_count(2)
    places = [columns(his).nth(at).bounding_box() for at in (0, 1)]
    first.say("One, ")
    second.say("The *other*, ")
    expect(columns(his).locator(".text")).to_contain_text(["One,", "The other,"])
    first.say("two")
    expect(columns(his).first.locator(".text")).to_have_text("One, two")
    for at, place in enumerate(places):
        now = columns(his).nth(at).bounding_box()
        assert place
        assert now
        assert (now["x"], now["width"]) == (place["x"], place["width"]), "it moved as it grew"
    first.finish()
    expect(columns(his).first).not_to_have_attribute("aria-busy", "true")
    second.say("or none")
    expect(columns(his).nth(1).locator(".text")).to_have_text("The other, or none")

    his.route("**/vote/", lambda route: route.fulfill(status=409, body="Not now."), times=1)
    vote(his, 2).click()
    expect(his.get_by_text("Not now.")).to_be_visible()
    expect(vote(his, 2)).not_to_be_checked()
    vote(his, 2).check()
    expect(columns(hers).nth(1).locator(".voters")).to_have_attribute("title", "Bob")
    expect(columns(hers).nth(1).locator("[data-progress]")).to_have_text("writing")
    expect(vote(his, 2)).to_be_checked()
    expect(vote(his, 2)).to_be_focused()
    expect(vote(hers, 2)).not_to_be_checked()
    second.finish()
    until_all_settled(hers)
    until_all_settled(his)
    watched = for_anybody(his)
    his.reload()
    until_ready(his)
    assert for_anybody(his) == watched == for_anybody(hers)
    expect(vote(his, 2)).to_be_checked()
    assert violations(hers) == []

    columns(hers).nth(1).get_by_role("button", name="Continue with this one").click()
    for page in (hers, his):
        expect(columns(page)).to_have_count(0)
        expect(answers(page)).to_have_count(1)
        expect(answers(page)).to_contain_text("The other, or none")
        expect(answers(page)).to_contain_text("2/2")
    send(hers, "And then?")
    third.say("Then this.")
    third.finish()
    until_settled(his)
    expect(questions(his)).to_have_count(2)
    expect(answers(his)).to_have_count(2)
    watched = thread_html(his)
    his.reload()
    until_ready(his)
    assert thread_html(his) == watched


def test_each_is_stopped_and_asked_for_again_alone_and_stop_ends_them_all(
    hers: Page, his: Page, dictate: Dictate
) -> None:
    first, second, third = dictate(), dictate(), dictate()
    ask_for(hers, "Which?", "indigo-owl-4")
    first, second = in_order(first, second)
    first.say("One.")
    second.say("Two.")
    for page in (hers, his):
        expect(columns(page).locator(".text")).to_have_text(["One.", "Two."])
    columns(his).nth(1).get_by_role("button", name="Stop this answer").click()
    expect(columns(hers).nth(1)).to_contain_text("Stopped by Bob.")
    second.wait_until_over()
    expect(columns(hers).first).to_have_attribute("aria-busy", "true")
    first.say(" More.")
    expect(columns(hers).first.locator(".text")).to_have_text("One. More.")
    stop_button(hers).click()
    expect(columns(his).first).to_contain_text("Stopped by Alice.")
    first.wait_until_over()
    columns(hers).nth(1).get_by_role("button", name="Answer again").click()
    third.say("Two again.")
    for page in (hers, his):
        expect(columns(page).locator(".text")).to_have_text(["One. More.", "Two again."])
    third.finish()
    until_all_settled(his)
    watched = thread_html(his)
    his.reload()
    until_ready(his)
    assert thread_html(his) == watched


def test_on_a_phone_they_are_cards_and_the_next_message_goes_on_with_the_one_that_leads(
    visit: Visit, alice: User, shared: Conversation, dictate: Dictate
) -> None:
    page = visit(
        alice,
        f"/c/{shared.public_id}/",
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
        color_scheme="dark",
    )
    first, second, third = dictate(), dictate(), dictate()
    page.get_by_role("button", name="Several answers").click()
    assert violations(page) == []
    page.get_by_role("button", name="Done").click()
    ask_for(page, "Which?", "indigo-owl-4")
    first, second = in_order(first, second)
    first.say("One.")
    second.say("Two.")
    expect(columns(page).locator(".text")).to_have_text(["One.", "Two."])
    assert violations(page) == []
    first.finish()
    second.finish()
    until_all_settled(page)
    expect(columns(page).nth(1)).not_to_be_in_viewport(ratio=0.9)
    columns(page).first.get_by_role("button", name="Next answer").click()
    expect(columns(page).nth(1)).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(page) == []
    send(page, "And then?")
    third.say("Then this.")
    expect(columns(page)).to_have_count(0)
    expect(answers(page)).to_have_count(2)
    expect(answers(page).first).to_contain_text("One.")
    expect(answers(page).first).to_contain_text("1/2")
    third.finish()
    until_settled(page)
