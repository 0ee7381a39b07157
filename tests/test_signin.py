"""Signing in with a password, signing out, changing the password."""

from hashlib import sha256
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from conversations.models import AuditEntry, RightsChange, User

PASSWORD = "correct horse battery"
LOGIN = "/accounts/login/"


def sign_in(client: Client, password: str = PASSWORD, **fields: str) -> Any:
    return client.post(LOGIN, {"login": "alice@example.com", "password": password, **fields})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


# --- Signing in -----------------------------------------------------------------------------------


def test_a_mail_address_in_any_case_and_the_password_sign_in(client: Client, alice: User) -> None:
    answer = client.post(LOGIN, {"login": "Alice@Example.COM", "password": PASSWORD})
    assert answer["Location"] == reverse("new")
    assert is_signed_in(client)
    assert AuditEntry.objects.filter(verb="person.signed_in", actor=alice).exists()


def test_no_second_address_is_kept_beside_the_persons_own(client: Client, alice: User) -> None:
    sign_in(client)
    assert not EmailAddress.objects.exists()


def test_a_wrong_password_says_so_and_keeps_the_address(client: Client, alice: User) -> None:
    answer = sign_in(client, "wrong")
    page = answer.content.decode()
    assert not is_signed_in(client)
    assert "do not belong together" in page
    assert 'value="alice@example.com"' in page
    assert "wrong" not in page


def test_an_unknown_address_gets_the_same_answer_as_a_wrong_password(
    client: Client, alice: User
) -> None:
    known = sign_in(client, "wrong").context["form"].errors
    unknown = client.post(LOGIN, {"login": "nobody@example.com", "password": "wrong"})
    assert unknown.context["form"].errors == known


def test_the_fields_are_labelled_and_tell_password_managers_what_they_are(
    client: Client, db: None
) -> None:
    page = client.get(LOGIN).content.decode()
    assert '<label for="id_login">' in page
    assert '<label for="id_password">' in page
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page


def test_the_operators_sentence_and_terms_stand_on_the_page(
    client: Client, db: None, settings: Settings
) -> None:
    settings.PORTAL_SIGNIN_TEXT = "Use your <b>work</b> address."
    settings.PORTAL_TERMS_URL = "https://example.com/terms"
    page = client.get(LOGIN).content.decode()
    assert "Use your &lt;b&gt;work&lt;/b&gt; address." in page
    assert 'href="https://example.com/terms"' in page


def test_the_sixth_attempt_is_refused_even_with_the_right_password(
    client: Client, alice: User
) -> None:
    for _ in range(5):
        sign_in(client, "wrong")
    answer = sign_in(client)
    assert not is_signed_in(client)
    assert "Too many attempts" in answer.content.decode()


def test_attempts_from_another_place_count_for_the_same_address(alice: User) -> None:
    for number in range(5):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), "wrong")
    client = Client(REMOTE_ADDR="192.0.2.99")
    sign_in(client)
    assert not is_signed_in(client)


def test_signing_in_wins_back_no_attempts(client: Client, alice: User) -> None:
    for _ in range(4):
        sign_in(client, "wrong")
    sign_in(client)
    client.logout()
    sign_in(client, "wrong")
    sign_in(client)
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_signing_in_leads_to_no_other_site(client: Client, alice: User, place: str) -> None:
    answer = sign_in(client, next=place)
    assert answer["Location"] == reverse("new")


def test_signing_in_leads_to_where_one_wanted_to_go(client: Client, alice: User) -> None:
    assert sign_in(client, next="/account/")["Location"] == "/account/"


def test_a_suspended_person_is_not_signed_in(client: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    answer = sign_in(client)
    assert answer["Location"] == reverse("account_inactive")
    assert not is_signed_in(client)
    assert "suspended" in client.get(answer["Location"]).content.decode()


def test_signing_in_needs_the_csrf_token(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert sign_in(strict).status_code == 403


def test_signing_in_grants_nothing_that_the_form_adds(client: Client, alice: User) -> None:
    sign_in(client, is_staff="on", is_superuser="on", groups="1")
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser, alice.groups.count()) == (False, False, 0)


def test_signing_in_rotates_the_session_key(client: Client, alice: User) -> None:
    session = client.session
    session["kept"] = "before"
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key or ""
    sign_in(client)
    assert client.session.session_key != session.session_key


@pytest.mark.parametrize(
    "path", ["signup/", "email/", "password/reset/", "confirm-email/", "login/code/"]
)
def test_pages_that_nobody_needs_are_not_there(client: Client, alice: User, path: str) -> None:
    client.force_login(alice)
    assert client.get(f"/accounts/{path}").status_code == 404


def test_nobody_signs_up(client: Client, db: None) -> None:
    with pytest.raises(NoReverseMatch):
        reverse("account_signup")
    client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD})
    assert not User.objects.exists()


# --- Signing out ----------------------------------------------------------------------------------


def test_signing_out_tells_the_sockets_of_that_session(client: Client, alice: User) -> None:
    client.force_login(alice)
    key = client.session.session_key or ""
    answer = client.post(reverse("account_logout"))
    assert answer["Location"] == reverse("account_login")
    assert not is_signed_in(client)
    change = RightsChange.objects.get(user=alice)
    assert change.session_hash == sha256(key.encode()).hexdigest()


def test_signing_out_asks_first(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(reverse("account_logout")).status_code == 200
    assert is_signed_in(client)


def test_charlie_signing_out_leaves_alice_signed_in(
    client: Client, alice: User, charlie: User
) -> None:
    client.force_login(alice)
    other = Client()
    other.force_login(charlie)
    other.post(reverse("account_logout"))
    assert client.get(reverse("account")).status_code == 200
    assert not RightsChange.objects.filter(user=alice).exists()


def test_signing_out_twice_is_harmless(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("account_logout"))
    assert client.post(reverse("account_logout")).status_code == 302
    assert RightsChange.objects.count() == 1


# --- Passwords ------------------------------------------------------------------------------------

NEW = "staple lantern orbit"


def change(client: Client, **fields: str) -> Any:
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW, **fields}
    return client.post(reverse("account_change_password"), form)


def test_changing_the_password_ends_the_other_sessions(client: Client, alice: User) -> None:
    other = Client()
    other.force_login(alice)
    sign_in(client)
    assert change(client)["Location"] == reverse("account")
    assert client.get(reverse("account")).status_code == 200
    assert other.get(reverse("account")).status_code == 302
    assert RightsChange.objects.filter(user=alice, session_hash="").count() == 1
    assert AuditEntry.objects.filter(verb="person.password_set", actor=alice).count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"oldpassword": "wrong"}, "oldpassword"),
        ({"password2": "something else"}, "password2"),
        ({"password1": "password", "password2": "password"}, "password1"),
        ({"password1": "short", "password2": "short"}, "password1"),
    ],
)
def test_a_refused_password_says_why_beside_its_field(
    client: Client, alice: User, fields: dict[str, str], field: str
) -> None:
    client.force_login(alice)
    answer = change(client, **fields)
    assert answer.context["form"].errors[field]
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not RightsChange.objects.exists()


def test_charlie_changes_no_password_but_their_own(
    client: Client, alice: User, charlie: User
) -> None:
    client.force_login(charlie)
    change(client, user=str(alice.pk), username="alice@example.com", login="alice@example.com")
    alice.refresh_from_db()
    charlie.refresh_from_db()
    assert alice.check_password(PASSWORD)
    assert charlie.check_password(NEW)


def test_changing_the_password_changes_nothing_else(client: Client, charlie: User) -> None:
    client.force_login(charlie)
    change(client, is_staff="on", is_superuser="on", email="root@example.com", name="Root")
    charlie.refresh_from_db()
    assert charlie.email == "charlie@example.com"
    assert charlie.name == "Charlie"
    assert (charlie.is_staff, charlie.is_superuser) == (False, False)


def test_a_first_password_is_set_without_an_old_one(client: Client, alice: User) -> None:
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    answer = client.post(reverse("account_set_password"), {"password1": NEW, "password2": NEW})
    assert answer["Location"] == reverse("account")
    alice.refresh_from_db()
    assert alice.check_password(NEW)


def test_setting_a_password_is_not_a_way_around_the_old_one(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("account_set_password"), {"password1": NEW, "password2": NEW})
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


@pytest.mark.parametrize("page", ["account", "account_change_password", "account_set_password"])
def test_somebody_signed_out_is_asked_to_sign_in(client: Client, db: None, page: str) -> None:
    assert client.get(reverse(page))["Location"].startswith(reverse("account_login"))


def test_no_answer_for_a_signed_in_person_may_be_cached(client: Client, alice: User) -> None:
    client.force_login(alice)
    for page in ("account", "account_change_password", "account_logout"):
        header = client.get(reverse(page))["Cache-Control"]
        assert "no-store" in header
        assert "private" in header
