"""From signing in to an answer that is finished, and everything that may come in between."""

import re

from playwright.sync_api import Page, expect

from conversations.models import Message, User
from tests.browser.dictation import Dictate
from tests.browser.rows import PASSWORD
from tests.browser.thread import (
    Visit,
    answer,
    answers,
    questions,
    rows,
    send,
    send_button,
    stop_button,
    thread_html,
    until_ready,
    until_settled,
    words,
)


def test_a_person_signs_in_asks_and_watches_the_answer_grow(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(None)
    page.get_by_label("Mail address").fill(alice.email.upper())
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    until_ready(page)
    dictation = dictate()
    send(page, "Why is the **export** slow?")

    expect(page).to_have_url(re.compile(r"/c/[0-9a-z]{20}/$"))
    expect(questions(page)).to_contain_text("Why is the export slow?")
    expect(answer(page)).to_contain_text("waiting for the first word")
    dictation.say("It ")
    expect(words(page)).to_have_text("It")
    expect(answer(page)).to_contain_text("writing")
    dictation.say("reads *every", " row*.\n\n- one")
    expect(words(page).locator("em")).to_have_text("every row")
    expect(words(page).locator("li")).to_have_count(1)
    dictation.say("\n- two\n\n```python\nprint(1)\n")
    expect(words(page).locator("li")).to_have_count(2)
    expect(words(page).locator("pre")).to_contain_text("print(1)")
    dictation.say("```\nDone.")
    dictation.finish()
    until_settled(page)
    expect(answer(page)).to_contain_text("150 tokens")
    expect(rows(page).first).to_contain_text("Why is the **export** slow?")

    watched = thread_html(page)
    page.reload()
    until_ready(page)
    assert thread_html(page) == watched


def test_stopping_keeps_the_text_and_hangs_up(page: Page, alice: User, dictate: Dictate) -> None:
    dictation = dictate()
    send(page, "Tell me everything")
    dictation.say("So far ", "so good")
    expect(words(page)).to_have_text("So far so good")
    stop_button(page).click()

    expect(answer(page)).to_contain_text("Stopped by Alice.")
    expect(words(page)).to_have_text("So far so good")
    dictation.wait_until_over()
    assert dictation.was_hung_up
    expect(stop_button(page)).to_be_hidden()
    expect(send_button(page)).to_be_visible()
    page.reload()
    expect(words(page)).to_have_text("So far so good")
    expect(answer(page)).to_contain_text("Stopped by Alice.")


def test_a_reload_in_the_middle_misses_nothing_and_doubles_nothing(
    page: Page, dictate: Dictate
) -> None:
    dictation = dictate()
    send(page, "Count")
    spoken = [f"word{number} " for number in range(60)]
    for at in range(0, 60, 20):
        dictation.say(*spoken[at : at + 20])
        expect(words(page)).to_contain_text(f"word{at + 19}")
        page.reload()
        until_ready(page)
    dictation.finish()
    until_settled(page)
    assert words(page).inner_text() == "".join(spoken).strip()
    assert Message.objects.get(pk=_message(page).pk).text == "".join(spoken)


def _message(page: Page) -> Message:
    name = answer(page).get_attribute("id") or ""
    return Message.objects.get(public_id=name.removeprefix("m-"))


def test_an_answer_whose_upstream_dies_can_be_continued_and_asked_for_again(
    page: Page, dictate: Dictate
) -> None:
    first, second, third = dictate(), dictate(), dictate()
    send(page, "Tell me")
    first.say("One, two,")
    expect(words(page)).to_have_text("One, two,")
    first.die()
    expect(answer(page)).to_contain_text("What arrived is kept.")
    expect(words(page)).to_have_text("One, two,")

    answer(page).get_by_role("button", name="Continue").click()
    second.say(" three")
    expect(words(page)).to_have_text("One, two, three")
    assert second.request["messages"][-1] == {"role": "assistant", "content": "One, two,"}
    second.die()
    expect(answer(page).get_by_role("button", name="Retry")).to_be_visible()

    answer(page).get_by_role("button", name="Retry").click()
    third.say("All of it")
    third.finish()
    until_settled(page)
    expect(answers(page)).to_have_count(1)
    expect(words(page)).to_have_text("All of it")
    expect(answer(page)).to_contain_text("2/2")
    answer(page).get_by_role("button", name="Previous answer").click()
    expect(words(page)).to_have_text("One, two, three")
    expect(answer(page)).to_contain_text("1/2")
