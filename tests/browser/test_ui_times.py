"""Times as the reader's own clock and calendar have them."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone
from playwright.sync_api import Page, expect

from conversations.models import Conversation, Generation, Message, State, User
from tests.browser.rows import add_turn, conversation_of
from tests.browser.thread import Visit, answer, rows

LATE = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def told_at(conversation: Conversation, *moments: datetime) -> None:
    messages = Message.objects.filter(conversation=conversation).order_by("depth")
    for message, moment in zip(messages, moments, strict=True):
        Message.objects.filter(pk=message.pk).update(created_at=moment)


def days(page: Page) -> list[str]:
    found: list[str] = page.locator("#messages > [data-day]").evaluate_all(
        "articles => articles.map(article => article.dataset.day)"
    )
    return found


def test_a_message_stands_under_the_readers_day_at_the_readers_hour(
    visit: Visit, alice: User
) -> None:
    conversation = conversation_of(alice, ("How?", "So."))
    told_at(conversation, LATE, LATE + timedelta(minutes=45))
    path = f"/c/{conversation.public_id}/"

    near = visit(alice, path, timezone_id="Europe/Berlin", locale="en-GB")
    assert days(near) == ["Monday, March 2, 2026"]
    expect(near.locator(".by time").first).to_have_text("00:30")
    expect(near.locator(".by time").first).to_have_attribute(
        "title", "Monday, 2 March 2026 at 00:30:00"
    )
    far = visit(alice, path, timezone_id="UTC", locale="en-GB")
    assert days(far) == ["Sunday, March 1, 2026", "Monday, March 2, 2026"]
    expect(far.locator(".by time").first).to_have_text("23:30")


def test_today_and_yesterday_are_called_so(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice, ("How?", "So."))
    told_at(conversation, timezone.now() - timedelta(days=1), timezone.now())
    assert days(visit(alice, f"/c/{conversation.public_id}/")) == ["Yesterday", "Today"]


def test_when_a_busy_server_can_be_asked_again_is_told_in_words(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice)
    busy = {"state": State.FAILED, "finish_reason": "", "error_message": "It is busy."}
    in_20_minutes = timezone.now() + timedelta(minutes=20)
    add_turn(conversation, alice, "Now?", "", **busy, retry_at=in_20_minutes)
    page = visit(alice, f"/c/{conversation.public_id}/")
    expect(answer(page).locator(".state")).to_contain_text("It is busy. Try again in 20 minutes.")
    # The button beside the reason is the only one of its kind.
    expect(answer(page).get_by_role("button")).to_have_count(1)
    Generation.objects.filter(conversation=conversation).update(retry_at=timezone.now())
    page.reload()
    expect(answer(page).locator(".state > span").first).to_have_text("It is busy.")


def test_the_sidebar_is_grouped_by_the_readers_days(visit: Visit, alice: User) -> None:
    now = timezone.now()
    for days_ago in (0, 0, 1, 4, 5):
        conversation_of(alice, title=f"{days_ago} days", at=now - timedelta(days=days_ago))
    conversation_of(alice, title="Old", at=LATE)
    page = visit(alice, timezone_id="Europe/Berlin")
    groups = rows(page).evaluate_all("items => items.map(item => item.dataset.group ?? '')")
    assert groups == ["Today", "", "Yesterday", "Previous 7 days", "", "March 2026"]
    expect(rows(page).last.locator("time")).to_have_text("Mar 2")
