"""Calling somebody by name: found while writing, marked in the text, seen in the list."""

import re

import pytest
from playwright.sync_api import Page, expect

from conversations.models import Conversation, Participant, Role, User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of, newcomer
from tests.browser.test_accessibility import LOOKS, violations
from tests.browser.thread import Visit, field, questions, rows


@pytest.fixture
def rita() -> User:
    return newcomer("Rita Moss")


@pytest.fixture
def shared(alice: User, bob: User, rita: User) -> Conversation:
    conversation = conversation_of(alice, ("Why is the export slow?", "It reads every row twice."))
    for person in (bob, rita):
        Participant.objects.create(conversation=conversation, user=person, role=Role.EDITOR)
    return conversation


def options(page: Page) -> list[str]:
    return (
        page.get_by_role("listbox", name="People to mention")
        .get_by_role("option")
        .all_inner_texts()
    )


def test_who_is_found_by_keyboard_is_called_marked_and_told(
    visit: Visit, alice: User, rita: User, shared: Conversation, dictate: Dictate
) -> None:
    away = visit(rita)
    page = visit(alice, f"/c/{shared.public_id}/")
    people = page.get_by_role("listbox", name="People to mention")
    field(page).press_sequentially("mail@example.com, ask @")
    expect(people.get_by_role("option")).to_have_count(2)
    field(page).press("ArrowDown")
    chosen = people.locator("[aria-selected=true]")
    expect(chosen).to_contain_text("Rita Moss")
    assert field(page).get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    field(page).press("Escape")
    expect(people).to_have_count(0)
    expect(field(page)).to_be_focused()
    field(page).press_sequentially("rit")
    expect(people.get_by_role("option")).to_have_text([re.compile("Rita Moss")])
    dictate()
    field(page).press("Enter")
    expect(field(page)).to_have_value("mail@example.com, ask @Rita Moss ")
    expect(people).to_have_count(0)
    expect(questions(page)).to_have_count(1)  # it sent nothing
    field(page).press_sequentially("why")
    field(page).press("Enter")
    expect(questions(page).last.locator(".mention")).to_have_text("@Rita Moss")
    badge = rows(away).locator(".unread")
    expect(badge).to_have_text(re.compile("^@ 1 unread, you are mentioned"))


def test_a_tap_chooses_and_writing_goes_on(visit: Visit, alice: User, shared: Conversation) -> None:
    page = visit(
        alice,
        f"/c/{shared.public_id}/",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    field(page).tap()
    field(page).press_sequentially("@b")
    page.get_by_role("option", name="Bob").tap()
    expect(field(page)).to_have_value("@Bob ")
    expect(field(page)).to_be_focused()
    field(page).press_sequentially("nobody@x")
    page.wait_for_timeout(400)
    assert options(page) == []


@pytest.mark.parametrize(("theme", "size"), LOOKS)
def test_axe_finds_nothing_in_the_list_and_the_marked_text(
    visit: Visit,
    alice: User,
    shared: Conversation,
    dictate: Dictate,
    theme: str,
    size: dict[str, int],
) -> None:
    page = visit(alice, f"/c/{shared.public_id}/", color_scheme=theme, viewport=size)
    dictate()
    field(page).fill("@Bob, look")
    field(page).press("Escape")
    field(page).press("Enter")
    expect(questions(page).last.locator(".mention")).to_have_text("@Bob")
    expect(field(page)).to_have_value("")  # the socket may be faster than the form
    field(page).press_sequentially("@")
    expect(page.locator("#callees > [role=option]")).to_have_count(2)
    assert violations(page) == []
