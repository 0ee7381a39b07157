"""What the page does to turns that wait, and what it is told."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from conversations import actions
from conversations.models import (
    Conversation,
    Generation,
    Message,
    Participant,
    QueuedTurn,
    Role,
    State,
    User,
)
from tests.relays import send

pytestmark = pytest.mark.django_db


def signed_in(person: User) -> Client:
    client = Client(headers={"HX-Request": "true"})
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def turn(conversation: Conversation, alice: User, bob: User) -> QueuedTurn:
    """Bob's, behind the answer to Alice."""
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    send(conversation, alice)
    turn = actions.queue.send(
        conversation=conversation, author=bob, text="Bob's <i>", request_id=uuid4()
    )
    assert isinstance(turn, QueuedTurn)
    return turn


def path(turn: QueuedTurn, rest: str = "") -> str:
    return f"/q/{turn.public_id}/{rest}"


@pytest.mark.parametrize("address", ["", "messages/"])
def test_the_page_and_what_brings_it_up_to_date_show_the_queue(
    turn: QueuedTurn, alice: User, address: str
) -> None:
    page = signed_in(alice).get(f"/c/{turn.conversation.public_id}/{address}")
    html = page.content.decode()
    assert f'id="q-{turn.public_id}"' in html
    assert "1 turn waits" in html
    assert "Bob&#x27;s &lt;i&gt;" in html


def test_older_messages_come_without_it(turn: QueuedTurn, alice: User) -> None:
    message = Message.objects.order_by("-pk")[0].public_id
    page = signed_in(alice).get(f"/c/{turn.conversation.public_id}/messages/?before={message}")
    assert b'id="queue"' not in page.content


def test_an_empty_queue_is_there_and_hidden(conversation: Conversation, alice: User) -> None:
    html = signed_in(alice).get(f"/c/{conversation.public_id}/").content.decode()
    assert 'aria-labelledby="queue-title" hidden' in html


def test_its_author_edits_it_in_a_sheet(turn: QueuedTurn, bob: User) -> None:
    client = signed_in(bob)
    assert "Bob&#x27;s &lt;i&gt;</textarea>" in client.get(path(turn)).content.decode()
    assert client.post(path(turn), {"text": "Better"}).status_code == 204
    turn.refresh_from_db()
    assert turn.text == "Better"


@pytest.mark.parametrize(("text", "reason"), [("  ", "Write something"), ("x" * 100_001, "100000")])
def test_what_is_refused_stays_in_the_sheet_with_the_reason(
    turn: QueuedTurn, bob: User, text: str, reason: str
) -> None:
    page = signed_in(bob).post(path(turn), {"text": text})
    assert page.status_code == 422
    assert reason in page.content.decode()
    assert f"{text}</textarea>" in page.content.decode()


def test_what_was_typed_for_a_turn_that_was_sent_meanwhile_is_given_back(
    turn: QueuedTurn, bob: User
) -> None:
    """It went between the look and the change."""

    def too_late(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('UPDATE "conversations_queuedturn"'):
            execute('DELETE FROM "conversations_queuedturn"', (), False, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(too_late):
        page = signed_in(bob).post(path(turn), {"text": "Typed with care"})
    assert page.status_code == 409
    assert "Typed with care</textarea>" in page.content.decode()
    assert "Somebody was faster" in page.content.decode()


def test_a_viewer_may_withdraw_what_they_wrote_as_an_editor_and_no_more(
    turn: QueuedTurn, bob: User
) -> None:
    Participant.objects.filter(user=bob).update(role=Role.VIEWER)
    client = signed_in(bob)
    assert client.get(path(turn)).status_code == 404
    assert client.post(path(turn, "now/")).status_code == 404
    back = client.delete(path(turn))
    assert (back.status_code, back.content.decode()) == (200, "Bob's <i>")
    assert back["Content-Type"] == "text/plain; charset=utf-8"
    assert not QueuedTurn.objects.exists()


def test_an_owner_withdraws_it_without_its_text(turn: QueuedTurn, alice: User) -> None:
    page = signed_in(alice).delete(path(turn))
    assert (page.status_code, page.content) == (200, b"")
    assert not QueuedTurn.objects.exists()


def test_whoever_was_removed_may_not_even_withdraw(turn: QueuedTurn, bob: User) -> None:
    Participant.objects.filter(user=bob).delete()
    assert signed_in(bob).delete(path(turn)).status_code == 404


def test_an_owner_puts_it_in_order(
    turn: QueuedTurn, conversation: Conversation, alice: User
) -> None:
    other = actions.queue.send(
        conversation=conversation, author=alice, text="Mine", request_id=uuid4()
    )
    assert isinstance(other, QueuedTurn)
    client = signed_in(alice)
    assert client.post(path(other, "place/"), {"beside": turn.public_id}).status_code == 204
    assert list(QueuedTurn.objects.in_line()) == [other, turn]
    fields = {"beside": turn.public_id, "after": "1"}
    assert client.post(path(other, "place/"), fields).status_code == 204
    assert list(QueuedTurn.objects.in_line()) == [turn, other]
    assert client.post(path(other, "place/"), {"beside": "gone"}).status_code == 409
    assert client.post(path(other, "place/"), {"beside": "no id"}).status_code == 422


def test_sending_now_says_why_it_cannot(
    turn: QueuedTurn, conversation: Conversation, alice: User
) -> None:
    Conversation.objects.update(model="retired-1")
    page = signed_in(alice).post(path(turn, "now/"))
    assert (page.status_code, page["Content-Type"]) == (409, "text/plain; charset=utf-8")
    assert "retired-1" in page.content.decode()


def test_the_next_is_sent_by_any_editor_and_by_one_alone(
    turn: QueuedTurn, conversation: Conversation, alice: User, bob: User
) -> None:
    Generation.objects.update(state=State.FAILED)
    address = f"/c/{conversation.public_id}/queue/next/"
    assert signed_in(bob).post(address).status_code == 204
    assert signed_in(alice).post(address).status_code == 409, "nothing waits any more"
    assert Message.objects.filter(author=bob).count() == 1
