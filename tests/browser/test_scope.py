"""What the model sees with a question: from a message on, or a selection; by keyboard too."""

import pytest
from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, Participant, Role, User
from tests.browser.rows import conversation_of
from tests.browser.test_accessibility import WIDE, look
from tests.browser.thread import Visit, answers, field, questions, send, until_settled
from tests.browser.watch import Watch
from tests.upstream import ScriptedUpstream


@pytest.fixture
def talk(alice: User) -> Conversation:
    return conversation_of(alice, *((f"Question {n}", f"Answer {n}") for n in range(1, 4)))


def chip(page: Page) -> Locator:
    return page.locator("#scope")


def told(upstream: ScriptedUpstream) -> list[str]:
    """The messages of the newest request."""
    return [message["content"] for message in upstream.asked[-1].json["messages"]]


def test_a_question_is_asked_from_a_message_on(
    visit: Visit, alice: User, bob: User, talk: Conversation, upstream: ScriptedUpstream
) -> None:
    Participant.objects.create(conversation=talk, user=bob, role=Role.VIEWER)
    page, his = visit(alice, f"/c/{talk.public_id}/"), visit(bob, f"/c/{talk.public_id}/")
    field(page).fill("And now?")
    answers(page).nth(1).hover()
    answers(page).nth(1).get_by_role("button", name="Ask from here on").click()
    expect(chip(page)).to_contain_text("The model sees 3 of 6 messages · from “Answer 2” on")
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_value("And now?")
    look(page)
    page.set_viewport_size(WIDE)
    page.keyboard.press("Enter")
    expect(answers(page)).to_have_count(4)
    until_settled(page)
    expect(chip(page)).to_be_empty()
    assert told(upstream) == ["Answer 2", "Question 3", "Answer 3", "And now?"]
    for reader in (page, his):
        expect(questions(reader).last).to_contain_text("asked with 3 of 6 messages")
    expect(his.get_by_role("button", name="Ask from here on")).to_have_count(0)

    answers(page).last.get_by_role("button", name="What the model saw").click()
    sheet = page.get_by_role("dialog", name="What the model saw")
    expect(sheet).to_contain_text("3 of 6 before the question")
    expect(sheet.locator("pre")).to_have_text(["Answer 2", "Question 3", "Answer 3", "And now?"])
    page.keyboard.press("Escape")
    answers(page).last.get_by_role("button", name="Answer again").click()
    expect(page.locator(".numbers")).to_have_text("2/2")
    until_settled(page)
    assert told(upstream) == ["Answer 2", "Question 3", "Answer 3", "And now?"]
    # The next one is asked with everything again.
    send(page, "And then?")
    expect(answers(page)).to_have_count(5)
    until_settled(page)
    assert len(told(upstream)) == 9


def test_a_selection_is_chosen_by_keyboard_and_taken_back(
    visit: Visit, alice: User, talk: Conversation, upstream: ScriptedUpstream
) -> None:
    page = visit(alice, f"/c/{talk.public_id}/")
    field(page).fill("And now?")
    opener = page.get_by_role("button", name="What the model is to see")
    opener.press("Enter")
    sheet = page.get_by_role("dialog", name="What the model is to see")
    boxes = sheet.get_by_role("checkbox")
    expect(boxes.last).to_be_focused()
    expect(sheet.locator(":checked")).to_have_count(6)
    look(page)
    page.set_viewport_size(WIDE)
    sheet.get_by_role("button", name="From here on: Question 3").press("Enter")
    expect(sheet.locator(":checked")).to_have_count(2)
    expect(sheet.get_by_role("button", name="From here on: Question 3")).to_be_focused()
    sheet.get_by_role("button", name="None").press("Enter")
    expect(sheet.locator(":checked")).to_have_count(0)
    for number in (0, 3):
        boxes.nth(number).press("Space")
    sheet.get_by_role("button", name="Use these").press("Enter")
    expect(sheet).to_be_hidden()
    expect(chip(page)).to_contain_text("The model sees 2 of 6 messages")
    expect(field(page)).to_be_focused()

    # It opens with what was chosen, and everything is one press away.
    opener.click()
    expect(sheet.locator(":checked")).to_have_count(2)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Let the model see everything").click()
    expect(chip(page)).to_be_empty()
    expect(field(page)).to_be_focused()

    opener.click()
    sheet.get_by_role("button", name="None").click()
    expect(sheet.locator(":checked")).to_have_count(0)
    boxes.nth(1).check()
    sheet.get_by_role("button", name="Use these").click()
    expect(chip(page)).to_contain_text("The model sees 1 of 6 messages")
    expect(field(page)).to_have_value("And now?")
    page.keyboard.press("Enter")
    expect(answers(page)).to_have_count(4)
    until_settled(page)
    assert told(upstream) == ["Answer 1", "And now?"]


def test_a_refused_question_keeps_the_choice(
    visit: Visit, alice: User, talk: Conversation, watch: Watch
) -> None:
    watch.allow("409")
    page = visit(alice, f"/c/{talk.public_id}/")
    answers(page).last.get_by_role("button", name="Ask from here on").click()
    expect(chip(page)).to_contain_text("The model sees 1 of 6 messages")
    Conversation.objects.filter(pk=talk.pk).update(model="gone")
    send(page, "And now?")
    expect(page.locator("#composer-refusal")).to_contain_text("gone is not offered")
    expect(field(page)).to_have_value("And now?")
    expect(chip(page)).to_contain_text("The model sees 1 of 6 messages")
