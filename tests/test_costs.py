"""How many queries a question costs. A number that has to be raised here is a cost for everybody:
each is a good part of a millisecond, and one process has a thousand of those a second."""

from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from conversations import actions
from conversations.actions.generations import Kept, Settlement
from conversations.models import Choice, Conversation, State, User
from conversations.relay import Relay
from conversations.relay.prompt import compose

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
    # Session, person, conversation, sent before?; then locked, head, question, answer, open turns,
    # branch, generation, choice, conversation, revision, audit; then the sidebars' row.
    with (
        django_assert_num_queries(4 + TRANSACTION + 11 + 1),
        django_capture_on_commit_callbacks(execute=True),
    ):
        page = client.post(address, fields, headers={"HX-Request": "true"})
    assert page.content.count(b"<article") == 2


def test_claiming_and_composing(
    talk: Conversation, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask(talk, alice)
    relay = Relay()
    with django_assert_num_queries(3):
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
    # Generation, message, audit, conversation, revision; then the row, the article's message,
    # generation and other answers.
    with (
        django_assert_num_queries(TRANSACTION + 5 + 4),
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
    # Session, person, conversation, messages, their generations and other answers, texts, role,
    # sidebar; and the person's rights by group and by themselves.
    with django_assert_num_queries(11):
        page = client.get(f"/c/{conversation.public_id}/")
    assert page.content.count(b"<article") == 2 * questions
