"""The database is locked for too long, or is given what it cannot keep."""

from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from conversations import actions
from conversations.models import Conversation, Message, State, User
from conversations.relay import Relay
from tests.relays import ask, database_locked, settled
from tests.upstream import ScriptedUpstream
from tests.upstream.scenarios import scenario
from tests.upstream.wire import Request, Wire
from tests.viewers import Viewer


def send(client: Client, conversation: Conversation, **headers: str) -> Any:
    form = {"text": "Why?", "request_id": str(uuid4())}
    return client.post(f"/c/{conversation.public_id}/messages/", form, headers=headers)


@pytest.fixture
def visitor(impatient: None, alice: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


def test_a_question_that_the_database_does_not_take_is_answered_with_when_to_try_again(
    visitor: Client, conversation: Conversation
) -> None:
    with database_locked():
        answer = send(visitor, conversation, HX_Request="true")
    assert (answer.status_code, answer["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert int(answer["Retry-After"]) > 0
    assert "try again" in answer.content.decode()
    assert not Message.objects.exists()


def test_a_page_without_htmx_gets_a_whole_page_that_says_so(
    visitor: Client, conversation: Conversation
) -> None:
    with database_locked():
        answer = send(visitor, conversation)
    assert answer.status_code == 503
    assert "<h1>One moment, please</h1>" in answer.content.decode()
    assert answer["Cache-Control"] == "private, no-store"


def test_who_tries_again_is_served(visitor: Client, conversation: Conversation) -> None:
    with database_locked():
        send(visitor, conversation)
    assert send(visitor, conversation).status_code == 200


# --- NUL, which PostgreSQL does not keep ----------------------------------------------------------


def test_a_session_cookie_that_cannot_be_ours_signs_nobody_in(client: Client, db: None) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = "aaaa\0aaaa"
    assert client.get("/").status_code == 302


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["a\0aaaaaaaa", '"a\\000aaaaaaaa"', "short", "é" * 32, ""])
async def test_a_socket_with_such_a_cookie_is_closed_with_4401(key: str) -> None:
    async with Viewer(key) as viewer:
        assert await viewer.closed() == 4401


@scenario()
async def names_itself_with_nul(wire: Wire, request: Request) -> None:
    """An answer whose id holds a NUL."""
    await wire.head()
    for rest in ({"delta": {"content": "Hi\0"}}, {"delta": {}, "finish_reason": "stop"}):
        await wire.event({"id": "chat\0cmpl", "choices": [{"index": 0, **rest}]})
    await wire.done()
    await wire.end()


@pytest.mark.django_db(transaction=True)
async def test_whatever_an_upstream_calls_itself_its_answer_is_kept(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("names_itself_with_nul")
    row = await settled(await ask(conversation, alice))
    assert (row.state, "\0" in row.upstream_id) == (State.DONE, False)


def test_what_is_stored_of_an_end_holds_no_nul() -> None:
    ended = actions.generations.Settlement(
        state=State.FAILED, error_code="refused", error_message="a\0b", error_detail="\0"
    )
    assert "\0" not in "".join(str(value) for value in ended.columns().values())
