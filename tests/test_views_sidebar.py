"""The list of conversations, page by page."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from conversations import actions, fragments
from conversations.models import (
    Conversation,
    Label,
    Labelling,
    Participant,
    Role,
    Team,
    TeamMember,
    User,
)
from tests.conftest import person
from tests.relays import db, send
from tests.viewers import Viewer, session_of

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


# --- Shared ones ----------------------------------------------------------------------------------


def share(owner: User, guest: User, role: Role, team: Team | None = None) -> str:
    """With something of its own for each, and newer than all before."""
    row = Conversation.objects.create(title=f"{owner.name}'s", model="m")
    Participant.objects.create(conversation=row, user=owner, role=Role.OWNER)
    Participant.objects.create(conversation=row, user=guest, role=role, via_team=team)
    return row.public_id


@pytest.fixture
def team(alice: User) -> Team:
    team = Team.objects.create(name="Data platform")
    TeamMember.objects.create(team=team, user=alice)
    return team


def test_one_chooses_among_ones_own_those_of_others_and_a_teams(
    client: Client, alice: User, bob: User, team: Team
) -> None:
    own = make(alice, 7)
    theirs = [share(bob, alice, Role.EDITOR), share(bob, alice, Role.VIEWER, team)]
    together = share(alice, bob, Role.OWNER, team)

    def chosen(show: str) -> set[str]:
        page = client.get("/conversations/", {"show": show})
        names = rows(page)
        while at := cursor(page):
            assert not show or f"show={show}" in page.content.decode()
            before = at.partition("&")[0]
            page = client.get("/conversations/", {"before": before, "show": show})
            names += rows(page)
        return set(names)

    assert chosen("") == {*own, *theirs, together}
    assert chosen("mine") == {*own, together}
    assert chosen("shared") == set(theirs)
    assert chosen(f"team-{team.public_id}") == {theirs[1], together}
    assert chosen("team-nosuchteam") == set()


def test_a_teams_list_holds_only_what_one_takes_part_in(
    client: Client, bob: User, charlie: User, team: Team
) -> None:
    share(bob, charlie, Role.EDITOR, team)
    assert rows(client.get("/conversations/", {"show": f"team-{team.public_id}"})) == []


@pytest.mark.parametrize("show", ["all", "mine'", "team\0", "team-\0", "-", "%"])
def test_a_choice_that_is_none_finds_nothing(client: Client, show: str) -> None:
    assert client.get("/conversations/", {"show": show}).status_code == 404


def test_the_page_offers_the_teams_of_the_person_alone(client: Client, team: Team) -> None:
    other = Team.objects.create(name="Board")
    page = client.get("/").content.decode()
    assert team.public_id in page
    assert other.public_id not in page


def test_a_row_shows_the_others_who_are_in_it_and_that_one_only_reads(
    client: Client, alice: User, bob: User
) -> None:
    share(bob, alice, Role.VIEWER)
    row = client.get("/conversations/").content.decode()
    assert f'data-face="{bob.public_id}"' in row
    assert f'data-face="{alice.public_id}"' not in row
    assert 'data-role="viewer"' in row
    assert "You read along" in row


def test_a_row_of_ones_own_alone_shows_nobody(client: Client, alice: User) -> None:
    make(alice, 1)
    assert "row-faces" not in client.get("/conversations/").content.decode()


def test_faces_cost_one_query_and_are_a_few_however_many_take_part(
    client: Client, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    crowd = [person(f"Guest{number}") for number in range(9)]
    for _ in range(4):
        name = share(alice, crowd[0], Role.EDITOR)
        row = Conversation.objects.get(public_id=name)
        for guest in crowd[1:]:
            Participant.objects.create(conversation=row, user=guest, role=Role.VIEWER)
    with django_assert_num_queries(4):  # session, person, rows, faces
        page = client.get("/conversations/").content.decode()
    assert page.count("data-face=") == 4 * fragments.ROW_FACES


@pytest.mark.django_db(transaction=True)
async def test_each_is_told_a_row_that_fits_their_role(alice: User, bob: User) -> None:
    name = await db(share, alice, bob, Role.VIEWER)
    conversation = await Conversation.objects.aget(public_id=name)
    cookies = [await db(session_of, user) for user in (alice, bob)]
    async with Viewer(cookies[0]) as hers, Viewer(cookies[1]) as his:
        await db(
            actions.conversations.rename, conversation=conversation, actor=alice, title="Better"
        )
        for viewer, role in ((hers, "owner"), (his, "viewer")):
            row = (await viewer.next("row"))["html"]
            assert f'data-role="{role}"' in row
            assert row.count("data-face=") == 2  # each page leaves out its own


def tag(page: Any) -> str:
    found = re.search(r'data-tag="([^"]*)"', page.content.decode())
    assert found
    return unescape(found[1])


def test_what_a_page_came_with_is_not_sent_again_while_nothing_of_it_changed(
    client: Client, alice: User, bob: User
) -> None:
    names = make(alice, 3)
    row = Conversation.objects.get(public_id=names[1])
    row.model = "crimson-falcon-4"
    row.save()
    label = Label.objects.create(owner=alice, name="Quarter")
    model = Conversation.objects.filter(pk=row.pk)
    mine = Participant.objects.filter(conversation=row, user=alice)
    his = Participant(conversation=row, user=bob, role=Role.EDITOR)

    def is_same() -> bool:
        answer = client.get("/conversations/", {"show": ""}, headers={"If-None-Match": seen})
        assert (answer.status_code == 304) == (not answer.content)
        return answer.status_code == 304

    changes: list[Callable[[], object]] = [
        lambda: model.update(title="In new words"),
        lambda: model.update(active_at=timezone.now()),
        his.save,
        lambda: User.objects.filter(pk=bob.pk).update(name="Somebody else"),
        lambda: send(row, bob),
        lambda: mine.update(is_muted=True),
        lambda: Labelling.objects.create(label=label, participant=mine.get()),
        lambda: Label.objects.filter(pk=label.pk).update(name="Next quarter"),
        lambda: mine.update(role=Role.VIEWER),
        lambda: model.update(deleted_at=timezone.now()),
    ]
    for number, change in enumerate(changes):
        seen = tag(client.get("/"))
        assert is_same(), number
        change()
        assert not is_same(), number


def test_another_choice_is_another_list(client: Client, alice: User) -> None:
    make(alice, 1)
    headers = {"If-None-Match": tag(client.get("/"))}
    assert client.get("/conversations/", {"show": ""}, headers=headers).status_code == 304
    assert client.get("/conversations/", {"show": "mine"}, headers=headers).status_code == 200
