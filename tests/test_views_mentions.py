"""Whom one may call by name while writing."""

import re
from uuid import uuid4

import pytest
from django.test import Client

from conversations.models import Answers, Conversation, Participant, Role, User
from conversations.views.mentions import LISTED

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def join(conversation: Conversation, name: str, **fields: object) -> User:
    email = f"{name.lower().replace(' ', '.') or 'nobody'}.{uuid4().hex[:6]}@example.com"
    person = User.objects.create_user(email, None, name=name, **fields)
    Participant.objects.create(conversation=conversation, user=person, role=Role.VIEWER)
    return person


def found(client: Client, conversation: Conversation, begin: str) -> list[str]:
    page = client.get(f"/c/{conversation.public_id}/callees/", {"q": begin})
    assert page.status_code == 200
    return re.findall(r'data-name="([^"]*)"', page.content.decode())


@pytest.fixture
def company(conversation: Conversation, charlie: User) -> Conversation:
    for name in ("Rita Moss", "Tom Ritter", "Bob"):
        join(conversation, name)
    join(conversation, "Rick", is_active=False)
    return conversation


@pytest.mark.parametrize(
    ("begin", "names"),
    [
        ("", ["Bob", "Rita Moss", "Tom Ritter"]),
        ("ri", ["Rita Moss", "Tom Ritter"]),
        ("Rita m", ["Rita Moss"]),
        ("MOSS", ["Rita Moss"]),
        ("oss", []),
        ("alice", []),  # oneself
        ("char", []),  # not there
        ("%", []),
        ("_", []),
        ("\0", ["Bob", "Rita Moss", "Tom Ritter"]),
        ("x" * 5000, []),
    ],
)
def test_those_who_take_part_and_are_called_so(
    client: Client, company: Conversation, begin: str, names: list[str]
) -> None:
    assert found(client, company, begin) == names


def test_who_has_no_name_is_found_by_the_begin_of_the_address(
    client: Client, conversation: Conversation
) -> None:
    person = join(conversation, "")
    assert found(client, conversation, "nobod") == [person.display_name]


def test_the_assistant_is_listed_where_it_answers_only_when_called(
    client: Client, conversation: Conversation
) -> None:
    assert found(client, conversation, "as") == []
    Conversation.objects.update(answers=Answers.CALLED)
    assert found(client, conversation, "As") == found(client, conversation, "") == ["assistant"]
    assert found(client, conversation, "assistants") == []


def test_only_some_are_listed(client: Client, conversation: Conversation) -> None:
    for number in range(LISTED + 3):
        join(conversation, f"Person {number}")
    assert len(found(client, conversation, "pers")) == LISTED


def test_a_name_is_no_markup(client: Client, conversation: Conversation) -> None:
    join(conversation, '"><img src=x onerror=alert(1)>')
    page = client.get(f"/c/{conversation.public_id}/callees/").content.decode()
    assert "<img" not in page
