"""A conversation that others read without taking part in it."""

from uuid import uuid4

from playwright.sync_api import Page, expect

from conversations import actions
from conversations.models import Author, Conversation, Message, User
from tests.browser.dictation import Dictate
from tests.browser.rows import add_turn, newcomer
from tests.browser.test_accessibility import violations
from tests.browser.test_company import open_details
from tests.browser.thread import Visit, answers, send, until_settled, words
from tests.browser.watch import Watch


def share(page: Page, what: str, *more: str) -> str:
    """The address, as the drawer shows it."""
    drawer = open_details(page)
    drawer.get_by_label("What", exact=True).select_option(what)
    for one in more:
        drawer.get_by_label(one, exact=True).check()
    drawer.get_by_role("button", name="Share", exact=True).click()
    address = drawer.locator("output").inner_text()
    page.keyboard.press("Escape")
    return address


def test_charlie_reads_a_live_share_while_it_grows_until_it_is_revoked(
    visit: Visit, alice: User, conversation: Conversation, dictate: Dictate, watch: Watch
) -> None:
    watch.allow("404")
    add_turn(conversation, alice, "Why is it slow?", "It reads *every* row.\n\n```py\n1\n```")
    hers = visit(alice, f"/c/{conversation.public_id}/")
    address = share(hers, "Live")
    theirs = visit(newcomer("Charlie"), address)
    expect(theirs.get_by_role("heading", name="Slow export")).to_be_visible()
    expect(words(theirs).locator("em")).to_have_text("every")
    expect(theirs.get_by_role("button", name="Copy")).to_be_visible()
    for control in ("Answer again", "Copy as Markdown", "Send", "Settings", "Stop"):
        expect(theirs.get_by_role("button", name=control)).to_have_count(0)
    dictation = dictate()
    send(hers, "And now?")
    dictation.say("Now it is ")
    expect(words(theirs)).to_have_text("Now it is")
    dictation.say("fast.")
    dictation.finish()
    expect(words(theirs)).to_have_text("Now it is fast.")
    until_settled(theirs)
    hers.locator("#who").click()
    hers.get_by_role("button", name="Revoke").click()
    expect(theirs.locator("body")).not_to_contain_text("fast", timeout=12_000)


def test_a_snapshot_stays_as_it_was(visit: Visit, alice: User, conversation: Conversation) -> None:
    add_turn(conversation, alice, "Why is it slow?", "It reads every row.")
    address = share(visit(alice, f"/c/{conversation.public_id}/"), "As it is now")
    add_turn(conversation, alice, "And now?", "Now it is fast.")
    theirs = visit(newcomer("Charlie"), address)
    expect(answers(theirs)).to_have_count(1)
    expect(theirs.locator("body")).not_to_contain_text("fast")


def test_whoever_may_goes_through_other_branches_and_reads_the_notes(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    add_turn(conversation, alice, "Why is it slow?", "It reads every row.")
    answer = Message.objects.get(conversation=conversation, role=Author.ASSISTANT)
    # Older than the one that all see.
    other = {"conversation": conversation, "parent": answer.parent, "depth": answer.depth}
    Message.objects.create(**other, role=Author.ASSISTANT, text="Perhaps the network.")
    conversation.refresh_from_db()
    actions.messages.note(
        conversation=conversation, author=alice, text="Ask *Bob*", request_id=uuid4()
    )
    hers = visit(alice, f"/c/{conversation.public_id}/")
    theirs = visit(newcomer("Charlie"), share(hers, "As it is now", "Notes", "Other branches"))
    expect(theirs.locator(".note em")).to_have_text("Bob")
    theirs.get_by_role("link", name="Next answer").click()
    expect(words(theirs)).to_have_text("Perhaps the network.")
    expect(theirs.locator(".note")).to_have_count(0)
    assert violations(theirs) == []
    theirs.get_by_role("link", name="Previous answer").click()
    expect(words(theirs)).to_have_text("It reads every row.")
    assert violations(hers) == []
