"""Several answers side by side: two people watch, vote, and go on with one."""

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.dictation import Dictate
from tests.browser.test_accessibility import violations
from tests.browser.thread import (
    answers,
    for_anybody,
    questions,
    send,
    thread_html,
    until_ready,
    until_settled,
)


def columns(page: Page) -> Locator:
    return page.locator("#messages .drafts > .draft")


def ask_for(page: Page, text: str, *also: str, answers: int = 1) -> None:
    page.get_by_role("button", name="Several answers").click()
    page.get_by_label("Answers of the chosen model").select_option(str(answers))
    for model in also:
        page.locator("#several").get_by_label(model).check()
    page.get_by_role("button", name="Done").click()
    send(page, text)


def until_all_settled(page: Page) -> None:
    expect(page.locator("#messages [data-live]")).to_have_count(0)


def vote(page: Page, number: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Vote for answer {number}")


def test_two_people_watch_two_answers_vote_and_go_on_with_one(
    hers: Page, his: Page, dictate: Dictate, tmp_path: Path
) -> None:
    first, second, third = dictate(), dictate(), dictate()
    ask_for(hers, "Which?", answers=2)
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

    vote(his, 2).check()
    expect(columns(hers).nth(1).locator(".voters")).to_have_attribute("title", "Bob")
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
