"""People: inviting, suspending, roles, the review right."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.actions import people
from conversations.models import AuditEntry, OneTimeLink, Purpose, ReviewGrant, RightsChange, User

POWERS = {
    "is_staff": "on",
    "is_superuser": "on",
    "is_active": "",
    "groups": "1",
    "user_permissions": "1",
    "password": "pwned",
    "last_login": "2020-01-01",
    "public_id": "aaaaaaaaaaaaaaaaaaaa",
    "role": "owner",
    "id": "1",
    "pk": "1",
}


def powers(user: User) -> tuple[object, ...]:
    user.refresh_from_db()
    return (
        user.is_staff,
        user.is_superuser,
        user.is_active,
        user.password,
        user.public_id,
        list(user.groups.all()),
        list(user.user_permissions.all()),
    )


def verbs(target: User) -> set[str]:
    entries = AuditEntry.objects.filter(object_id=target.public_id)
    return set(entries.values_list("verb", flat=True))


# --- The operators' page --------------------------------------------------------------------------


def test_an_operator_sees_everybody_with_their_state(
    client: Client, operator: User, alice: User
) -> None:
    people.add(email="new@example.com", actor=operator)
    client.force_login(operator)
    page = client.get(reverse("people")).content.decode()
    assert "alice@example.com" in page
    assert "invited" in page


@pytest.mark.parametrize("who", ["charlie", "rita"])
def test_the_page_does_not_exist_for_others(
    client: Client, request: pytest.FixtureRequest, who: str
) -> None:
    client.force_login(request.getfixturevalue(who))
    assert client.get(reverse("people")).status_code == 404
    assert client.post(reverse("people"), {"email": "x@example.com"}).status_code == 404
    assert not User.objects.filter(email="x@example.com").exists()


@pytest.mark.parametrize("verb", ["links", "suspension", "reactivation"])
def test_charlie_cannot_act_on_others(
    client: Client, charlie: User, alice: User, verb: str
) -> None:
    client.force_login(charlie)
    assert client.post(reverse(verb, args=[alice.public_id])).status_code == 404
    alice.refresh_from_db()
    assert alice.is_active
    assert not OneTimeLink.objects.exists()


@pytest.mark.parametrize("verb", ["links", "suspension", "reactivation"])
def test_looking_at_an_address_that_acts_changes_nothing(
    client: Client, operator: User, alice: User, verb: str
) -> None:
    client.force_login(operator)
    assert client.get(reverse(verb, args=[alice.public_id])).status_code == 405


def test_somebody_signed_out_is_asked_to_sign_in(client: Client, db: None) -> None:
    response = client.get(reverse("people"))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))


def test_an_invitation_shows_its_link_once(client: Client, operator: User) -> None:
    client.force_login(operator)
    answer = client.post(reverse("people"), {"email": "Dana@Example.com", "name": "Dana"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count("http://testserver/link/") == 2  # to read, and for the copy button
    assert "http://testserver/link/" not in client.get(reverse("people")).content.decode()
    dana = User.objects.get(email="dana@example.com")
    assert not dana.has_usable_password()
    assert {"person.added", "link.made"} <= verbs(dana)


def test_inviting_somebody_twice_is_refused_beside_the_field(
    client: Client, operator: User, alice: User
) -> None:
    client.force_login(operator)
    answer = client.post(reverse("people"), {"email": "ALICE@example.com", "name": "Again"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["email"]
    assert 'value="Again"' in answer.content.decode()


def test_an_invited_operator_runs_the_portal_but_is_no_superuser(
    client: Client, operator: User
) -> None:
    client.force_login(operator)
    client.post(reverse("people"), {"email": "dana@example.com", "is_operator": "on"})
    dana = User.objects.get(email="dana@example.com")
    assert people.is_operator(dana)
    assert not dana.is_superuser


def test_an_invitation_sets_nothing_but_its_own_fields(client: Client, operator: User) -> None:
    client.force_login(operator)
    answer = client.post(reverse("people"), {"email": "dana@example.com", **POWERS})
    assert answer.status_code == 200
    dana = User.objects.get(email="dana@example.com")
    assert powers(dana)[:3] == (False, False, True)
    assert not dana.has_usable_password()
    assert dana.public_id != POWERS["public_id"]
    assert dana.last_login is None


def test_a_new_link_voids_the_one_before(client: Client, operator: User) -> None:
    dana = people.add(email="dana@example.com", actor=operator)
    first = people.invite(user=dana, actor=operator)
    client.force_login(operator)
    answer = client.post(reverse("links", args=[dana.public_id]))
    assert "http://testserver/link/" in answer.content.decode()
    assert people.use_link(token=first) is None


def test_nobody_gets_a_link_to_the_account_of_somebody_who_was_here(
    client: Client, operator: User, alice: User
) -> None:
    Client().force_login(alice)
    client.force_login(operator)
    answer = client.post(reverse("links", args=[alice.public_id]), follow=True)
    assert "http://testserver/link/" not in answer.content.decode()
    assert not OneTimeLink.objects.exists()


# --- Suspension -----------------------------------------------------------------------------------


def test_a_suspended_person_is_out_at_once_and_sockets_hear_of_it(
    client: Client, operator: User, alice: User
) -> None:
    browser = Client()
    browser.force_login(alice)
    link = people.make_link(
        user=alice,
        purpose=Purpose.SIGN_IN,
        actor=None,
        lifetime=timedelta(hours=1),
    )
    client.force_login(operator)
    client.post(reverse("suspension", args=[alice.public_id]))
    assert browser.get(reverse("account")).status_code == 302
    assert RightsChange.objects.filter(user=alice, session_hash="").exists()
    assert people.use_link(token=link) is None
    assert "person.suspended" in verbs(alice)


def test_old_sessions_stay_dead_when_the_person_comes_back(
    client: Client, operator: User, alice: User
) -> None:
    browser = Client()
    browser.force_login(alice)
    client.force_login(operator)
    client.post(reverse("suspension", args=[alice.public_id]))
    client.post(reverse("reactivation", args=[alice.public_id]))
    alice.refresh_from_db()
    assert alice.is_active
    assert browser.get(reverse("account")).status_code == 302
    assert Session.objects.count() == 1  # the operator's


def test_nobody_suspends_themselves(client: Client, operator: User) -> None:
    client.force_login(operator)
    client.post(reverse("suspension", args=[operator.public_id]))
    operator.refresh_from_db()
    assert operator.is_active


def test_a_suspended_person_gets_no_link(operator: User, alice: User) -> None:
    people.suspend(user=alice, actor=operator)
    with pytest.raises(people.IsSuspended):
        people.invite(user=alice, actor=operator)


# --- One's own account ----------------------------------------------------------------------------


def test_people_name_themselves(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post(reverse("account"), {"name": "Alice B."}).status_code == 302
    alice.refresh_from_db()
    assert alice.name == "Alice B."
    assert "person.named" in verbs(alice)


@pytest.fixture
def over(alice: User) -> None:
    """Three of each that serve nobody, and one of each that does."""
    now = timezone.now()
    for number in range(4):
        at = now - timedelta(days=2 if number else 0)
        RightsChange.objects.create(user=alice, at=at)
        until = now + timedelta(days=-1 if number else 1)
        Session.objects.create(session_key=f"session-{number}", expire_date=until)


def test_a_sign_in_forgets_sessions_and_changes_of_rights_that_are_over(
    over: None, bob: User
) -> None:
    people.signed_in(user=bob)
    assert list(Session.objects.values_list("session_key", flat=True)) == ["session-0"]
    assert RightsChange.objects.count() == 1


def test_what_is_over_is_forgotten_in_bounded_pieces(
    over: None, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "FORGOTTEN_AT_ONCE", 2)
    people.signed_in(user=bob)
    assert (Session.objects.count(), RightsChange.objects.count()) == (2, 2)
    people.signed_in(user=bob)
    assert (Session.objects.count(), RightsChange.objects.count()) == (1, 1)


def test_forgetting_is_two_statements(
    over: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        people.forget_what_is_over(timezone.now())


def test_an_empty_name_is_refused_beside_the_field(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(reverse("account"), {"name": " "})
    assert answer.status_code == 422
    assert answer.context["form"].errors["name"]


def test_the_account_page_changes_nothing_but_the_name(client: Client, charlie: User) -> None:
    before = powers(charlie)
    client.force_login(charlie)
    client.post(reverse("account"), {"name": "C", "email": "root@example.com", **POWERS})
    assert powers(charlie) == before
    assert charlie.email == "charlie@example.com"


def test_the_first_administrator_gives_a_mail_address(client: Client, db: None) -> None:
    people.first_link()
    admin = User.objects.get(email=people.FIRST_EMAIL)
    client.force_login(admin)
    assert 'name="email"' in client.get(reverse("account")).content.decode()
    answer = client.post(reverse("account"), {"name": "Ada", "email": "Ada@example.com"})
    assert answer["Location"] == reverse("account_set_password")
    admin.refresh_from_db()
    assert (admin.name, admin.email) == ("Ada", "ada@example.com")


@pytest.mark.parametrize("email", [people.FIRST_EMAIL, "ALICE@example.com"])
def test_the_first_administrator_takes_nobody_elses_address(
    client: Client, alice: User, email: str
) -> None:
    people.first_link()
    admin = User.objects.get(email=people.FIRST_EMAIL)
    client.force_login(admin)
    answer = client.post(reverse("account"), {"name": "Ada", "email": email})
    assert answer.status_code == 422
    admin.refresh_from_db()
    assert admin.email == people.FIRST_EMAIL


# --- Operators and reviewers ----------------------------------------------------------------------


def test_the_group_of_operators_can_be_ensured_again(db: None) -> None:
    first = people.ensure_operators()
    assert people.ensure_operators() == first
    assert Group.objects.count() == 1
    codenames = set(first.permissions.values_list("codename", flat=True))
    assert codenames == set(people.OPERATOR_PERMISSIONS)
    assert "delete_user" not in codenames


def test_an_operator_who_no_longer_is_one_loses_the_admin(operator: User, alice: User) -> None:
    people.set_operator(user=alice, actor=operator, is_operator=True)
    people.set_operator(user=alice, actor=operator, is_operator=False)
    alice.refresh_from_db()
    assert not alice.is_staff
    assert RightsChange.objects.filter(user=alice).exists()


def test_nobody_changes_their_own_role(operator: User) -> None:
    with pytest.raises(people.NotForOneself):
        people.set_operator(user=operator, actor=operator, is_operator=False)


def test_operators_grant_the_review_right_and_take_it_back(operator: User, bob: User) -> None:
    grant = people.grant_review(user=bob, actor=operator, reason="Complaint")
    bob.refresh_from_db()
    assert bob.may_review
    assert bob.is_staff
    assert not people.is_operator(bob)
    people.revoke_review(grant=grant, actor=operator)
    afterwards = User.objects.get(pk=bob.pk)
    assert not afterwards.may_review
    assert not afterwards.is_staff
    assert RightsChange.objects.filter(user=bob).count() == 1
    assert {"review.granted", "review.revoked"} <= verbs(bob)


def test_nobody_grants_the_review_right_to_themselves(operator: User) -> None:
    with pytest.raises(people.NotForOneself):
        people.grant_review(user=operator, actor=operator, reason="Curious")
    assert not operator.may_review


def test_reviewers_and_charlie_grant_and_revoke_nothing(
    rita: User, charlie: User, bob: User
) -> None:
    for actor in (rita, charlie):
        with pytest.raises(people.NotAnOperator):
            people.grant_review(user=bob, actor=actor, reason="Curious")
        with pytest.raises(people.NotAnOperator):
            people.revoke_review(grant=rita.review_grants.get(), actor=actor)
    assert ReviewGrant.objects.filter(revoked_at=None).count() == 1


def test_a_superuser_has_no_review_right(db: None) -> None:
    root = User.objects.create_superuser("root@example.com", "correct horse battery")
    assert not root.may_review


def test_the_right_is_granted_once(operator: User, rita: User) -> None:
    with pytest.raises(people.ReviewsAlready):
        people.grant_review(user=rita, actor=operator, reason="Again")


# --- The command ----------------------------------------------------------------------------------


def test_the_command_prints_a_link_and_nothing_else(
    capsys: pytest.CaptureFixture[str], alice: User
) -> None:
    call_command("signinlink", "Alice@example.com", "--base-url", "https://chat.example/")
    printed = capsys.readouterr().out.strip()
    assert printed.startswith("https://chat.example/link/")
    token = printed.removesuffix("/").rpartition("/")[2]
    assert people.use_link(token=token) == alice


def test_the_command_makes_an_operator_who_is_no_superuser(
    capsys: pytest.CaptureFixture[str], db: None
) -> None:
    call_command("signinlink", "ada@example.com", "--create", "--admin", "--name", "Ada")
    ada = User.objects.get(email="ada@example.com")
    assert people.is_operator(ada)
    assert not ada.is_superuser
    assert ada.name == "Ada"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody@example.com"], "--create"),
        (["nobody", "--create"], "valid email"),
        (["ada@example.com", "--create", "--name", "x" * 81], "80"),
        (["alice@example.com", "--name", "Other"], "--name"),
        (["alice@example.com", "--hours", "0"], "--hours"),
        (["alice@example.com", "--base-url", "chat.example"], "--base-url"),
    ],
)
def test_the_command_says_what_is_wrong(alice: User, arguments: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("signinlink", *arguments)
    assert User.objects.count() == 1
    assert not OneTimeLink.objects.exists()


def test_the_command_gives_a_suspended_person_no_link(operator: User, alice: User) -> None:
    people.suspend(user=alice, actor=operator)
    with pytest.raises(CommandError, match="suspended"):
        call_command("signinlink", "alice@example.com", "--admin")
    assert not alice.groups.exists()
