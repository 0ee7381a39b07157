"""The list of conversations, page by page."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import actions
from conversations.models import Conversation, Participant, Role, User
from tests.relays import send

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User, settings: Settings) -> Client:
    settings.SIDEBAR_PAGE = 5
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def make(owner: User, count: int, *, seconds_apart: float = 1) -> list[str]:
    """Newest first."""
    now = timezone.now()
    names = []
    for number in range(count):
        at = now - timedelta(seconds=number * seconds_apart)
        row = Conversation.objects.create(title=f"Number {number}", model="m", active_at=at)
        Participant.objects.create(conversation=row, user=owner, role=Role.OWNER)
        names.append(row.public_id)
    return names


def rows(page: Any) -> list[str]:
    return re.findall(r'<li id="c-(\w+)"', page.content.decode())


def cursor(page: Any) -> str:
    found = re.search(r"\?before=([^\"]*)", page.content.decode())
    return unquote(found[1]) if found else ""


def all_pages(client: Client) -> list[list[str]]:
    page = client.get("/conversations/")
    pages = [rows(page)]
    while at := cursor(page):
        page = client.get("/conversations/", {"before": at})
        pages.append(rows(page))
    return pages


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (5, [5]), (6, [5, 1]), (12, [5, 5, 2])])
def test_the_pages_hold_every_row_once_newest_first(
    client: Client, alice: User, count: int, sizes: Any
) -> None:
    names = make(alice, count)
    pages = all_pages(client)
    assert [len(page) for page in pages] == sizes
    assert [name for page in pages for name in page] == names


def test_rows_of_the_same_moment_are_all_listed_once(client: Client, alice: User) -> None:
    names = make(alice, 13, seconds_apart=0)
    now = timezone.now()
    Conversation.objects.update(active_at=now)
    listed = [name for page in all_pages(client) for name in page]
    assert sorted(listed) == sorted(names)
    assert len(set(listed)) == len(listed)


def test_rows_that_come_meanwhile_move_no_row_to_another_page(client: Client, alice: User) -> None:
    names = make(alice, 12)
    first = client.get("/conversations/")
    make(alice, 3, seconds_apart=0)
    second = client.get("/conversations/", {"before": cursor(first)})
    assert rows(first) + rows(second) == names[:10]


def test_only_what_one_takes_part_in_and_was_not_deleted_is_listed(
    client: Client, alice: User, bob: User
) -> None:
    make(bob, 2)
    mine = make(alice, 2)
    gone = Conversation.objects.get(public_id=mine[0])
    actions.conversations.delete(conversation=gone, actor=alice)
    assert all_pages(client) == [mine[1:]]


def test_a_conversation_that_is_active_again_comes_first(
    client: Client, alice: User, conversation: Conversation
) -> None:
    make(alice, 3)
    Conversation.objects.filter(pk=conversation.pk).update(
        active_at=timezone.now() - timedelta(days=9)
    )
    assert all_pages(client)[0][-1] == conversation.public_id
    send(conversation, alice)
    assert all_pages(client)[0][0] == conversation.public_id


def test_a_row_says_that_an_answer_is_being_written(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    assert "An answer is being written" in client.get("/conversations/").content.decode()


@pytest.mark.parametrize(
    "broken",
    [
        "x",
        "~",
        "~1",
        "2026-01-01~1",
        "2026-01-01T00:00:00~1",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00+00:00~",
        "2026-01-01T00:00:00+00:00~x",
        "2026-13-01T00:00:00+00:00~1",
        "2026-01-01T00:00:00+00:00~" + "9" * 5000,
        "0001-01-01T00:00:00+14:00~1",
        "9999-12-31T23:59:59-14:00~1",
        "\0~1",
        "2026-01-01T00:00:00+00:00~1~2",
    ],
)
def test_a_broken_cursor_is_not_found(client: Client, broken: str) -> None:
    assert client.get("/conversations/", {"before": broken}).status_code == 404


@pytest.mark.parametrize("number", ["-1", "0", "9" * 30, "-" + "9" * 30])
def test_a_cursor_beyond_every_row_is_an_end(client: Client, alice: User, number: str) -> None:
    make(alice, 2)
    page = client.get("/conversations/", {"before": f"2001-01-01T00:00:00+00:00~{number}"})
    assert (page.status_code, rows(page)) == (200, [])


def test_a_page_costs_the_same_queries_however_many_rows(
    client: Client, alice: User, settings: Settings, django_assert_max_num_queries: Any
) -> None:
    settings.SIDEBAR_PAGE = 50
    make(alice, 40)
    with django_assert_max_num_queries(4):
        client.get("/conversations/")
