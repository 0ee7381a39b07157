"""Going on by oneself, in a copy that nobody else sees, and offering what came of it."""

import re
from contextlib import suppress

from playwright.sync_api import Error, Route, expect

from conversations import actions
from conversations.models import Conversation, Generation, User
from tests.browser.rows import add_turn, newcomer
from tests.browser.test_accessibility import look
from tests.browser.test_branches import button
from tests.browser.thread import (
    Visit,
    answers,
    for_anybody,
    questions,
    rows,
    send,
    thread_html,
    until_ready,
    until_settled,
)

SYNCED = """(revision) => {
  document.getElementById("messages").dataset.revision = revision;
  document.dispatchEvent(new Event("synced"));
}"""
ASKED = {"system": "", "messages": [], "parameters": {}, "prefill": ""}


def test_bob_goes_on_by_himself_from_an_earlier_answer_and_from_the_end(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    add_turn(shared, alice, "How slow?", "Very slow.")
    add_turn(shared, bob, "And now?", "Still slow.")
    Generation.objects.filter(conversation=shared).update(request=ASKED)
    address = f"/c/{shared.public_id}/"
    hers, his = visit(alice, address), visit(bob, address)
    button(answers(his).first, "Fork privately from here").click()
    expect(his.locator("#fork")).to_contain_text("Fork of Slow export")
    expect(his).not_to_have_url(re.compile(address))
    expect(answers(his)).to_have_count(1)
    send(his, "Mine alone")
    expect(questions(his)).to_have_count(2)
    until_settled(his)
    look(his)
    button(answers(his).first, "What the model saw").click()
    expect(his.locator("#sheet")).to_contain_text("copied from another conversation")
    his.keyboard.press("Escape")
    his.get_by_role("link", name="Slow export", exact=True).click()
    expect(his.locator("#fork")).to_have_count(0)
    his.locator("#who").click()
    his.get_by_role("button", name="Fork from the end").click()
    expect(his.locator("#fork")).to_be_visible()
    expect(answers(his)).to_have_count(2)
    expect(rows(his)).to_have_count(3)
    # Alice hears nothing of it.
    expect(rows(hers)).to_have_count(1)
    expect(questions(hers)).to_have_count(2)


def test_bob_offers_his_branch_and_alice_takes_it(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    add_turn(shared, alice, "How slow?", "Very slow.")
    charlie = newcomer("Charlie")
    address = f"/c/{shared.public_id}/"
    hers, his, theirs = visit(alice, address), visit(bob, address), visit(charlie)
    button(answers(his).first, "Fork privately from here").click()
    strip = his.locator("#fork")
    expect(strip).to_be_visible()
    send(his, "And with an index?")
    expect(questions(his)).to_have_count(2)
    until_settled(his)
    add_turn(shared, alice, "And now?", "Still slow.")
    hers.reload()
    until_ready(hers)

    strip.get_by_role("button", name="Offer back").click()
    sheet = his.locator("#sheet")
    expect(sheet.get_by_label("A word about it")).to_be_focused()
    sheet.get_by_label("A word about it").fill("I tried an index")
    look(his)
    sheet.get_by_role("button", name="Offer", exact=True).click()
    expect(sheet).to_be_hidden()
    expect(strip).to_contain_text("offered to the others")
    expect(strip.get_by_role("button", name="Offer anew")).to_be_focused()

    # She sees it at once, and still after a reload.
    card = hers.locator("#queue .offer")
    expect(card).to_contain_text("Bob I tried an index")
    look(hers)
    hers.reload()
    until_ready(hers)
    card.get_by_role("link", name="Compare").click()
    now = hers.get_by_role("region", name="What stands there now")
    offered = hers.get_by_role("region", name="What Bob offers")
    expect(now.locator("article")).to_have_count(2)
    expect(now).to_contain_text("Still slow.")
    expect(offered.locator("article")).to_have_count(2)
    expect(offered).to_contain_text("And with an index?")
    look(hers)
    original = visit(bob, address)
    hers.get_by_role("button", name="Take as the new head").click()
    until_ready(hers)
    for page in (hers, original):
        expect(questions(page).last).to_contain_text("And with an index?")
        expect(questions(page).last.locator(".numbers")).to_have_text("2/2")
        expect(page.locator("#queue")).to_be_hidden()
    expect(strip).to_contain_text("Alice took what was offered")
    assert for_anybody(hers) == for_anybody(original)
    watched = thread_html(original)
    original.reload()
    until_ready(original)
    assert thread_html(original) == watched
    # What stood there is a step away.
    button(questions(hers).last, "Previous wording").click()
    expect(questions(original).last).to_contain_text("And now?")
    expect(rows(theirs)).to_have_count(0)


def fork_of(original: Conversation, alice: User, bob: User) -> Conversation:
    """Bob's, with a question of his own after Alice's."""
    add_turn(original, alice, "How slow?", "Very slow.")
    original.refresh_from_db()
    fork = actions.forks.fork(conversation=original, actor=bob, at=original.head)
    add_turn(fork, bob, "And with an index?", "Faster.")
    return fork


def test_an_offer_is_withdrawn_from_the_fork_by_keyboard(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    fork = fork_of(shared, alice, bob)
    actions.offers.make(fork=fork, original=shared, actor=bob, text="")
    hers, his = visit(alice, f"/c/{shared.public_id}/"), visit(bob, f"/c/{fork.public_id}/")
    expect(hers.locator("#queue .offer")).to_contain_text("2 messages")
    his.locator("#fork-withdraw").press("Enter")
    expect(hers.locator("#queue")).to_be_hidden()
    expect(his.get_by_role("button", name="Offer back")).to_be_visible()
    expect(his.locator("#fork-withdraw")).to_be_focused()


def test_what_became_of_an_offer_while_the_strip_was_fetched_is_shown(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    fork = fork_of(shared, alice, bob)
    offer = actions.offers.make(fork=fork, original=shared, actor=bob, text="")
    his = visit(bob, f"/c/{fork.public_id}/")
    address = his.locator("#fork").get_attribute("hx-get")

    def take_meanwhile(route: Route) -> None:
        response = route.fetch()
        actions.offers.take(offer=offer, actor=alice)
        fork.refresh_from_db()
        his.evaluate(SYNCED, fork.revision)
        with suppress(Error):  # the page wants it no more
            route.fulfill(response=response)

    his.route(f"**{address}", take_meanwhile, times=1)
    his.evaluate(SYNCED, fork.revision)
    expect(his.locator("#fork")).to_contain_text("Alice took what was offered")
