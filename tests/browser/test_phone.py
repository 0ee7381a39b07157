"""The same on a phone: nothing is wider than the screen, and the list is a drawer."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from conversations.models import User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of
from tests.browser.thread import (
    Visit,
    answer,
    field,
    questions,
    send_button,
    stop_button,
    until_settled,
    words,
)

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
WIDE = {
    "code": "```python\n" + "value = compute(" * 40 + "\n```",
    "table": "|" + " column |" * 30 + "\n|" + "---|" * 30 + "\n|" + " value |" * 30,
    "word": "W" * 900,
    "address": "https://example.com/" + "path/" * 120,
    "inline code": "`" + "x" * 700 + "`",
    "heading": "# " + "Donaudampfschifffahrt" * 20,
    "quote": "> " * 20 + "deep",
    "list": "".join("  " * depth + "- level\n" for depth in range(20)),
    "formula": "$$" + "x + " * 200 + "y$$",
}


def is_too_wide(page: Page) -> bool:
    wide: bool = page.evaluate(
        """() => document.documentElement.scrollWidth > innerWidth
          || document.querySelector("#thread").scrollWidth
             > document.querySelector("#thread").clientWidth"""
    )
    return wide


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 320, "height": 640}}])
def test_nothing_in_an_answer_is_wider_than_the_screen(
    visit: Visit, alice: User, options: dict[str, Any]
) -> None:
    conversation = conversation_of(
        alice, *[(text, text) for text in WIDE.values()], title="T" * 100
    )
    page = visit(alice, f"/c/{conversation.public_id}/", **options)
    assert not is_too_wide(page)
    overflowing = page.locator("#messages > article").evaluate_all(
        """all => all.filter((one) => one.scrollWidth > one.clientWidth + 1)
          .map((one) => one.textContent.trim().slice(0, 80))"""
    )
    assert overflowing == []


def test_a_conversation_on_a_phone(visit: Visit, alice: User, dictate: Dictate) -> None:
    conversation_of(alice, ("Earlier?", "Earlier."), title="Earlier")
    page = visit(alice, **PHONE)
    expect(page.get_by_role("link", name="Earlier")).not_to_be_in_viewport()
    page.get_by_role("button", name="Show conversations").tap()
    expect(page.get_by_role("link", name="Earlier")).to_be_in_viewport()
    page.get_by_role("link", name="Earlier").tap()
    expect(words(page)).to_have_text("Earlier.")
    expect(page.get_by_role("link", name="Earlier")).not_to_be_in_viewport()

    dictation = dictate()
    field(page).tap()
    field(page).fill("And now?")
    send_button(page).tap()
    dictation.say("Now, ", "`" + "x" * 300 + "`")
    expect(questions(page)).to_have_count(2)
    expect(words(page)).to_contain_text("Now,")
    assert not is_too_wide(page)
    stop_button(page).tap()
    until_settled(page)
    expect(answer(page)).to_contain_text("Stopped by Alice.")
    expect(field(page)).to_be_in_viewport()


def test_the_drawer_closes_by_a_tap_beside_it_and_gives_the_focus_back(
    visit: Visit, alice: User
) -> None:
    page = visit(alice, **PHONE)
    page.get_by_role("button", name="Show conversations").tap()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_in_viewport(ratio=0.9)
    page.touchscreen.tap(380, 400)
    expect(page.get_by_role("navigation", name="Conversations")).not_to_be_in_viewport()
    expect(page.get_by_role("button", name="Show conversations")).to_be_focused()


def test_settings_and_models_fit_on_a_phone(visit: Visit, alice: User) -> None:
    page = visit(alice, **PHONE)
    for opener, shown in (
        ("[data-model-chip]", "#models"),
        (".chip[popovertarget=settings]", "#settings"),
    ):
        page.locator(opener).tap()
        expect(page.locator(shown)).to_be_visible()
        page.wait_for_timeout(250)
        box = page.locator(shown).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 844
        page.keyboard.press("Escape")
    assert not is_too_wide(page)


def test_held_sideways_the_list_is_a_drawer_too(visit: Visit, alice: User) -> None:
    sideways = PHONE | {"viewport": {"width": 844, "height": 390}}
    page = visit(alice, "/", **sideways)
    expect(page.locator("#rail")).not_to_be_visible()
    page.locator("button[data-drawer=open]").click()
    expect(page.locator("#rail")).to_be_visible()
    assert not is_too_wide(page)
