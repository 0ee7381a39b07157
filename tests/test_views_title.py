"""Renaming from the page."""

from typing import Any

import pytest
from django.test import Client

from conversations.models import Conversation, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def rename(client: Client, conversation: Conversation, title: str) -> Any:
    return client.post(f"/c/{conversation.public_id}/title/", {"title": title})


@pytest.mark.parametrize("title", ["Better", "Grüße 世界 🎉", "<b>bold</b>", "x" * 120])
def test_a_title_is_kept_and_shown_escaped(
    client: Client, conversation: Conversation, title: str
) -> None:
    page = rename(client, conversation, title)
    assert page.status_code == 200
    assert Conversation.objects.get().title == title
    assert "<b>bold" not in page.content.decode()


def test_blanks_around_a_title_are_dropped(client: Client, conversation: Conversation) -> None:
    rename(client, conversation, "  Better \n")
    assert Conversation.objects.get().title == "Better"


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("", "Give the conversation a title."),
        (" \t ", "Give the conversation a title."),
        ("x" * 121, "at most 120"),
        ("NUL \0", "Null characters"),
    ],
)
def test_a_title_that_will_not_do_is_refused_beside_its_field(
    client: Client, conversation: Conversation, title: str, words: str
) -> None:
    page = rename(client, conversation, title)
    html = page.content.decode()
    assert page.status_code == 422
    assert words in html
    assert 'aria-describedby="title-error"' in html
    assert Conversation.objects.get().title == "Slow export"


def test_what_was_typed_stays_in_the_field(client: Client, conversation: Conversation) -> None:
    html = rename(client, conversation, "y" * 121).content.decode()
    assert f'value="{"y" * 121}"' in html
