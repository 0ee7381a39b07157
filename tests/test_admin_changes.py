"""The admin: what operators change there, always through actions, and nobody else does."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conversations.actions import people
from conversations.models import (
    AuditEntry,
    ReviewGrant,
    RightsChange,
    Team,
    TeamMember,
    User,
)

INDEX = "/admin/"
PEOPLE = "/admin/conversations/user/"
GRANTS = "/admin/conversations/reviewgrant/"
TEAMS = "/admin/conversations/team/"


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def root(db: None) -> User:
    """A superuser, made on the server."""
    return User.objects.create_superuser("root@example.com", "correct horse battery")


# --- People ---------------------------------------------------------------------------------------


def change(browser: Client, person: User, **fields: str) -> Any:
    form = {"name": person.name, "is_active": "on", **fields}
    return browser.post(f"{PEOPLE}{person.pk}/change/", {k: v for k, v in form.items() if v})


def test_a_change_goes_through_its_action(operator: User, alice: User) -> None:
    alice_elsewhere = signed_in(alice)
    assert change(signed_in(operator), alice, name="Alicia", is_active="").status_code == 302
    alice.refresh_from_db()
    assert (alice.name, alice.is_active) == ("Alicia", False)
    verbs = set(AuditEntry.objects.filter(actor=operator).values_list("verb", flat=True))
    assert {"person.named", "person.suspended"} <= verbs
    assert RightsChange.objects.filter(user=alice).exists()
    assert alice_elsewhere.get(reverse("account")).status_code == 302


def test_saving_without_a_change_writes_nothing(operator: User, alice: User) -> None:
    before = AuditEntry.objects.count()
    change(signed_in(operator), alice)
    assert AuditEntry.objects.count() == before


def test_operators_are_made_and_unmade(operator: User, alice: User) -> None:
    browser = signed_in(operator)
    change(browser, alice, is_operator="on")
    alice.refresh_from_db()
    assert people.is_operator(alice)
    change(browser, alice)
    alice.refresh_from_db()
    assert not people.is_operator(alice)


@pytest.mark.parametrize("fields", [{"is_active": ""}, {"is_operator": ""}])
def test_nobody_shuts_themselves_out(operator: User, fields: dict[str, str]) -> None:
    form = {"is_operator": "on", **fields}
    answer = change(signed_in(operator), operator, **form)
    assert "Somebody else has to do this for you." in answer.content.decode()
    operator.refresh_from_db()
    assert people.is_operator(operator)


def test_a_person_is_given_nothing_that_the_form_does_not_offer(
    operator: User, charlie: User
) -> None:
    password, public_id = charlie.password, charlie.public_id
    change(
        signed_in(operator),
        charlie,
        email="root@example.com",
        is_staff="on",
        is_superuser="on",
        groups="1",
        user_permissions="1",
        password="pwned",
        public_id="aaaaaaaaaaaaaaaaaaaa",
        date_joined_0="2020-01-01",
        review_grants="1",
    )
    charlie.refresh_from_db()
    assert charlie.email == "charlie@example.com"
    assert (charlie.is_staff, charlie.is_superuser, charlie.groups.count()) == (False, False, 0)
    assert (charlie.password, charlie.public_id) == (password, public_id)
    assert not charlie.may_review


def test_an_operator_does_not_make_themselves_a_superuser(operator: User) -> None:
    change(signed_in(operator), operator, is_operator="on", is_superuser="on")
    operator.refresh_from_db()
    assert not operator.is_superuser


@pytest.mark.parametrize("who", ["rita", "charlie"])
def test_reviewers_and_charlie_change_nobody(
    request: pytest.FixtureRequest, who: str, alice: User
) -> None:
    browser = signed_in(request.getfixturevalue(who))
    assert change(browser, alice, is_active="").status_code == 404
    alice.refresh_from_db()
    assert alice.is_active


@pytest.mark.parametrize("who", ["operator", "root"])
def test_people_are_not_made_there(request: pytest.FixtureRequest, who: str, alice: User) -> None:
    browser = signed_in(request.getfixturevalue(who))
    assert browser.get(f"{PEOPLE}add/").status_code == 404
    assert User.objects.filter(pk=alice.pk).exists()


# --- The review right -----------------------------------------------------------------------------


def test_an_operator_grants_the_right_with_a_reason(operator: User, bob: User) -> None:
    browser = signed_in(operator)
    answer = browser.post(f"{GRANTS}add/", {"user": bob.pk, "reason": "Complaint"})
    assert answer.status_code == 302
    grant = ReviewGrant.objects.get(user=bob)
    assert (grant.granted_by, grant.reason) == (operator, "Complaint")
    assert AuditEntry.objects.filter(verb="review.granted", actor=operator).exists()


@pytest.mark.parametrize("who", ["operator", "root"])
def test_nobody_grants_it_to_themselves(request: pytest.FixtureRequest, who: str) -> None:
    user = request.getfixturevalue(who)
    answer = signed_in(user).post(f"{GRANTS}add/", {"user": user.pk, "reason": "Curious"})
    assert "Somebody else has to do this for you." in answer.content.decode()
    assert not user.may_review


def test_a_grant_is_made_as_the_person_who_makes_it(operator: User, alice: User, bob: User) -> None:
    form = {"user": bob.pk, "reason": "Complaint", "granted_by": alice.pk, "revoked_by": alice.pk}
    signed_in(operator).post(f"{GRANTS}add/", form)
    grant = ReviewGrant.objects.get(user=bob)
    assert (grant.granted_by, grant.revoked_by) == (operator, None)


def test_a_grant_stays_as_it_was_given(operator: User, rita: User, bob: User) -> None:
    grant = rita.review_grants.get()
    browser = signed_in(operator)
    assert browser.get(f"{GRANTS}{grant.pk}/change/").status_code == 200
    assert browser.post(f"{GRANTS}{grant.pk}/change/", {"user": bob.pk}).status_code == 404
    assert browser.post(f"{GRANTS}{grant.pk}/delete/", {"post": "yes"}).status_code == 404
    grant.refresh_from_db()
    assert grant.user == rita


def test_an_operator_revokes_it(operator: User, rita: User) -> None:
    grant = rita.review_grants.get()
    signed_in(operator).post(GRANTS, {"action": "revoke", "_selected_action": [grant.pk]})
    rita.refresh_from_db()
    assert not rita.may_review
    assert signed_in(rita).get(INDEX).status_code == 404


@pytest.mark.parametrize("who", ["rita", "charlie"])
def test_reviewers_and_charlie_grant_nothing(
    request: pytest.FixtureRequest, who: str, bob: User
) -> None:
    browser = signed_in(request.getfixturevalue(who))
    answer = browser.post(f"{GRANTS}add/", {"user": bob.pk, "reason": "Curious"})
    assert answer.status_code == 404
    assert not bob.may_review


# --- Teams ----------------------------------------------------------------------------------------


def team_form(name: str, *members: dict[str, object]) -> dict[str, object]:
    known = sum("id" in member for member in members)
    form: dict[str, object] = {
        "name": name,
        "teammember_set-TOTAL_FORMS": len(members),
        "teammember_set-INITIAL_FORMS": known,
    }
    for number, member in enumerate(members):
        for field, value in member.items():
            form[f"teammember_set-{number}-{field}"] = value
    return form


def test_teams_are_made_changed_and_deleted_through_actions(
    operator: User, alice: User, bob: User
) -> None:
    browser = signed_in(operator)
    form = team_form("Search", {"user": alice.pk, "is_lead": "on"}, {"user": bob.pk})
    assert browser.post(f"{TEAMS}add/", form).status_code == 302
    team = Team.objects.get(name="Search")
    lead = TeamMember.objects.get(team=team, is_lead=True)
    assert lead.user == alice
    known = {"id": lead.pk, "team": team.pk, "user": alice.pk, "is_lead": "on", "DELETE": "on"}
    browser.post(f"{TEAMS}{team.pk}/change/", team_form("Find", known))
    assert list(Team.objects.get().members.all()) == [bob]
    browser.post(f"{TEAMS}{team.pk}/delete/", {"post": "yes"})
    assert not Team.objects.exists()
    verbs = set(AuditEntry.objects.filter(actor=operator).values_list("verb", flat=True))
    assert {
        "team.made",
        "team.member_set",
        "team.changed",
        "team.member_removed",
        "team.deleted",
    } <= verbs


@pytest.mark.parametrize("who", ["rita", "charlie"])
def test_reviewers_and_charlie_make_no_team(request: pytest.FixtureRequest, who: str) -> None:
    browser = signed_in(request.getfixturevalue(who))
    assert browser.post(f"{TEAMS}add/", team_form("Mine")).status_code == 404
    assert not Team.objects.exists()
