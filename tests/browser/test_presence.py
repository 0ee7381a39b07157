"""Two browsers in one conversation: who is here, who is typing."""

import pytest
from playwright.sync_api import Page, expect

from conversations.models import Conversation, Participant, Role, User
from tests.browser.rows import conversation_of
from tests.browser.test_accessibility import LOOKS, violations
from tests.browser.thread import Visit, field, send
from tests.browser.watch import Watch

TURN = ("Why is the export slow?", "It reads every row twice.")


@pytest.fixture
def shared(alice: User, bob: User) -> Conversation:
    conversation = conversation_of(alice, TURN)
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return conversation


def here(page: Page) -> list[str]:
    return [face.get_attribute("title") or "" for face in page.locator("#here .face").all()]


def until_both_are_here(first: Page, second: Page) -> None:
    for page in (first, second):
        expect(page.locator("#here .face.is-here")).to_have_count(2)


def test_each_sees_the_other_come_type_and_leave(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    address = f"/c/{shared.public_id}/"
    first = visit(alice, address)
    expect(first.locator("#here")).to_be_empty()  # nobody else
    second = visit(bob, address)
    until_both_are_here(first, second)
    for page in (first, second):
        expect(page.locator("#here")).to_contain_text("Here now: Alice, Bob")
    assert here(first) == ["Alice", "Bob"]
    before = first.locator("#messages").bounding_box()
    field(second).press_sequentially("Because")
    expect(first.locator("#typing")).to_have_text("Bob is typing…")
    expect(second.locator("#typing")).to_be_empty()
    expect(first.locator("#announcer")).to_contain_text("Bob is typing…")
    assert first.locator("#messages").bounding_box() == before  # nothing moves for it
    field(second).fill("")
    expect(first.locator("#typing")).to_be_empty()
    field(second).press_sequentially("So it is.")
    expect(first.locator("#typing")).to_have_text("Bob is typing…")
    assert first.locator("#announcer").inner_text().count("typing") == 1  # sparingly
    send(second, "So it is.")
    expect(first.locator("#messages")).to_contain_text("So it is.")
    expect(first.locator("#typing")).to_be_empty()
    second.goto("/")
    expect(first.locator("#here")).to_be_empty()


def test_another_conversation_shows_its_own_people(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    other = conversation_of(alice, title="Alone")
    first = visit(alice, f"/c/{shared.public_id}/")
    second = visit(bob, f"/c/{shared.public_id}/")
    until_both_are_here(first, second)
    field(second).press_sequentially("Hm")
    expect(first.locator("#typing")).not_to_be_empty()
    first.locator(f"#c-{other.public_id} .row").click()
    expect(first.locator(".head h1")).to_have_text("Alone")
    expect(second.locator("#here")).to_be_empty()
    expect(first.locator("#here")).to_be_empty()
    expect(first.locator("#typing")).to_be_empty()
    first.go_back()
    expect(first.locator("#here .face")).to_have_count(2)


def test_a_lost_connection_shows_nobody_typing(
    visit: Visit, watch: Watch, alice: User, bob: User, shared: Conversation
) -> None:
    watch.allow("WebSocket connection to")
    first = visit(alice, f"/c/{shared.public_id}/")
    second = visit(bob, f"/c/{shared.public_id}/")
    until_both_are_here(first, second)
    field(second).press_sequentially("Hm")
    expect(first.locator("#typing")).not_to_be_empty()
    first.context.set_offline(True)
    expect(first.locator("#typing")).to_be_empty()


@pytest.mark.parametrize(("theme", "size"), LOOKS)
def test_axe_finds_nothing_while_somebody_types(
    visit: Visit,
    alice: User,
    bob: User,
    shared: Conversation,
    theme: str,
    size: dict[str, int],
) -> None:
    first = visit(alice, f"/c/{shared.public_id}/", color_scheme=theme, viewport=size)
    second = visit(bob, f"/c/{shared.public_id}/")
    until_both_are_here(first, second)
    field(second).press_sequentially("Hm")
    expect(first.locator("#typing")).not_to_be_empty()
    assert violations(first) == []
