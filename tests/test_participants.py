"""Who takes part: invited, given a role, removed, leaving; and what others hear of it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from conversations import access
from conversations.actions import participants, people, refusals
from conversations.actions.refusals import Refused
from conversations.models import (
    AuditEntry,
    Change,
    Conversation,
    Outcome,
    Participant,
    RightsChange,
    Role,
    Team,
    TeamMember,
    User,
    What,
)
from tests.conftest import person
from tests.relays import db
from tests.viewers import Viewer, session_of

pytestmark = pytest.mark.django_db


def roles(conversation: Conversation) -> dict[str, str]:
    return {one.user.name: one.role for one in conversation.participants.listed()}


def add(conversation: Conversation, user: User, role: Role) -> None:
    Participant.objects.create(conversation=conversation, user=user, role=role)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def team(bob: User, charlie: User) -> Team:
    team = Team.objects.create(name="Data platform")
    for member in (bob, charlie):
        TeamMember.objects.create(team=team, user=member)
    return team


# --- Inviting -------------------------------------------------------------------------------------


def test_who_is_invited_takes_part_with_the_role(
    conversation: Conversation, alice: User, bob: User
) -> None:
    before = conversation.revision
    participants.invite(conversation=conversation, actor=alice, person=bob, role=Role.VIEWER)
    assert roles(conversation) == {"Alice": "owner", "Bob": "viewer"}
    assert Conversation.objects.get().revision == before + 1
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.object_id) == ("participant.invited", conversation.public_id)
    assert entry.details == {"person": bob.public_id, "role": "viewer"}
    change = Change.objects.get()
    assert (change.what, change.actor, change.person) == (What.INVITED, alice, bob)


def test_nobody_is_invited_twice(conversation: Conversation, alice: User, bob: User) -> None:
    add(conversation, bob, Role.VIEWER)
    with pytest.raises(participants.TakesPart):
        participants.invite(conversation=conversation, actor=alice, person=bob, role=Role.EDITOR)
    assert roles(conversation)["Bob"] == "viewer"


def test_a_team_is_its_members_of_this_moment(
    conversation: Conversation, alice: User, bob: User, charlie: User, team: Team
) -> None:
    add(conversation, bob, Role.EDITOR)
    gone = person("Gone")
    TeamMember.objects.create(team=team, user=gone)
    people.suspend(user=gone, actor=alice)
    invited = participants.invite_team(
        conversation=conversation, actor=alice, team=team, role=Role.VIEWER
    )
    assert invited == 1
    TeamMember.objects.create(team=team, user=person("Dana"))
    assert roles(conversation) == {"Alice": "owner", "Bob": "editor", "Charlie": "viewer"}
    assert conversation.participants.get(user=charlie).via_team == team
    assert conversation.participants.get(user=bob).via_team is None
    team.delete()
    assert conversation.participants.get(user=charlie).via_team is None


def test_a_team_of_which_all_are_in_brings_nobody(
    conversation: Conversation, alice: User, team: Team
) -> None:
    participants.invite_team(conversation=conversation, actor=alice, team=team, role=Role.VIEWER)
    with pytest.raises(participants.NobodyNew, match="Data platform"):
        participants.invite_team(
            conversation=conversation, actor=alice, team=team, role=Role.VIEWER
        )


def test_as_many_take_part_as_the_setting_says_and_a_team_comes_whole_or_not(
    conversation: Conversation, alice: User, bob: User, team: Team, settings: Settings
) -> None:
    settings.PARTICIPANTS_PER_CONVERSATION = 2
    with pytest.raises(participants.Full, match="At most 2 people"):
        participants.invite_team(
            conversation=conversation, actor=alice, team=team, role=Role.VIEWER
        )
    assert roles(conversation) == {"Alice": "owner"}
    participants.invite(conversation=conversation, actor=alice, person=bob, role=Role.VIEWER)
    with pytest.raises(participants.Full):
        participants.invite(
            conversation=conversation, actor=alice, person=person("Dana"), role=Role.VIEWER
        )


# --- Roles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER])
def test_the_last_owner_stays_one(conversation: Conversation, alice: User, role: Role) -> None:
    with pytest.raises(participants.LastOwner):
        participants.set_role(conversation=conversation, actor=alice, person=alice, role=role)
    with pytest.raises(participants.LastOwner):
        participants.leave(conversation=conversation, person=alice)
    with pytest.raises(participants.LastOwner):
        participants.remove(conversation=conversation, actor=alice, person=alice)
    with pytest.raises(participants.LastOwner):
        participants.hand_over(conversation=conversation, actor=alice, person=alice)
    assert roles(conversation) == {"Alice": "owner"}
    outcomes = set(AuditEntry.objects.values_list("outcome", flat=True))
    assert outcomes == {Outcome.FAILED}


def test_an_owner_who_is_suspended_is_no_other_owner(
    conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.OWNER)
    people.suspend(user=bob, actor=alice)
    with pytest.raises(participants.LastOwner):
        participants.leave(conversation=conversation, person=alice)
    bob.refresh_from_db()
    with pytest.raises(participants.LastOwner):
        participants.hand_over(conversation=conversation, actor=alice, person=bob)


def test_handing_over_makes_an_owner_and_an_editor(
    conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.VIEWER)
    participants.hand_over(conversation=conversation, actor=alice, person=bob)
    assert roles(conversation) == {"Alice": "editor", "Bob": "owner"}
    told = RightsChange.objects.values_list("user__name", "conversation__public_id")
    assert sorted(told) == [("Alice", conversation.public_id), ("Bob", conversation.public_id)]
    changes = Change.objects.order_by("pk").values_list("person__name", "before", "after")
    assert list(changes) == [("Bob", "viewer", "owner"), ("Alice", "owner", "editor")]


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER])
def test_who_is_no_owner_any_more_decides_nothing(
    conversation: Conversation, alice: User, bob: User, charlie: User, team: Team, role: Role
) -> None:
    """Their page may have asked a moment before."""
    add(conversation, bob, role)
    here = {"conversation": conversation, "actor": bob}
    attempts: list[tuple[Any, dict[str, Any]]] = [
        (participants.invite, {"person": charlie, "role": Role.VIEWER}),
        (participants.invite_team, {"team": team, "role": Role.VIEWER}),
        (participants.set_role, {"person": bob, "role": Role.OWNER}),
        (participants.remove, {"person": alice}),
        (participants.hand_over, {"person": bob}),
    ]
    for attempt, what in attempts:
        with pytest.raises(refusals.NotAnOwner):
            attempt(**here, **what)
    assert roles(conversation) == {"Alice": "owner", "Bob": role}


def test_two_owners_who_demote_each_other_at_once_leave_one(
    transactional_db: None, conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.OWNER)
    barrier = Barrier(2)

    def demote(pair: tuple[User, User]) -> bool:
        try:
            barrier.wait()
            participants.set_role(
                conversation=conversation, actor=pair[0], person=pair[1], role=Role.VIEWER
            )
        except Refused:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, [(alice, bob), (bob, alice)])) == [False, True]
    assert sorted(roles(conversation).values()) == ["owner", "viewer"]


# --- Going ----------------------------------------------------------------------------------------


def test_who_was_removed_sees_nothing_and_others_go_on(
    conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.EDITOR)
    participants.remove(conversation=conversation, actor=alice, person=bob)
    assert roles(conversation) == {"Alice": "owner"}
    assert signed_in(bob).get(f"/c/{conversation.public_id}/").status_code == 404
    assert RightsChange.objects.get(user=bob).conversation == conversation
    with pytest.raises(participants.TakesNoPart, match="Bob"):
        participants.remove(conversation=conversation, actor=alice, person=bob)


def test_leaving_goes_to_a_new_conversation_and_says_so(
    conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.VIEWER)
    client = signed_in(bob)
    left = client.post(f"/c/{conversation.public_id}/departure/")
    assert left["HX-Redirect"] == "/"
    assert "You have left the conversation." in client.get("/").content.decode()
    assert Change.objects.get().what == What.LEFT


# --- The page -------------------------------------------------------------------------------------


def invited_by(client: Client, conversation: Conversation, **form: str) -> Any:
    return client.post(f"/c/{conversation.public_id}/participants/", {"role": "viewer"} | form)


def test_somebody_is_invited_by_mail_address_whatever_its_case(
    conversation: Conversation, alice: User, bob: User
) -> None:
    page = invited_by(signed_in(alice), conversation, who=" BOB@Example.com ")
    assert page.status_code == 200
    assert "Bob takes part now." in page.content.decode()
    assert roles(conversation)["Bob"] == "viewer"


def test_somebody_is_invited_by_their_name_if_only_they_have_it(
    conversation: Conversation, alice: User, bob: User
) -> None:
    assert invited_by(signed_in(alice), conversation, who="bob").status_code == 200
    User.objects.create_user("dana1@example.com", None, name="Dana")
    User.objects.create_user("dana2@example.com", None, name="Dana")
    page = invited_by(signed_in(alice), conversation, who="Dana")
    assert page.status_code == 422
    assert page.content.decode().count('name="person"') == 2
    assert set(roles(conversation)) == {"Alice", "Bob"}


@pytest.mark.parametrize("who", ["nobody@example.com", "Nobody"])
def test_for_people_who_are_not_here_the_page_says_who_lets_them_in(
    conversation: Conversation, alice: User, operator: User, who: str
) -> None:
    page = invited_by(signed_in(alice), conversation, who=who)
    assert page.status_code == 422
    text = page.content.decode()
    assert "Olga" in text[text.index("invite-error") :]
    assert f'value="{who}"' in text  # what was typed stays


def test_a_suspended_person_is_not_here(conversation: Conversation, alice: User, bob: User) -> None:
    people.suspend(user=bob, actor=alice)
    client = signed_in(alice)
    for form in ({"who": "bob@example.com"}, {"who": "Bob"}, {"person": bob.public_id}):
        assert invited_by(client, conversation, **form).status_code == 422
    assert "Bob" not in found_by(client, conversation, "bo")


def found_by(client: Client, conversation: Conversation, text: str) -> str:
    answer = client.get(f"/c/{conversation.public_id}/candidates/", {"who": text})
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_search_finds_people_and_teams_and_shows_who_is_in_already(
    conversation: Conversation, alice: User, bob: User, team: Team
) -> None:
    client = signed_in(alice)
    assert bob.public_id in found_by(client, conversation, "BO")
    assert team.public_id in found_by(client, conversation, "plat")
    assert "takes part" in found_by(client, conversation, "ali")
    assert found_by(client, conversation, "a").strip() == ""  # a single letter finds half of all
    assert "Nobody here" in found_by(client, conversation, "%%")


def test_a_search_offers_as_many_as_the_setting_says_those_that_begin_so_first(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.PEOPLE_FOUND = 3
    for name in ("Joanna", "Anna", "Anne", "Susanna"):
        person(name)
    page = found_by(signed_in(alice), conversation, "ann")
    assert page.count('name="person"') == 3
    assert page.index(">Anna<") < page.index(">Anne<") < page.index(">Joanna<")


def test_whoever_searches_too_often_waits(
    conversation: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    settings.PEOPLE_SEARCHES = 3
    client = signed_in(alice)
    for _ in range(3):
        assert bob.public_id in found_by(client, conversation, "bob")
    assert bob.public_id not in found_by(client, conversation, "bob")
    assert invited_by(client, conversation, who="bob@example.com").status_code == 409
    add(conversation, bob, Role.OWNER)  # everybody counts for themselves
    assert bob.public_id in found_by(signed_in(bob), conversation, "bob")


def test_where_people_do_not_find_each_other_only_a_whole_address_works(
    conversation: Conversation, alice: User, bob: User, team: Team, settings: Settings
) -> None:
    settings.PEOPLE_FIND_EACH_OTHER = False
    client = signed_in(alice)
    for text in ("bob", "bob@", "platform"):
        page = found_by(client, conversation, text)
        assert bob.public_id not in page
        assert team.public_id not in page
    forms = ({"who": "Bob"}, {"person": bob.public_id}, {"team": team.public_id})
    for form in forms:
        assert invited_by(client, conversation, **form).status_code == 422
    assert invited_by(client, conversation, who="bob@example.com").status_code == 200
    TeamMember.objects.create(team=team, user=alice)  # one's own team one knows
    assert team.public_id in found_by(client, conversation, "platform")


@pytest.mark.parametrize(
    ("already", "told"),
    [
        (False, "2 people of Data platform take part"),
        (True, "1 person of Data platform takes part"),
    ],
)
def test_a_team_is_invited_by_the_form_and_it_says_how_many_came(
    conversation: Conversation, alice: User, bob: User, team: Team, already: bool, told: str
) -> None:
    if already:
        add(conversation, bob, Role.EDITOR)
    page = invited_by(signed_in(alice), conversation, team=team.public_id, role="viewer")
    assert page.status_code == 200
    assert told in page.content.decode()
    others = {"Bob": "editor" if already else "viewer", "Charlie": "viewer"}
    assert roles(conversation) == {"Alice": "owner"} | others


@pytest.mark.parametrize("role", ["owner", "root", "", "editor\0"])
def test_no_form_invites_an_owner_or_a_role_that_is_none(
    conversation: Conversation, alice: User, bob: User, role: str
) -> None:
    client = signed_in(alice)
    page = invited_by(client, conversation, who="bob@example.com", role=role)
    assert page.status_code == 422
    link = {"role": role, "days": "7"}
    assert client.post(f"/c/{conversation.public_id}/invite-links/", link).status_code == 422
    assert roles(conversation) == {"Alice": "owner"}
    assert not conversation.invite_links.exists()


def test_fields_that_no_form_has_change_nothing(
    conversation: Conversation, alice: User, bob: User
) -> None:
    names = {
        field.name for model in (Participant, Conversation, User) for field in model._meta.fields
    }
    more = dict.fromkeys(names - {"role"}, "1") | {"user": alice.public_id}
    client = signed_in(alice)
    form = more | {"who": "bob@example.com", "role": "viewer"}
    assert client.post(f"/c/{conversation.public_id}/participants/", form).status_code == 200
    participant = conversation.participants.get(user=bob)
    assert (participant.role, participant.via_team) == ("viewer", None)
    address = f"/c/{conversation.public_id}/participants/{bob.public_id}/role/"
    assert client.post(address, more | {"role": "editor"}).status_code == 200
    participant = conversation.participants.get(user=bob)
    assert (participant.role, participant.conversation) == ("editor", conversation)
    assert User.objects.get(pk=bob.pk).is_superuser is False


def test_what_is_refused_is_said_in_the_drawer(
    conversation: Conversation, alice: User, bob: User
) -> None:
    address = f"/c/{conversation.public_id}/participants/{alice.public_id}/"
    client = signed_in(alice)
    for page in (client.post(f"{address}role/", {"role": "viewer"}), client.delete(address)):
        assert page.status_code == 409
        assert "There has to be an owner" in page.content.decode()


def test_only_owners_see_how_to_change_who_takes_part(
    conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.EDITOR)
    address = f"/c/{conversation.public_id}/details/"
    assert "invite-form" in signed_in(alice).get(address).content.decode()
    page = signed_in(bob).get(address).content.decode()
    assert "Alice" in page
    for control in ("invite-form", "link-form", "/role/", "/ownership/", "hx-delete"):
        assert control not in page


NAMES = ["<script>alert(1)</script>", "\"onmouseover='alert(1)'", "{{ 7|add:7 }}", "a\u202eb"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_text_wherever_it_stands(
    conversation: Conversation, alice: User, name: str
) -> None:
    hostile = User.objects.create_user("x@example.com", None, name=name)
    Team.objects.create(name=name)
    client = signed_in(alice)
    pages = [
        found_by(client, conversation, name[:5]),
        invited_by(client, conversation, who="x@example.com").content.decode(),
        client.get(f"/c/{conversation.public_id}/").content.decode(),
        client.get(f"/c/{conversation.public_id}/messages/").content.decode(),
        invited_by(client, conversation, who=name).content.decode(),
    ]
    assert hostile.public_id in "".join(pages)
    for page in pages:
        assert "<script>alert" not in page
        assert "\"onmouseover='" not in page


# --- What open pages hear -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
async def test_who_is_invited_gets_a_row_and_who_is_removed_loses_it(
    conversation: Conversation, alice: User, bob: User, charlie: User
) -> None:
    cookies = [await db(session_of, user) for user in (bob, charlie)]
    async with Viewer(cookies[0]) as invited, Viewer(cookies[1]) as outside:
        here = {"conversation": conversation, "actor": alice, "person": bob}
        await db(participants.invite, **here, role=Role.VIEWER)
        row = await invited.next("row")
        assert (row["c"], row["top"]) == (conversation.public_id, True)
        await invited.watch(conversation)
        await db(participants.remove, **here)
        gone = await invited.next("gone")
        assert (gone["c"], gone["why"]) == (conversation.public_id, "removed")
        assert await invited.closed() == 4403
        assert outside.heard == []


@pytest.mark.django_db(transaction=True)
async def test_another_role_is_told_to_all_and_closes_nothing(
    conversation: Conversation, alice: User, bob: User
) -> None:
    await db(add, conversation, bob, Role.EDITOR)
    cookies = [await db(session_of, user) for user in (alice, bob)]
    async with Viewer(cookies[0]) as one, Viewer(cookies[1]) as other:
        await one.watch(conversation)
        await other.watch(conversation)
        here = {"conversation": conversation, "actor": alice, "person": bob}
        await db(participants.set_role, **here, role=Role.VIEWER)
        for viewer in (one, other):
            await viewer.next("changed")
        client = await db(signed_in, bob)
        page = await db(client.get, f"/c/{conversation.public_id}/messages/")
        assert 'data-role="viewer"' in page.content.decode()
        assert (one.code, other.code) == (None, None)


def test_a_participant_is_found_for_owners_alone(
    conversation: Conversation, alice: User, bob: User
) -> None:
    add(conversation, bob, Role.EDITOR)
    found = access.participant(alice, conversation.public_id, bob.public_id)
    assert found.user == bob
