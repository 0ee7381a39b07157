"""Saying a question in new words, and going another way from an earlier answer."""

import pytest
from playwright.sync_api import Locator, Page, expect

from conversations.models import Participant, Role, User
from tests.browser.rows import conversation_of
from tests.browser.thread import (
    Visit,
    answer,
    answers,
    field,
    questions,
    send,
    thread_html,
    until_ready,
    until_settled,
)

TURNS = (("How slow?", "Very slow."), ("And now?", "Still slow."))


def button(message: Locator, name: str) -> Locator:
    message.hover()
    return message.get_by_role("button", name=name)


def settled_anew(page: Page) -> None:
    until_settled(page)
    watched = thread_html(page)
    page.reload()
    until_ready(page)
    assert thread_html(page) == watched


def test_a_question_in_new_words_is_answered_and_the_old_one_stays_a_step_away(
    visit: Visit, alice: User
) -> None:
    page = visit(alice, f"/c/{conversation_of(alice, *TURNS).public_id}/")
    until_ready(page)
    field(page).fill("Half a thought")
    button(questions(page).first, "Say it in new words").click()
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_value("How slow?")
    expect(page.locator("#composer")).to_contain_text("Your question in new words")
    send(page, "How *slow* is it?")
    expect(questions(page)).to_have_count(1)
    expect(questions(page)).to_contain_text("How slow is it?")
    expect(questions(page)).to_contain_text("2/2")
    expect(answers(page)).to_have_count(1)
    # What was being written meanwhile comes back.
    expect(field(page)).to_have_value("Half a thought")
    expect(page.locator(".place")).to_have_count(0)
    settled_anew(page)
    button(questions(page).first, "Previous wording").click()
    expect(answers(page)).to_have_count(2)
    expect(questions(page).first).to_contain_text("1/2")


def test_cancelling_gives_back_what_was_being_written(visit: Visit, alice: User) -> None:
    page = visit(alice, f"/c/{conversation_of(alice, *TURNS).public_id}/")
    until_ready(page)
    field(page).fill("Half a thought")
    button(questions(page).first, "Say it in new words").click()
    expect(field(page)).to_have_value("How slow?")
    field(page).fill("Not that either")
    page.get_by_role("button", name="Cancel").click()
    expect(field(page)).to_have_value("Half a thought")
    expect(page.locator(".place")).to_have_count(0)


@pytest.mark.parametrize("name", ["Say it in new words", "Branch off from here"])
def test_what_was_meant_for_people_comes_back_as_a_note(
    visit: Visit, alice: User, name: str
) -> None:
    page = visit(alice, f"/c/{conversation_of(alice, *TURNS).public_id}/")
    until_ready(page)
    page.get_by_label("Note").check()
    field(page).fill("For us alone")
    articles = questions(page) if name.startswith("Say") else answers(page)
    button(articles.first, name).click()
    expect(page.locator(".place")).to_be_visible()
    expect(field(page)).to_have_value("How slow?" if name.startswith("Say") else "")
    page.get_by_role("button", name="Cancel").click()
    expect(field(page)).to_have_value("For us alone")
    expect(page.get_by_label("Note")).to_be_checked()
    page.reload()
    until_ready(page)
    expect(field(page)).to_have_value("For us alone")
    expect(page.get_by_label("Note")).to_be_checked()


def test_another_way_on_from_an_earlier_answer(visit: Visit, alice: User) -> None:
    page = visit(alice, f"/c/{conversation_of(alice, *TURNS).public_id}/")
    until_ready(page)
    expect(answer(page).get_by_role("button", name="Branch off from here")).to_be_hidden()
    button(answers(page).first, "Branch off from here").click()
    expect(page.locator("#composer")).to_contain_text("Another way on")
    send(page, "What if it were fast?")
    expect(questions(page).last).to_contain_text("What if it were fast?")
    expect(questions(page).last).to_contain_text("2/2")
    expect(questions(page)).to_have_count(2)
    settled_anew(page)


def test_others_words_are_theirs_and_all_see_the_new_branch(
    visit: Visit, alice: User, bob: User
) -> None:
    conversation = conversation_of(alice, *TURNS)
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    ours = visit(alice, f"/c/{conversation.public_id}/")
    theirs = visit(bob, f"/c/{conversation.public_id}/")
    until_ready(theirs)
    until_ready(ours)
    questions(theirs).first.hover()
    expect(theirs.locator(".own-only")).to_have_count(2)
    expect(theirs.get_by_role("button", name="Say it in new words")).to_have_count(0)
    button(questions(ours).last, "Say it in new words").click()
    expect(field(ours)).to_have_value("And now?")
    send(ours, "And tomorrow?")
    expect(questions(theirs).last).to_contain_text("And tomorrow?")
    until_settled(ours)
    until_settled(theirs)
    expect(answer(theirs)).to_have_text(answer(ours).inner_text(), use_inner_text=True)
