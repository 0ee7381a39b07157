"""The list of conversations: found again, renamed, deleted, taken back."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from conversations.models import Conversation, Label, Participant, Team, TeamMember, User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of
from tests.browser.thread import (
    Visit,
    answers,
    field,
    questions,
    rows,
    send,
    send_button,
    until,
    until_ready,
    until_settled,
    words,
)
from tests.browser.watch import Watch


def menu_of(page: Page, title: str) -> None:
    row = rows(page).filter(has_text=title)
    row.hover()
    row.get_by_role("button", name=f"Actions for {title}").click()


def test_a_new_title_shows_everywhere_at_once(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    other = page.context.new_page()
    other.goto(f"/c/{conversation.public_id}/")
    until_ready(other)
    page.locator("#title").get_by_role("button", name="Rename").click()
    page.get_by_label("Title", exact=True).fill("A better name")
    page.get_by_label("Title", exact=True).press("Enter")
    for tab in (page, other):
        expect(tab.locator("#title h1")).to_have_text("A better name")
        expect(rows(tab).first).to_contain_text("A better name")
        expect(tab).to_have_title("A better name · Chatweb")
    page.reload()
    expect(page.locator("#title h1")).to_have_text("A better name")


def test_renaming_never_leaves_the_page(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.evaluate("window.stayed = true")
    title = page.get_by_label("Title", exact=True)
    for number in range(6):
        page.locator("#title h1").click()
        title.fill(f"Name {number}")
        # Enter, or going elsewhere: both keep what was typed.
        title.press("Enter" if number % 2 else "Tab")
        expect(page.locator("#title h1")).to_have_text(f"Name {number}")
        expect(rows(page).first).to_contain_text(f"Name {number}")
    assert page.evaluate("window.stayed")
    assert page.url.endswith(f"/c/{conversation.public_id}/")


def test_a_row_is_renamed_from_its_menu_and_escape_leaves_it(visit: Visit, alice: User) -> None:
    conversation_of(alice, title="Old name")
    page = visit(alice)
    menu_of(page, "Old name")
    page.get_by_role("button", name="Rename", exact=True).click()
    page.locator("#rows input").fill("Not this")
    page.locator("#rows input").press("Escape")
    expect(rows(page).first).to_contain_text("Old name")
    menu_of(page, "Old name")
    page.get_by_role("button", name="Rename", exact=True).click()
    page.locator("#rows input").fill("New name")
    page.locator("#rows input").press("Enter")
    expect(rows(page).first).to_contain_text("New name")
    page.reload()
    expect(rows(page).first).to_contain_text("New name")


def test_what_is_deleted_goes_everywhere_and_comes_back_by_undo(visit: Visit, alice: User) -> None:
    conversation_of(alice, title="Keep me")
    doomed = conversation_of(alice, ("Still here?", "Yes."), title="Delete me")
    page = visit(alice, f"/c/{doomed.public_id}/")
    other = page.context.new_page()
    other.goto(f"/c/{doomed.public_id}/")
    until_ready(other)
    menu_of(page, "Delete me")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page).to_have_url("/")
    expect(other).to_have_url("/")
    for tab in (page, other):
        expect(rows(tab)).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(f"/c/{doomed.public_id}/")
    expect(words(page)).to_have_text("Yes.")
    for tab in (page, other):
        expect(rows(tab)).to_have_count(2)


def test_a_hundred_conversations_come_page_by_page_as_one_scrolls(
    visit: Visit, alice: User
) -> None:
    now = timezone.now()
    for number in range(100):
        conversation_of(alice, title=f"Number {number:03}", at=now - timedelta(hours=number))
    page = visit(alice)
    expect(rows(page)).to_have_count(40)
    page.locator("#list").hover()
    for _turn in range(30):
        if rows(page).count() == 100:
            break
        page.mouse.wheel(0, 4_000)
        page.wait_for_timeout(150)
    titles = rows(page).locator(".row-title").all_inner_texts()
    assert titles == [f"Number {number:03}" for number in range(100)]


def test_back_and_forward_show_the_right_thread_and_its_answers_grow(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    conversation_of(alice, ("Asked in one", "Said in one"), title="One")
    conversation_of(alice, ("Asked in two", "Said in two"), title="Two")
    page = visit(alice)
    for title in ("One", "Two"):
        page.get_by_role("link", name=title).click()
        expect(words(page)).to_have_text(f"Said in {title.lower()}")
    page.go_back()
    expect(words(page)).to_have_text("Said in one")
    expect(page.locator("#title h1")).to_have_text("One")
    expect(page.locator("#rows [aria-current=page]")).to_contain_text("One")
    expect(answers(page)).to_have_count(1)

    other = page.context.new_page()
    other.goto(page.url)
    until_ready(other)
    dictation = dictate()
    send(other, "More?")
    dictation.say("Growing after going back")
    expect(words(page)).to_have_text("Growing after going back")
    dictation.finish()
    until_settled(page)

    page.go_forward()
    expect(words(page)).to_have_text("Said in two")
    expect(questions(page)).to_have_count(1)
    page.go_back()
    page.go_back()
    expect(page).to_have_url("/")
    expect(page.get_by_role("button", name="Explain DNS")).to_be_visible()
    expect(field(page)).to_be_visible()


def test_a_page_has_one_socket_wherever_one_goes(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    conversation_of(alice, ("Asked in one", "Said in one"), title="One")
    conversation_of(alice, ("Asked in two", "Said in two"), title="Two")
    page = visit(alice, "about:blank")
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    page.goto("/")
    until_ready(page)
    page.get_by_role("link", name="One").click()
    expect(words(page)).to_have_text("Said in one")
    dictation = dictate()
    send(page, "More?")
    dictation.say("Growing")
    expect(words(page)).to_have_text("Growing")
    dictation.finish()
    until_settled(page)
    page.get_by_role("link", name="Two").click()
    expect(words(page)).to_have_text("Said in two")
    page.go_back()
    expect(words(page)).to_have_text("Growing")
    page.wait_for_timeout(500)
    assert len(opened) == 1


def test_a_row_tells_that_an_answer_is_being_written_and_moves_up(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    lower = conversation_of(alice, title="Lower", at=timezone.now() - timedelta(hours=2))
    conversation_of(alice, title="Upper", at=timezone.now() - timedelta(hours=1))
    page = visit(alice)
    expect(rows(page).first).to_contain_text("Upper")
    other = page.context.new_page()
    other.goto(f"/c/{lower.public_id}/")
    until_ready(other)
    dictation = dictate()
    send(other, "Hello")
    expect(rows(page).first).to_contain_text("Lower")
    expect(rows(page).first).to_contain_text("An answer is being written")
    dictation.wait_until_asked()
    dictation.finish()
    expect(rows(page).first).not_to_contain_text("An answer is being written")


def test_what_changed_before_the_socket_was_there_is_shown_when_it_is(
    visit: Visit, alice: User
) -> None:
    kept = conversation_of(alice, title="As it was")
    renamed = conversation_of(alice, title="Old name")
    gone = conversation_of(alice, title="Soon gone")
    page = visit(alice, f"/c/{kept.public_id}/")

    def change_meanwhile(route: Route) -> None:
        Conversation.objects.filter(pk=renamed.pk).update(title="New name")
        Conversation.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())
        route.continue_()

    page.route("**/js/app.*.js", change_meanwhile)
    page.reload()
    expect(rows(page)).to_contain_text(["New name", "As it was"])


def test_a_list_that_comes_late_takes_nothing_back_and_puts_all_where_they_belong(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    now = timezone.now()
    first, _second, third = (
        conversation_of(alice, title=title, at=now - timedelta(hours=hours))
        for hours, title in enumerate(("First", "Second", "Third"))
    )
    page, other = visit(alice), visit(alice, f"/c/{third.public_id}/")
    dictate()

    def change_meanwhile(route: Route) -> None:
        Conversation.objects.filter(pk=first.pk).update(title="New name")
        route.continue_()

    def hold_back(route: Route) -> None:
        response = route.fetch()
        send(other, "Now?")
        expect(rows(page)).to_contain_text(["Third", "First", "Second"])
        route.fulfill(response=response)

    page.route("**/js/app.*.js", change_meanwhile)
    page.route("**/conversations/?show=*", hold_back)
    page.reload()
    expect(rows(page)).to_contain_text(["Third", "New name", "Second"])
    expect(rows(page).first.locator(".live")).to_be_visible()


def test_a_socket_that_comes_back_brings_what_the_chosen_list_missed(
    visit: Visit, alice: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow(r"404.*show=label-")
    team = Team.objects.create(name=f"Team {uuid4().hex}")
    TeamMember.objects.create(team=team, user=alice)
    label = Label.objects.create(owner=alice, name="Quarter")
    page = visit(alice)
    lines: list[WebSocketRoute] = []

    def hold(line: WebSocketRoute) -> None:
        lines.append(line)
        line.connect_to_server()

    page.route_web_socket("**/ws/", hold)
    page.goto(f"/c/{conversation.public_id}/")
    until_ready(page)
    with page.expect_response("**/conversations/*"):
        page.get_by_label("Which conversations").select_option(team.name)
    expect(rows(page)).to_have_count(0)
    until(page, lambda: len(lines) == 1)
    Participant.objects.filter(conversation=conversation).update(via_team=team)
    lines[-1].close()
    expect(rows(page)).to_have_count(1)

    # A list that is there no more is no reason to leave the thread.
    with page.expect_response("**/conversations/*"):
        page.get_by_label("Which conversations").select_option("Quarter")
    label.delete()
    with page.expect_response("**/conversations/*") as answer:
        lines[-1].close()
    assert answer.value.status == 404
    field(page).fill("Still here")
    send_button(page).click()
    expect(questions(page).last).to_contain_text("Still here")
    expect(page).to_have_url(f"/c/{conversation.public_id}/")
