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
from tests.upstream import ScriptedUpstream


def test_a_person_signs_in_asks_and_watches_the_answer_grow(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(None)
    page.get_by_label("Email address").fill(alice.email.upper())
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
    expect(rows(page).first).to_contain_text("Why is the export slow?")

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


def test_an_error_before_the_first_word_is_told_plainly_and_can_be_retried(
    page: Page, upstream: ScriptedUpstream, dictate: Dictate
) -> None:
    upstream.script("context_too_long")
    dictation = dictate()
    send(page, "Read all of this")
    expect(answer(page).locator(".state.failed")).to_contain_text("longer than this model can read")
    page.reload()
    expect(answer(page).locator(".state.failed")).to_contain_text("longer than this model can read")
    answer(page).get_by_role("button", name="Retry").click()
    dictation.say("Now it works.")
    dictation.finish()
    until_settled(page)
    expect(words(page)).to_have_text("Now it works.")


def test_an_upstream_that_says_later_is_waited_for_in_sight(
    page: Page, upstream: ScriptedUpstream, dictate: Dictate
) -> None:
    upstream.script("rate_limited", retry_after=3)
    dictation = dictate()
    send(page, "Now, please")
    expect(answer(page).locator("[data-progress]")).to_contain_text(
        re.compile(r"too many requests.*Trying again\s+in [123] seconds?")
    )
    expect(stop_button(page)).to_be_visible()
    dictation.wait_until_asked()
    dictation.say("Here I am.")
    expect(words(page)).to_have_text("Here I am.")
    expect(answer(page).locator("[data-progress]")).to_have_text("writing")
    dictation.finish()
    until_settled(page)


def test_waiting_can_be_stopped(page: Page, upstream: ScriptedUpstream) -> None:
    upstream.script("rate_limited", retry_after=20)
    send(page, "Now, please")
    expect(answer(page).locator("[data-progress]")).to_contain_text("Trying again")
    stop_button(page).click()
    expect(answer(page)).to_contain_text("Stopped by Alice.")


def test_an_answer_cut_at_its_limit_says_so_and_goes_on(page: Page, dictate: Dictate) -> None:
    first, second = dictate(), dictate()
    send(page, "A long story")
    first.say("Once upon a")
    first.finish("length")
    expect(answer(page)).to_contain_text("Cut at the limit of tokens.")
    answer(page).get_by_role("button", name="Continue").click()
    second.say(" time.")
    second.finish()
    until_settled(page)
    expect(words(page)).to_have_text("Once upon a time.")


def test_the_title_is_made_from_the_first_message(page: Page, upstream: ScriptedUpstream) -> None:
    send(page, "# Why is the export slow?\nIt takes an hour.")
    expect(page.locator("#title h1")).to_have_text("Why is the export slow?")
    expect(page).to_have_title("Why is the export slow? · Chatweb")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("Why is the export slow?")


def test_reasoning_is_folded_away_beside_the_answer(page: Page, upstream: ScriptedUpstream) -> None:
    upstream.script("reasoning")
    send(page, "Think first")
    until_settled(page)
    expect(answer(page).locator(".reasoning-text")).to_be_hidden()
    answer(page).get_by_text("Reasoning").click()
    expect(answer(page).locator(".reasoning-text")).to_be_visible()
