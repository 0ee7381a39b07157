"""Labels of one's own: made from a row's menu, by keyboard too, and seen by nobody else."""

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, User
from tests.browser.rows import conversation_of
from tests.browser.test_accessibility import WIDE, look
from tests.browser.test_sidebar import menu_of
from tests.browser.thread import Visit, delay, rows
from tests.browser.watch import Watch


def sheet_of(page: Page, title: str) -> Locator:
    menu_of(page, title)
    page.get_by_role("button", name="Labels…").click()
    sheet = page.get_by_role("dialog", name=f"Labels of “{title}”")
    expect(sheet).to_be_visible()
    return sheet


def label_of(page: Page, title: str) -> Locator:
    return rows(page).filter(has_text=title).locator(".row-labels .tag")


def add(page: Page, sheet: Locator, name: str) -> None:
    sheet.get_by_label("Name of a new label").fill(name)
    page.keyboard.press("Enter")
    expect(sheet.get_by_label(name, exact=True)).to_be_checked()
    expect(sheet.get_by_label("Name of a new label")).to_be_focused()
    expect(sheet.get_by_label("Name of a new label")).to_have_value("")


def test_labels_are_made_chosen_by_and_deleted(
    visit: Visit, alice: User, bob: User, shared: Conversation, watch: Watch
) -> None:
    watch.allow("409")
    conversation_of(alice, title="Another one", at=timezone.now() - timedelta(hours=1))
    page, his = visit(alice, f"/c/{shared.public_id}/"), visit(bob, f"/c/{shared.public_id}/")
    sheet = sheet_of(page, "Slow export")
    expect(sheet.get_by_label("Name of a new label")).to_be_focused()
    sheet.get_by_label("Blue").check()
    add(page, sheet, "Quarter")
    add(page, sheet, "Ask Bob")
    expect(label_of(page, "Slow export")).to_have_text(["Ask Bob", "Quarter"])

    sheet.get_by_label("Name of a new label").fill("quarter")
    page.keyboard.press("Enter")
    expect(sheet.get_by_role("alert")).to_have_text("A label of yours is called so already.")
    look(page)
    page.set_viewport_size(WIDE)
    page.keyboard.press("Escape")
    expect(page.locator(f"#c-{shared.public_id} .row")).to_be_focused()

    # The list is that of a label, and what is taken off leaves it.
    page.get_by_label("Which conversations").select_option("Quarter")
    expect(rows(page)).to_have_count(1)
    sheet = sheet_of(page, "Slow export")
    sheet.get_by_label("Quarter", exact=True).focus()
    page.keyboard.press("Space")
    expect(rows(page)).to_have_count(0)
    expect(sheet.get_by_label("Quarter", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    expect(rows(page)).to_have_count(1)

    sheet.locator("summary").nth(1).press("Enter")
    sheet.get_by_role("textbox", name="Name of the label").fill("Next quarter")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator("summary").nth(1)).to_be_focused()
    expect(label_of(page, "Slow export")).to_have_text(["Ask Bob", "Next quarter"])
    expect(page.locator("#filter option:checked")).to_have_text("Next quarter")
    sheet.locator("summary").nth(1).click()
    sheet.get_by_role("button", name="Delete, also from 1 conversation").click()
    expect(sheet.get_by_label("Name of a new label")).to_be_focused()
    expect(page.locator("#filter option:checked")).to_have_text("All conversations")
    expect(rows(page)).to_have_count(2)
    expect(label_of(page, "Slow export")).to_have_text(["Ask Bob"])
    page.keyboard.press("Escape")
    look(page)

    expect(rows(his)).to_have_count(1)
    expect(his.locator(".tag")).to_have_count(0)


def test_a_row_that_changes_keeps_its_labels(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    add(page, sheet_of(page, "Slow export"), "Quarter")
    page.keyboard.press("Escape")
    page.locator("#title").get_by_role("button", name="Rename").click()
    page.get_by_label("Title", exact=True).fill("A better name")
    page.keyboard.press("Enter")
    expect(label_of(page, "A better name")).to_have_text(["Quarter"])


def test_a_label_that_is_put_on_takes_nothing_away_that_is_typed_meanwhile(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    sheet = sheet_of(page, "Slow export")
    add(page, sheet, "Quarter")
    delay(page, "**/mark/", 500)
    sheet.get_by_label("Quarter", exact=True).uncheck()
    sheet.locator("summary").press("Enter")
    sheet.get_by_role("textbox", name="Name of the label").fill("Next quarter")
    expect(label_of(page, "Slow export")).to_have_count(0)
    expect(sheet.get_by_role("button", name="Delete", exact=True)).to_be_visible()
    expect(sheet.get_by_role("textbox", name="Name of the label")).to_have_value("Next quarter")


def test_a_label_that_could_not_be_put_on_is_not_shown_so_nor_comes_back_what_was_closed(
    visit: Visit, alice: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("Failed to load resource|htmx:")
    page = visit(alice, f"/c/{conversation.public_id}/")
    sheet = sheet_of(page, "Slow export")
    add(page, sheet, "Quarter")
    page.route("**/mark/", lambda route: route.abort(), times=1)
    sheet.get_by_label("Quarter", exact=True).click()
    expect(page.get_by_text("That did not work.")).to_be_visible()
    expect(sheet.get_by_label("Quarter", exact=True)).to_be_checked()
    delay(page, "**/mark/", 300)
    with page.expect_response("**/mark/"):
        sheet.get_by_label("Quarter", exact=True).click()
        page.keyboard.press("Escape")
    expect(label_of(page, "Slow export")).to_have_count(0)
    expect(sheet).to_be_hidden()


def test_a_sheet_that_was_closed_comes_back_only_for_what_is_refused(
    visit: Visit, alice: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("409")
    page = visit(alice, f"/c/{conversation.public_id}/")
    delay(page, "**/labels/", 300)
    for name, comes_back in (("Quarter", False), ("Later", False), ("Quarter", True)):
        sheet = sheet_of(page, "Slow export")
        sheet.get_by_label("Name of a new label").fill(name)
        with page.expect_response("**/labels/"):
            page.keyboard.press("Enter")
            page.keyboard.press("Escape")
            expect(sheet).to_be_hidden()
        if comes_back:
            expect(sheet.get_by_role("alert")).to_have_text(
                "A label of yours is called so already."
            )
        else:
            expect(label_of(page, "Slow export").filter(has_text=name)).to_have_count(1)
            expect(sheet).to_be_hidden()
