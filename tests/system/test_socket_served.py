"""The socket as browsers get it: a real server, real frames, real close codes."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from conversations.models import Conversation, Generation, State, User
from tests.processes import Program, program
from tests.relays import database_url, send
from tests.upstream import ScriptedUpstream
from tests.viewers import session_of

pytestmark = pytest.mark.django_db(transaction=True)


class Portal:
    def __init__(self, running: Program) -> None:
        self.program = running
        self.port = int(running.line_with("port ").split()[-1])

    def socket(self, cookie: str = "", *, origin: str = "") -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}/ws/",
            origin=Origin(origin or f"http://127.0.0.1:{self.port}"),
            additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"},
            proxy=None,
        )


@pytest.fixture(scope="module")
def portal(django_db_setup: None) -> Iterator[Portal]:
    """One for all tests of the module: they leave it running."""
    with ScriptedUpstream.in_thread() as upstream:
        env = {
            "DJANGO_SETTINGS_MODULE": "chatweb.settings",
            "DATABASE_URL": database_url(),
            "UPSTREAM_BASE_URL": upstream.base_url,
            "RELAY_POLL_SECONDS": "0.1",
            "TICK_SECONDS": "0.3",
            "SOCKET_MESSAGE_MAX_BYTES": "2048",
            "SOCKETS_PER_USER": "3",
        }
        with program("-m", "tests.portal_process", env=env) as running:
            yield Portal(running)
            assert running.process.poll() is None, "the portal ended meanwhile"


def code_of(socket: ClientConnection) -> int:
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=10)
    assert socket.close_code is not None
    return socket.close_code


def messages(socket: ClientConnection, kind: str) -> Iterator[dict[str, Any]]:
    while True:
        message = json.loads(socket.recv(timeout=10))
        if message["t"] == kind:
            yield message


def test_an_answer_is_seen_from_question_to_end(
    portal: Portal, conversation: Conversation, alice: User
) -> None:
    with portal.socket(session_of(alice)) as socket:
        socket.send(json.dumps({"t": "watch", "c": conversation.public_id}))
        next(messages(socket, "watching"))
        generation = send(conversation, alice, "Hello there")
        settled = next(messages(socket, "settled"))
    assert "Hello there" in settled["html"]
    generation.refresh_from_db()
    assert generation.state == State.DONE


def test_without_a_session_it_is_closed_with_4401(portal: Portal, db: None) -> None:
    with portal.socket() as socket:
        assert code_of(socket) == 4401


def test_a_foreign_conversation_closes_it_with_4403(
    portal: Portal, conversation: Conversation, charlie: User
) -> None:
    with portal.socket(session_of(charlie)) as socket:
        socket.send(json.dumps({"t": "watch", "c": conversation.public_id}))
        assert code_of(socket) == 4403


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://127.0.0.1:1"])
def test_another_origin_is_refused_in_the_handshake(
    portal: Portal, alice: User, origin: str
) -> None:
    cookie = session_of(alice)
    with pytest.raises(InvalidStatus) as refused, portal.socket(cookie, origin=origin):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("nonsense", ["{", "[]", b"\x00\xff", '{"t":"nothing"}', ""])
def test_nonsense_closes_it_with_4400(portal: Portal, alice: User, nonsense: str) -> None:
    with portal.socket(session_of(alice)) as socket:
        socket.send(nonsense)
        assert code_of(socket) == 4400


def test_what_is_too_big_closes_it_with_1009(portal: Portal, alice: User) -> None:
    with portal.socket(session_of(alice)) as socket:
        socket.send(json.dumps({"t": "watch", "c": "x" * 3000}))
        assert code_of(socket) == 1009


def test_one_socket_too_many_is_closed_with_4429(portal: Portal, alice: User) -> None:
    cookie = session_of(alice)
    with ExitStack() as sockets:
        *_others, last = [sockets.enter_context(portal.socket(cookie)) for _ in range(4)]
        assert code_of(last) == 4429


def test_a_question_asked_elsewhere_shows_without_an_event_of_its_own(
    portal: Portal, conversation: Conversation, alice: User
) -> None:
    """The test's process writes the rows; this portal learns of them from the table alone."""
    with portal.socket(session_of(alice)) as socket:
        socket.send(json.dumps({"t": "watch", "c": conversation.public_id}))
        revision = next(messages(socket, "watching"))["rev"]
        send(conversation, alice)
        ticks = (tick for tick in messages(socket, "tick") if tick.get("rev", 0) > revision)
        assert next(ticks)["c"] == conversation.public_id
    assert Generation.objects.filter(conversation=conversation).exists()
