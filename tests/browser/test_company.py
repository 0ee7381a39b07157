"""Several people in one conversation: invited, following along, with roles that change."""

import re

from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, Participant, Role, User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of, newcomer
from tests.browser.thread import (
    Visit,
    answer,
    field,
    rows,
    send,
    stop_button,
    thread_html,
    until_ready,
    until_settled,
    words,
)
from tests.browser.watch import Watch


def open_details(page: Page) -> Locator:
    """The drawer, filled."""
    page.locator("#who").click()
    drawer = page.get_by_role("dialog", name="Details")
    expect(drawer.get_by_role("heading", name="Participants")).to_be_visible()
    return drawer


def participant(page: Page, user: User) -> Locator:
    return page.locator(f"#p-{user.public_id}")


def choose(page: Page, user: User, entry: str) -> None:
    """In the menu beside the person."""
    participant(page, user).locator(".chip").click()
    participant(page, user).get_by_role("button", name=re.compile(f"^{entry}")).click()


def take_part(conversation: Conversation, user: User, role: Role) -> None:
    Participant.objects.create(conversation=conversation, user=user, role=role)


def test_alice_invites_bob_who_follows_an_answer_from_the_middle_and_stops_it(
    visit: Visit, alice: User, bob: User, dictate: Dictate
) -> None:
    hers, his = visit(alice), visit(bob)
    dictation = dictate()
    send(hers, "Why is the export slow?")
    dictation.say("It reads *every* row, ")
    expect(words(hers)).to_contain_text("every row")
    drawer = open_details(hers)
    drawer.get_by_label("Name, team or email address").press_sequentially(bob.email[:12])
    drawer.locator(".candidates").get_by_role("button", name="Bob").click()
    expect(participant(hers, bob)).to_contain_text("Editor")
    expect(drawer).to_contain_text("Bob takes part now.")

    expect(rows(his).first).to_contain_text("Why is the export slow?")  # without a reload
    rows(his).first.locator(".row").click()
    expect(words(his)).to_contain_text("every row")
    dictation.say("twice")
    for page in (hers, his):
        expect(words(page)).to_contain_text("every row, twice")
    stop_button(his).click()
    for page in (hers, his):
        until_settled(page)
        expect(answer(page)).to_contain_text("Stopped by Bob.")
    # But for what marks each reader's own.
    same = [html.replace(" own", "") for html in thread_html(hers)]
    assert same == [html.replace(" own", "") for html in thread_html(his)]
    expect(hers.locator("#who")).to_contain_text("2 participants")
    expect(stop_button(hers)).to_be_hidden()


def test_a_role_that_falls_takes_the_composer_away_and_one_that_rises_gives_it_back(
    visit: Visit, alice: User, bob: User, conversation: Conversation
) -> None:
    take_part(conversation, bob, Role.EDITOR)
    address = f"/c/{conversation.public_id}/"
    hers, his = visit(alice, address), visit(bob, address)
    field(his).fill("Half a thought")
    open_details(hers)
    choose(hers, bob, "Viewer")
    expect(his.get_by_text("You read along.")).to_be_visible(timeout=2_000)
    expect(field(his)).to_be_hidden()
    expect(his.locator("#title").get_by_role("button", name="Rename")).to_be_hidden()
    expect(his.locator("#thread")).to_be_focused()
    choose(hers, bob, "Editor")
    expect(field(his)).to_be_visible(timeout=2_000)
    expect(field(his)).to_have_value("Half a thought")


def test_bob_is_removed_in_the_middle_of_an_answer(
    visit: Visit, alice: User, bob: User, conversation: Conversation, dictate: Dictate
) -> None:
    take_part(conversation, bob, Role.VIEWER)
    charlie = newcomer("Charlie")
    take_part(conversation, charlie, Role.VIEWER)
    address = f"/c/{conversation.public_id}/"
    hers, his, theirs = (visit(user, address) for user in (alice, bob, charlie))
    dictation = dictate()
    send(hers, "Tell us something")
    dictation.say("One ")
    for page in (hers, his, theirs):
        expect(words(page)).to_have_text("One")
    open_details(hers)
    choose(hers, bob, "Remove")
    expect(his.get_by_text("You no longer have access")).to_be_visible(timeout=2_000)
    dictation.say("secret")
    expect(words(theirs)).to_have_text("One secret")
    expect(his.locator("body")).not_to_contain_text("secret")
    expect(his.locator("body")).not_to_contain_text("One")
    expect(rows(his)).to_have_count(0)
    expect(his).to_have_url(re.compile(r"/$"))
    expect(field(his)).to_be_visible()
    expect(participant(hers, bob)).to_have_count(0)
    dictation.finish()
    until_settled(theirs)


def test_charlie_joins_by_a_link_and_signs_in_on_the_way(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    charlie = newcomer("Charlie")
    hers = visit(alice, f"/c/{conversation.public_id}/")
    drawer = open_details(hers)
    drawer.get_by_label("Joins as").select_option("Viewer")
    drawer.get_by_role("button", name="Make a link").click()
    link = drawer.locator("output").inner_text()
    theirs = visit(None, link)
    theirs.get_by_label("Email address").fill(charlie.email)
    theirs.get_by_label("Password").fill("correct horse battery")
    theirs.get_by_role("button", name="Sign in").click()
    expect(theirs.get_by_role("heading", name="Alice invites you")).to_be_visible()
    theirs.get_by_role("button", name="Join").click()
    until_ready(theirs)
    expect(theirs.get_by_text("You read along.")).to_be_visible()
    # Alice sees it in the open drawer.
    expect(participant(hers, charlie)).to_contain_text("Viewer")
    expect(drawer.locator("#details-links")).to_contain_text("1 use")
    drawer.get_by_role("button", name="Withdraw").click()
    expect(drawer.locator("#details-links li")).to_have_count(0)


def test_leaving_is_asked_about_and_the_last_owner_cannot(
    visit: Visit, alice: User, bob: User, conversation: Conversation
) -> None:
    take_part(conversation, bob, Role.EDITOR)
    address = f"/c/{conversation.public_id}/"
    hers, his = visit(alice, address), visit(bob, address)
    drawer = open_details(hers)
    expect(drawer).to_contain_text("You are the only owner")
    choose(hers, bob, "Hand over ownership")
    # Not hers any more: what only owners do is gone in her drawer and has come into his.
    expect(drawer.get_by_role("heading", name="Invite", exact=True)).to_have_count(0)
    drawer.get_by_role("button", name="Leave", exact=True).click()
    hers.get_by_role("button", name="Leave the conversation").click()
    expect(hers.get_by_text("You have left the conversation.")).to_be_visible()
    expect(rows(hers)).to_have_count(0)
    his_drawer = open_details(his)
    expect(his_drawer).to_contain_text("Invite")
    expect(participant(his, alice)).to_have_count(0)


def test_the_drawer_by_keyboard_keeps_the_focus_and_gives_it_back(
    visit: Visit, alice: User, bob: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("422")
    take_part(conversation, bob, Role.EDITOR)
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.locator("#who").press("Enter")
    drawer = page.get_by_role("dialog", name="Details")
    expect(drawer.get_by_role("heading", name="Participants")).to_be_visible()
    role = participant(page, bob).locator(".chip")
    role.press("Enter")
    expect(participant(page, bob).get_by_role("button", name=re.compile("^Owner"))).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(participant(page, bob).get_by_role("button", name="Viewer")).to_be_focused()
    page.keyboard.press("Enter")
    expect(role).to_contain_text("Viewer")
    expect(role).to_be_focused()
    who = drawer.get_by_label("Name, team or email address")
    who.fill("nobody@example.org")
    who.press("Enter")
    expect(drawer.locator("#invite-error")).to_contain_text("Nobody here")
    expect(who).to_be_focused()
    expect(who).to_have_value("nobody@example.org")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator("#who")).to_be_focused()


def test_the_list_is_narrowed_to_what_others_share_and_stays_so_while_things_happen(
    visit: Visit, alice: User, bob: User
) -> None:
    conversation_of(alice, title="Mine alone")
    theirs = conversation_of(bob, title="Of Bob")
    take_part(theirs, alice, Role.VIEWER)
    page = visit(alice)
    expect(rows(page)).to_have_count(2)
    shared = rows(page).filter(has_text="Of Bob")
    expect(shared.get_by_role("img", name="Bob")).to_be_visible()
    expect(shared.get_by_role("img", name="Alice")).to_have_count(0)
    page.get_by_label("Which conversations").select_option("Shared with me")
    expect(rows(page)).to_have_count(1)
    his = visit(bob, f"/c/{theirs.public_id}/")
    send(his, "Anybody here?")
    expect(shared.locator(".unread")).to_be_visible()
    expect(shared.get_by_role("img", name="Bob")).to_be_visible()
    expect(shared.get_by_role("img", name="Alice")).to_have_count(0)
    mine = visit(alice)
    send(mine, "Something of my own")
    expect(rows(mine)).to_have_count(3)
    expect(rows(page)).to_have_count(1)
    page.get_by_label("Which conversations").select_option("Mine")
    expect(rows(page)).to_have_count(2)
    shared = rows(mine).filter(has_text="Of Bob")
    shared.locator(".row").press("F2")  # a viewer renames nothing
    expect(shared.locator("input")).to_have_count(0)
    shared.hover()
    shared.locator("[data-row-menu]").click()
    expect(mine.locator("#row-menu").get_by_role("button", name="Mute")).to_be_visible()
    for act in ("Rename", "Delete"):
        expect(mine.locator("#row-menu").get_by_role("button", name=act)).to_have_count(0)


def test_the_head_says_how_many_more_there_are_than_it_has_room_for(
    visit: Visit, alice: User, bob: User, conversation: Conversation
) -> None:
    for user in (bob, newcomer("Charlie"), newcomer("Dana"), newcomer("Emil")):
        take_part(conversation, user, Role.VIEWER)
    page = visit(alice, f"/c/{conversation.public_id}/")
    for width, faces, more in ((1280, 4, "+1"), (390, 2, "+3")):
        page.set_viewport_size({"width": width, "height": 844})
        expect(page.locator("#who [data-person]:visible")).to_have_count(faces)
        expect(page.locator("#who .who-more:visible")).to_have_text(more)
