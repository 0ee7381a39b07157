"""Notes among people, messages that do not call the assistant, and what the model saw."""

from playwright.sync_api import Page, expect

from conversations.models import Conversation, Message, User
from tests.browser.dictation import Dictate
from tests.browser.rows import add_turn
from tests.browser.test_accessibility import look
from tests.browser.test_queue import turns
from tests.browser.thread import (
    field,
    for_anybody,
    questions,
    send,
    thread_html,
    until_ready,
    until_settled,
    words,
)


def note_switch(page: Page) -> None:
    page.get_by_role("checkbox", name="Note").click()


def test_a_note_is_seen_by_people_and_by_no_model(
    hers: Page, his: Page, dictate: Dictate, shared: Conversation
) -> None:
    first, second = dictate(), dictate()
    send(hers, "One?")
    first.say("Half of the answer")
    expect(words(his)).to_have_text("Half of the answer")
    note_switch(his)
    expect(his.get_by_role("button", name="Add note")).to_be_visible()
    send(his, "I doubt that.")
    for page in (hers, his):
        note = page.locator("#messages > .note")
        expect(note).to_contain_text("I doubt that.")
        expect(note.locator(".note-sign")).to_have_text("Note")
        expect(turns(page)).to_have_count(0)
    expect(field(his)).to_have_value("")
    expect(his.get_by_role("checkbox", name="Note")).to_be_checked()
    first.say(", and the rest.")
    first.finish()
    for page in (hers, his):
        until_settled(page)
        expect(page.locator("#messages > article").last).to_contain_text("I doubt that.")
    look(his)
    note_switch(his)
    send(his, "Two?")
    second.wait_until_asked()
    sent = " ".join(message["content"] for message in second.request["messages"])
    assert "Two?" in sent
    assert "doubt" not in sent
    second.finish()
    for page in (hers, his):
        until_settled(page)
        expect(page.locator("#messages > article")).to_have_count(5)
    assert for_anybody(hers) == for_anybody(his)
    before = thread_html(his)
    his.reload()
    assert thread_html(his) == before


def test_a_draft_of_a_note_stays_one(his: Page) -> None:
    note_switch(his)
    field(his).fill("Among ourselves")
    his.reload()
    until_ready(his)
    expect(field(his)).to_have_value("Among ourselves")
    expect(his.get_by_role("checkbox", name="Note")).to_be_checked()


def test_the_assistant_waits_to_be_called(
    hers: Page, his: Page, dictate: Dictate, bob: User
) -> None:
    hers.get_by_role("button", name="Settings").click()
    hers.get_by_label("The assistant answers").select_option("called")
    hers.get_by_role("button", name="Save").click()
    expect(hers.get_by_text("Settings saved")).to_be_visible()
    look(hers)
    hers.keyboard.press("Escape")
    send(his, "Why is it slow?")
    send(hers, "Let us ask.")
    for page in (hers, his):
        expect(questions(page)).to_have_count(2)
        expect(page.locator("#messages > .answer")).to_have_count(0)
    dictation = dictate()
    send(hers, "@assistant do you know?")
    dictation.say("I do.")
    assert [message["role"] for message in dictation.request["messages"]] == [
        "system",
        "user",
        "user",
        "user",
    ]
    dictation.finish()
    for page in (hers, his):
        until_settled(page)
        expect(words(page)).to_have_text("I do.")


def test_what_the_model_saw_is_shown_in_a_sheet(
    hers: Page, shared: Conversation, alice: User, bob: User
) -> None:
    add_turn(shared, alice, "One?", "Yes.")
    Message.objects.filter(text="One?").update(author=bob)
    dictated = "Two?"
    hers.reload()
    until_ready(hers)
    send(hers, dictated)
    expect(words(hers)).to_contain_text("That is all.")
    until_settled(hers)
    hers.get_by_role("button", name="What the model saw").last.click()
    sheet = hers.get_by_role("dialog", name="What the model saw")
    expect(sheet.get_by_text("Several people take part")).to_be_visible()
    expect(sheet.locator("pre").nth(1)).to_have_text("⟪Bob⟫\nOne?")
    expect(sheet.locator("pre").nth(3)).to_have_text("⟪Alice⟫\nTwo?")
    expect(sheet).to_contain_text("crimson-falcon-4")
    look(hers)
    hers.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(hers.get_by_role("button", name="What the model saw").last).to_be_focused()
