"""How many queries a question costs. A number that has to be raised here is a cost for everybody:
each is a good part of a millisecond, and one process has a thousand of those a second."""

from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import SyncToAsync
from channels.testing import HttpCommunicator
from django.conf import settings
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from chatweb.asgi import application
from conversations import actions
from conversations.actions.generations import Kept, Settlement
from conversations.models import Choice, Conversation, State, User
from conversations.relay import Relay
from conversations.relay.prompt import compose
from tests.relays import db
from tests.viewers import session_of

pytestmark = pytest.mark.django_db

TRANSACTION = 2  # its begin and end, which are savepoints in the test's own


@pytest.fixture
def talk(conversation: Conversation, alice: User) -> Conversation:
    return answered(conversation, alice, questions=5)


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def ask(conversation: Conversation, author: User) -> actions.messages.Sent:
    return actions.messages.send(
        conversation=conversation, author=author, text="Why is it slow?", request_id=uuid4()
    )


def settle(relay: Relay, choice: Choice) -> None:
    generation = choice.generation
    assert actions.generations.settle(
        generation=generation,
        worker=relay.worker,
        kept=Kept(
            generation_id=generation.pk, message_id=choice.message_id, text="So.", reasoning=""
        ),
        outcome=Settlement(state=State.DONE, finish_reason="stop"),
    )


def answered(conversation: Conversation, author: User, questions: int) -> Conversation:
    relay = Relay()
    for _ in range(questions):
        ask(conversation, author)
        settle(relay, *relay._claimed(1))
    return conversation


def test_sending_a_question(
    client: Client,
    talk: Conversation,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    address = f"/c/{talk.public_id}/messages/"
    fields = {"text": "And now?", "request_id": uuid4()}
    # Session, person, conversation, queued or sent before?; then locked, role, busy?, head,
    # question, answer, person, open turns, branch, team, budgets, reservation, generation,
    # choice, conversation, revision, audit; then the sidebars' row, and the budgets for the
    # composer.
    with (
        django_assert_num_queries(5 + TRANSACTION + 17 + 1 + 1),
        django_capture_on_commit_callbacks(execute=True),
    ):
        page = client.post(address, fields, headers={"HX-Request": "true"})
    assert page.content.count(b"<article") == 2


def test_claiming_and_composing(
    talk: Conversation, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask(talk, alice)
    relay = Relay()
    with django_assert_num_queries(2):
        (choice,) = relay._claimed(10)
        assert choice.generation.conversation.public_id == talk.public_id
    with django_assert_num_queries(1):
        assert len(compose(choice.generation).messages) == 11


def test_settling_an_answer(
    talk: Conversation,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    ask(talk, alice)
    relay = Relay()
    (choice,) = relay._claimed(10)
    # Generation, message, audit, conversation, revision, does a turn wait?, reservation found and
    # gone, usage record; then the row, and the article with its generation and the other answers.
    with (
        django_assert_num_queries(TRANSACTION + 9 + 3),
        django_capture_on_commit_callbacks(execute=True),
    ):
        settle(relay, choice)


@pytest.mark.parametrize("questions", [1, 6])
def test_a_page(
    client: Client,
    conversation: Conversation,
    alice: User,
    questions: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    answered(conversation, alice, questions)
    # Session, person, conversation, messages, their generations and what stands beside them, other
    # first questions, texts, queue, offers, who takes part, budgets, sidebar, its faces, the
    # person's teams and labels; and their rights by group and by themselves.
    with django_assert_num_queries(18):
        page = client.get(f"/c/{conversation.public_id}/")
    assert page.content.count(b"<article") == 2 * questions


@pytest.mark.django_db(transaction=True)
async def test_a_page_takes_three_trips_to_its_thread(
    conversation: Conversation, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To say that it begins, to make it, and to say that it ended."""
    trips: list[object] = []
    to_thread = SyncToAsync.__call__

    def counting(self: Any, *arguments: Any, **named: Any) -> Any:
        trips.append(self.func)
        return to_thread(self, *arguments, **named)

    cookie = f"{settings.SESSION_COOKIE_NAME}={await db(session_of, alice)}"
    page = HttpCommunicator(
        application,
        "GET",
        f"/c/{conversation.public_id}/",
        headers=[(b"host", b"testserver"), (b"cookie", cookie.encode())],
    )
    monkeypatch.setattr(SyncToAsync, "__call__", counting)
    response = await page.get_response(timeout=10)
    await page.wait(timeout=10)
    assert response["status"] == 200
    assert len(trips) == 3, trips
