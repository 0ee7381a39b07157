"""Everything with the keyboard alone: all can be reached, and the focus is never lost."""

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of
from tests.browser.thread import (
    Visit,
    answer,
    answers,
    field,
    questions,
    rows,
    until_settled,
    words,
)
from tests.upstream import ScriptedUpstream

SEEN = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "nothing has the focus";
  const box = one.getBoundingClientRect();
  if (!box.width || !box.height) return `hidden: ${one.outerHTML.slice(0, 80)}`;
  let style = null;
  for (let at = one; at && at !== document.body; at = at.parentElement) {
    style = getComputedStyle(at);
    if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) return "";
    if (style.boxShadow !== "none") return "";
  }
  return `not to be seen: ${one.outerHTML.slice(0, 80)}`;
}
"""


def assert_focus_seen(page: Page) -> None:
    page.wait_for_timeout(100)
    assert page.evaluate(SEEN) == ""


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Reaches it by this key alone; everything on the way shows its focus."""
    for _press in range(60):
        if target.count() and target.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{target} cannot be reached")


def test_asking_and_stopping(page: Page, dictate: Dictate) -> None:
    page.keyboard.press("Control+Shift+O")
    expect(field(page)).to_be_focused()
    dictation = dictate()
    page.keyboard.type("Tell me everything")
    page.keyboard.press("Enter")
    dictation.say("So far")
    expect(words(page)).to_have_text("So far")
    assert_focus_seen(page)
    tab_to(page, page.get_by_role("button", name="Stop", exact=True))
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("Stopped by Alice.")
    assert_focus_seen(page)
    tab_to(page, answer(page).get_by_role("button", name="Answer again"), "Shift+Tab")
    again = dictate()
    page.keyboard.press("Enter")
    again.say("Once more")
    again.finish()
    until_settled(page)
    expect(answers(page)).to_have_count(1)
    assert_focus_seen(page)


def test_the_list_of_shortcuts_comes_by_key_and_from_the_menu(page: Page) -> None:
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("Control+/")
    expect(shortcuts).to_be_visible()
    page.keyboard.press("Escape")
    expect(shortcuts).to_be_hidden()
    expect(field(page)).to_be_focused()

    menu = page.locator(".me")
    menu.click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(shortcuts).to_be_visible()
    expect(page.locator("#me")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()


def test_escape_leads_back_to_the_field(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice, ("How?", "So."))
    page = visit(alice, f"/c/{conversation.public_id}/")
    rows(page).first.locator(".row").focus()
    page.keyboard.press("Escape")
    expect(field(page)).to_be_focused()


def test_skipping_the_list(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice, ("Hello", "Hello."))
    page = visit(alice, f"/c/{conversation.public_id}/")
    tab_to(page, page.get_by_role("link", name="Skip the list"), "Shift+Tab")
    assert_focus_seen(page)
    page.keyboard.press("Enter")
    expect(field(page)).to_be_focused()


def test_choosing_a_model(page: Page, upstream: ScriptedUpstream) -> None:
    chip = page.locator("[data-model-chip]")
    tab_to(page, chip)
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="crimson-falcon-4")).to_be_focused()
    page.keyboard.press("ArrowDown")
    assert_focus_seen(page)
    page.keyboard.press("Enter")
    expect(chip).to_have_text("indigo-owl-4")
    expect(page.locator("#models")).to_be_hidden()
    assert_focus_seen(page)
    tab_to(page, chip, "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#models")).to_be_hidden()
    expect(chip).to_be_focused()


def test_changing_settings(visit: Visit, alice: User, conversation: Conversation) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    tab_to(page, page.locator(".chip[popovertarget=settings]"))
    page.keyboard.press("Enter")
    expect(page.locator("#settings")).to_be_visible()
    tab_to(page, page.get_by_label("Temperature"))
    page.keyboard.type("0.5")
    tab_to(page, page.get_by_role("button", name="Save"))
    page.keyboard.press("Enter")
    expect(page.locator("#settings")).to_be_hidden()
    assert_focus_seen(page)
    conversation.refresh_from_db()
    assert conversation.parameters == {"temperature": 0.5}


def test_renaming_deleting_and_taking_back(visit: Visit, alice: User) -> None:
    now = timezone.now()
    conversation_of(alice, title="Below", at=now - timedelta(minutes=2))
    conversation_of(alice, title="First", at=now - timedelta(minutes=1))
    page = visit(alice)
    tab_to(page, rows(page).first.locator(".row"), "Shift+Tab")
    page.keyboard.press("F2")
    page.keyboard.type("Better")
    page.keyboard.press("Enter")
    expect(rows(page).first).to_contain_text("Better")
    assert_focus_seen(page)
    tab_to(page, rows(page).first.locator(".row"))
    page.keyboard.press("Delete")
    expect(rows(page)).to_have_count(1)
    assert_focus_seen(page)
    tab_to(page, page.get_by_role("button", name="Undo"))
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(2)
    assert_focus_seen(page)


def test_the_menu_of_a_row(visit: Visit, alice: User) -> None:
    conversation_of(alice, title="Only one")
    page = visit(alice)
    button = page.get_by_role("button", name="Actions for Only one")
    tab_to(page, button, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#row-menu")).to_be_visible()
    assert_focus_seen(page)
    page.keyboard.press("Escape")
    expect(page.locator("#row-menu")).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#row-menu button").first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(0)
    assert_focus_seen(page)


def test_opening_a_conversation_and_renaming_it(visit: Visit, alice: User) -> None:
    conversation_of(alice, ("Hello", "Hello."), title="Old name")
    page = visit(alice)
    tab_to(page, rows(page).first.locator(".row"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(questions(page)).to_have_count(1)
    assert_focus_seen(page)
    tab_to(page, page.locator("#title").get_by_role("button", name="Rename"), "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("New name")
    page.keyboard.press("Enter")
    expect(page.locator("#title h1")).to_have_text("New name")
    assert_focus_seen(page)


def test_the_focus_stays_where_it_is_while_an_answer_settles(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    conversation = conversation_of(alice, ("Hello", "Hello."))
    page = visit(alice, f"/c/{conversation.public_id}/")
    dictation = dictate()
    page.keyboard.type("More")
    page.keyboard.press("Enter")
    dictation.say("Here")
    expect(words(page)).to_have_text("Here")
    copy = answers(page).first.get_by_role("button", name="Copy as Markdown")
    tab_to(page, copy, "Shift+Tab")
    dictation.say(" it is")
    dictation.finish()
    until_settled(page)
    expect(copy).to_be_focused()
