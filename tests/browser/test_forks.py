"""Going on by oneself, in a copy that nobody else sees."""

import re

from playwright.sync_api import expect

from conversations.models import Conversation, Generation, User
from tests.browser.rows import add_turn
from tests.browser.test_accessibility import violations
from tests.browser.test_branches import button
from tests.browser.thread import Visit, answers, questions, rows, send, until_settled

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
    assert violations(his) == []
    button(answers(his).first, "What the model saw").click()
    expect(his.locator("#sheet")).to_contain_text("copied from another conversation")
    his.keyboard.press("Escape")
    his.get_by_role("link", name="Slow export", exact=True).click()
    expect(answers(his)).to_have_count(2)
    his.locator("#who").click()
    his.get_by_role("button", name="Fork from the end").click()
    expect(his.locator("#fork")).to_be_visible()
    expect(answers(his)).to_have_count(2)
    expect(rows(his)).to_have_count(3)
    # Alice hears nothing of it.
    expect(rows(hers)).to_have_count(1)
    expect(questions(hers)).to_have_count(2)
