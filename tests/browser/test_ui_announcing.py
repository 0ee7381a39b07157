"""What those hear who do not see the answer grow: sentences, each once, and no code."""

from playwright.sync_api import Locator, Page, expect

from conversations.models import User
from tests.browser.dictation import Dictate
from tests.browser.rows import conversation_of
from tests.browser.thread import Visit, send, until_settled, words


def said(page: Page) -> Locator:
    return page.get_by_role("log").locator("p")


def test_finished_sentences_are_announced_and_the_rest_at_the_end(
    page: Page, dictate: Dictate
) -> None:
    dictation = dictate()
    send(page, "Tell me")
    dictation.say("The first sentence. The sec")
    expect(said(page)).to_have_text(["The first sentence."])
    dictation.say("ond sentence!\n\n- a point\n\nAnd th")
    expect(said(page)).to_have_text(["The first sentence.", "The second sentence! a point"])
    dictation.say("e rest")
    dictation.finish()
    until_settled(page)
    expect(said(page).last).to_have_text("And the rest")
    expect(said(page)).to_have_count(3)


def test_code_is_not_read_out(page: Page, dictate: Dictate) -> None:
    dictation = dictate()
    send(page, "Tell me")
    dictation.say("Look:\n\n```python\nprint('hello.')\n```\n\nThat is all.")
    expect(words(page)).to_contain_text("That is all.")
    dictation.finish()
    until_settled(page)
    expect(said(page).last).to_contain_text("That is all.")
    assert "print" not in page.get_by_role("log").inner_text()
    assert "Copy" not in page.get_by_role("log").inner_text()


def test_what_was_there_before_is_not_read_out(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice, ("How?", "It was so."))
    page = visit(alice, f"/c/{conversation.public_id}/")
    expect(words(page)).to_have_text("It was so.")
    page.wait_for_timeout(2_500)
    expect(said(page)).to_have_count(0)
