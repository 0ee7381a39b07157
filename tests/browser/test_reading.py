"""Nothing jumps while an answer grows, long threads keep the place, texts can be taken along."""

import pytest
from playwright.sync_api import Locator, Page, expect

from conversations.models import Conversation, User
from tests.browser.dictation import Dictate, Dictation
from tests.browser.rows import conversation_of
from tests.browser.thread import (
    Visit,
    answer,
    answers,
    field,
    questions,
    send,
    until_ready,
    until_settled,
    words,
)

PARAGRAPH = "Words that fill a line or two of the page, so that there is something to scroll. " * 3
CODE = 'def greet():\n    print("hello & <goodbye>")\n'


def long_thread(person: User, turns: int) -> Conversation:
    return conversation_of(
        person, *[(f"Question {number}", f"{number}. {PARAGRAPH}") for number in range(turns)]
    )


def place_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"]


def from_the_end(page: Page) -> float:
    """Pixels between what is in view and the end of the thread."""
    distance: float = page.locator("#thread").evaluate(
        "box => box.scrollHeight - box.clientHeight - box.scrollTop"
    )
    return distance


def grow(page: Page, dictation: Dictation, first: int, last: int) -> None:
    for number in range(first, last):
        dictation.say(f"Line {number}. {PARAGRAPH}\n\n")
    expect(words(page)).to_contain_text(f"Line {last - 1}.")


def scroll_up(page: Page, pixels: int) -> None:
    page.locator("#thread").hover()
    page.mouse.wheel(0, -pixels)
    page.wait_for_timeout(200)


# --- Scrolling ------------------------------------------------------------------------------------


def test_a_reader_at_the_end_stays_there_while_the_answer_grows(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(alice, f"/c/{long_thread(alice, 8).public_id}/")
    assert from_the_end(page) < 2
    dictation = dictate()
    send(page, "More")
    for at in range(0, 12, 4):
        grow(page, dictation, at, at + 4)
        assert from_the_end(page) < 2
    expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()


def test_a_field_that_shrinks_as_words_come_does_not_leave_the_reader_behind(
    visit: Visit, alice: User
) -> None:
    page = visit(alice, f"/c/{long_thread(alice, 8).public_id}/")
    field(page).fill("One line\n" * 6)
    page.wait_for_timeout(200)
    assert from_the_end(page) <= 1
    # Emptied and filled again before the next picture: the view was moved up in between.
    field(page).evaluate(
        """field => {
          const text = field.value;
          field.value = "";
          document.getElementById("thread").getBoundingClientRect();
          field.value = text;
        }"""
    )
    page.wait_for_timeout(200)
    last = words(page)
    last.evaluate("(one, text) => one.append(text)", PARAGRAPH)
    page.wait_for_timeout(200)
    assert from_the_end(page) <= 1


def test_a_reader_who_scrolled_up_is_left_in_peace(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(alice, f"/c/{long_thread(alice, 8).public_id}/")
    dictation = dictate()
    send(page, "More")
    grow(page, dictation, 0, 3)
    scroll_up(page, 600)
    read = answers(page).nth(6)
    before = place_of(read)
    grow(page, dictation, 3, 12)
    assert place_of(read) == before
    dictation.finish()
    until_settled(page)
    assert place_of(read) == before

    page.get_by_role("button", name="Jump to latest").click()
    assert from_the_end(page) < 2
    expect(page.get_by_role("button", name="Jump to latest")).to_be_hidden()


def test_nothing_above_the_growing_end_ever_shifts(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(alice, f"/c/{long_thread(alice, 6).public_id}/")
    page.evaluate(
        """() => {
          window.shifts = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.shifts += entry.value;
          }).observe({ type: "layout-shift" });
        }"""
    )
    dictation = dictate()
    send(page, "More")
    grow(page, dictation, 0, 3)
    scroll_up(page, 500)
    page.evaluate("window.shifts = 0")
    grow(page, dictation, 3, 9)
    dictation.say("| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```\nEnd.")
    dictation.finish()
    until_settled(page)
    assert page.evaluate("window.shifts") < 0.001


def test_older_messages_come_as_one_scrolls_up_and_the_place_is_kept(
    visit: Visit, alice: User
) -> None:
    page = visit(alice, f"/c/{long_thread(alice, 75).public_id}/")
    expect(page.locator("#messages > article")).to_have_count(60)
    read = page.locator("#messages > article > .text", has_text="Question 47")
    page.locator("#thread").evaluate("box => box.scrollTo(0, 400)")
    before = place_of(read)
    expect(page.locator("#messages > article")).to_have_count(120)
    assert abs(place_of(read) - before) <= 1

    page.locator("#thread").evaluate("box => box.scrollTo(0, 100)")
    expect(page.locator("#messages > article")).to_have_count(150)
    texts = page.locator("#messages > .person > .text").all_inner_texts()
    assert texts == [f"Question {number}" for number in range(75)]


def test_a_message_of_ones_own_brings_the_reader_to_the_end(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(alice, f"/c/{long_thread(alice, 8).public_id}/")
    scroll_up(page, 800)
    dictation = dictate()
    send(page, "More")
    dictation.say("Here")
    expect(words(page)).to_have_text("Here")
    assert from_the_end(page) < 2


# --- Taking along ---------------------------------------------------------------------------------


def test_a_selection_survives_what_comes_after_it(page: Page, dictate: Dictate) -> None:
    dictation = dictate()
    send(page, "Tell me")
    dictation.say("First *paragraph* here.\n\nSecond")
    expect(words(page).locator("p")).to_have_count(2)
    words(page).locator("p").first.select_text()
    dictation.say(" paragraph.\n\n- one\n- two\n\n")
    expect(words(page).locator("li")).to_have_count(2)
    assert page.evaluate("getSelection().toString()").strip() == "First paragraph here."
    dictation.finish()
    until_settled(page)
    assert page.evaluate("getSelection().toString()").strip() == "First paragraph here."


def test_code_and_answers_are_copied_as_they_were_written(visit: Visit, alice: User) -> None:
    text = f"Some *emphasis*:\n\n```python\n{CODE}```\n"
    conversation = conversation_of(alice, ("How?", text))
    page = visit(
        alice,
        f"/c/{conversation.public_id}/",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page.locator(".code").hover()
    page.locator(".code").get_by_role("button", name="Copy").click()
    expect(page.locator(".code")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == CODE
    answer(page).hover()
    answer(page).get_by_role("button", name="Copy as Markdown").click()
    expect(page.get_by_role("status").get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text


def test_the_copy_button_of_a_long_block_stays_in_reach(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice, ("Write it", "```python\n" + CODE * 60 + "```\n\nSo."))
    page = visit(alice, f"/c/{conversation.public_id}/")
    scroll_up(page, 600)
    bar = words(page).locator(".code .bar")
    assert place_of(bar) == pytest.approx(place_of(page.locator("#thread")), abs=1)
    expect(bar.get_by_role("button", name="Copy")).to_be_in_viewport()


def test_a_text_stands_in_the_direction_it_is_read(visit: Visit, alice: User) -> None:
    conversation = conversation_of(
        alice, ("مرحبا", "بالطبع! إليك:\n\n- واحد\n\n```python\nprint(1)\n```\n\nIn English.")
    )
    page = visit(alice, f"/c/{conversation.public_id}/")
    direction = "one => getComputedStyle(one).direction"
    assert questions(page).locator(".text").evaluate(direction) == "rtl"
    assert words(page).evaluate(direction) == "rtl"
    assert words(page).locator(".code").evaluate(direction) == "ltr"
    field(page).fill("שלום")
    assert field(page).evaluate(direction) == "rtl"


def test_long_lines_of_code_wrap_on_demand(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice, ("How?", f"```\n{'x ' * 400}\n```"))
    page = visit(alice, f"/c/{conversation.public_id}/")
    until_ready(page)
    code = page.locator(".code pre")
    wide = "pre => pre.scrollWidth > pre.clientWidth"
    assert code.evaluate(wide)
    page.locator(".code").hover()
    page.locator(".code [data-wrap]").click()
    assert not code.evaluate(wide)
