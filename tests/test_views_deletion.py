"""Deleting a conversation and taking that back."""

import pytest
from django.test import Client

from conversations import actions
from conversations.models import Conversation, Message, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_deleted_conversation_does_not_exist_until_that_is_taken_back(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    page, deletion = f"/c/{conversation.public_id}/", f"/c/{conversation.public_id}/deletion/"
    assert client.post(deletion).status_code == 204
    assert client.get(page).status_code == 404
    assert client.get(f"/m/{sent.answer.public_id}/text/").status_code == 404
    assert client.delete(deletion).status_code == 204
    assert client.get(page).status_code == 200
    assert Message.objects.count() == 2


def test_deleting_twice_and_restoring_twice_finds_nothing(
    client: Client, conversation: Conversation
) -> None:
    deletion = f"/c/{conversation.public_id}/deletion/"
    assert [client.post(deletion).status_code for _ in range(2)] == [204, 404]
    assert [client.delete(deletion).status_code for _ in range(2)] == [204, 404]
    assert Conversation.objects.get().deleted_at is None


def test_sending_into_a_deleted_conversation_is_not_found(
    client: Client, conversation: Conversation
) -> None:
    client.post(f"/c/{conversation.public_id}/deletion/")
    page = client.post(f"/c/{conversation.public_id}/messages/", {"text": "Hello"})
    assert page.status_code == 404
