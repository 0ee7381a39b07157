"""Keys: who makes them, how they are shown, and when they stop."""

import io
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from chatweb.logs import LineFormatter
from conversations import access
from conversations.actions import keys, people
from conversations.models import AuditEntry, Key, User
from conversations.sessions import SessionStore
from tests.viewers import session_of

pytestmark = pytest.mark.django_db

PAGE = "/account/keys/"
SHOWN = re.compile(r"lt_[A-Za-z0-9]{20,}")


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


def key_of(user: User, name: str = "Report", **fields: object) -> tuple[Key, str]:
    return keys.make(user=user, actor=user, name=name, **fields)  # type: ignore[arg-type]


def made_on_the_page(user: User, **form: object) -> str:
    """The key that the page shows."""
    answer = signed_in(user).post(PAGE, {"name": "Report", "lifetime": "90"} | form)
    assert answer.status_code == 200, answer.content
    [token] = set(SHOWN.findall(answer.content.decode()))
    return str(token)


# --- Made and shown -------------------------------------------------------------------------------


def test_a_key_is_shown_once_with_a_button_that_copies_it(alice: User) -> None:
    browser = signed_in(alice)
    page = browser.post(PAGE, {"name": "Report", "lifetime": "90"}).content.decode()
    [token] = set(SHOWN.findall(page))
    assert f'data-copy-text="{token}"' in page
    again = browser.get(PAGE).content.decode()
    assert token not in again
    assert token[:13] in again


def test_the_page_that_shows_a_key_is_kept_by_no_cache(alice: User) -> None:
    answer = signed_in(alice).post(PAGE, {"name": "Report", "lifetime": "90"})
    assert answer["Cache-Control"] == "private, no-store"


def test_only_the_beginning_and_a_hash_are_stored(alice: User) -> None:
    token = made_on_the_page(alice)
    key = Key.objects.get()
    assert (key.prefix, key.key_hash) == (token[:13], sha256(token.encode()).hexdigest())
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert token not in str(cursor.fetchall()), table


def test_no_log_holds_a_key_even_where_somebody_puts_it_into_an_address(alice: User) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter(fmt="{message}", style="{"))
    logging.getLogger().addHandler(handler)
    _key, token = key_of(alice)
    try:
        signed_in(alice).get(f"/nothing/?key={token}")
        logging.getLogger("tests").warning("asked with %s", token)
    finally:
        logging.getLogger().removeHandler(handler)
    assert token[:13] in written.getvalue()
    assert token not in written.getvalue()


def test_a_key_has_256_random_bits_and_none_is_like_another(alice: User) -> None:
    tokens = {key_of(alice)[1] for _ in range(5)}
    assert len(tokens) == 5
    assert all(access.KEY.fullmatch(token) for token in tokens)


def test_how_long_it_works_and_for_what_is_chosen(alice: User) -> None:
    made_on_the_page(alice, lifetime="30", models=["indigo-owl-4"])
    key = Key.objects.get()
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)
    assert key.allows("indigo-owl-4")
    assert not key.allows("crimson-falcon-4")


def test_it_may_work_until_it_is_revoked_and_for_all_models(alice: User) -> None:
    made_on_the_page(alice, lifetime="")
    key = Key.objects.get()
    assert key.expires_at is None
    assert key.allows("any")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "Report", "lifetime": "31"}, "lifetime"),
        ({"name": "Report", "models": ["nowhere"]}, "models"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    alice: User, form: dict[str, str], field: str
) -> None:
    answer = signed_in(alice).post(PAGE, form)
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not Key.objects.exists()


def test_nobody_has_more_keys_than_set(alice: User, settings: Settings) -> None:
    settings.KEYS_PER_PERSON = 2
    first, _token = key_of(alice)
    key_of(alice)
    answer = signed_in(alice).post(PAGE, {"name": "Third", "lifetime": ""})
    assert answer.status_code == 422
    assert "You have 2 keys" in answer.content.decode()
    assert 'value="Third"' in answer.content.decode()
    keys.revoke(key=first, actor=alice)
    key_of(alice)


@pytest.mark.django_db(transaction=True)
def test_nor_when_several_are_made_at_once(alice: User, settings: Settings) -> None:
    settings.KEYS_PER_PERSON = 3

    def make(_number: int) -> bool:
        try:
            key_of(alice)
        except keys.TooManyKeys:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(make, range(8))) == 3


def test_making_and_revoking_leave_a_trail_without_names_and_secrets(alice: User) -> None:
    key, token = key_of(alice, name="Canary name")
    keys.revoke(key=key, actor=alice)
    trail = AuditEntry.objects.filter(object_type="key", object_id=key.public_id)
    assert list(trail.order_by("pk").values_list("verb", "actor")) == [
        ("key.made", alice.pk),
        ("key.revoked", alice.pk),
    ]
    told = str(list(trail.values()))
    assert key.prefix in told
    assert token not in told
    assert "Canary" not in told


def test_a_name_is_text_and_no_markup(alice: User) -> None:
    key_of(alice, name="<img src=x onerror=alert(1)>")
    page = signed_in(alice).get(PAGE).content.decode()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


# --- On the server --------------------------------------------------------------------------------


def created(*arguments: str) -> str:
    said = io.StringIO()
    call_command("apikey", "create", *arguments, stdout=said)
    return said.getvalue().strip()


def test_a_command_prints_a_new_key_and_nothing_else(alice: User) -> None:
    token = created("Alice@example.com", "--name", "Nightly")
    admitted = access.authorise("key", token)
    assert admitted is not None
    assert admitted.user == alice
    assert admitted.key is not None
    assert admitted.key.name == "Nightly"
    assert AuditEntry.objects.get(verb="key.made").actor_label == "system"


def test_the_command_takes_days_and_models(alice: User) -> None:
    created("alice@example.com", "--name", "X", "--days", "1", "--model", "indigo-owl-4")
    key = Key.objects.get()
    assert key.allowed_models == ["indigo-owl-4"]
    assert key.expires_at is not None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nobody@example.com", "--name", "X"), "Nobody has the email address"),
        (("alice@example.com", "--name", " "), "--name must have"),
        (("alice@example.com", "--name", "X", "--days", "0"), "--days must be"),
        (("alice@example.com", "--name", "X", "--model", "nowhere"), "no such model"),
    ],
)
def test_the_command_says_what_is_wrong(
    alice: User, arguments: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(CommandError, match=complaint):
        created(*arguments)


def test_the_command_makes_none_for_somebody_who_is_suspended(alice: User, operator: User) -> None:
    people.suspend(user=alice, actor=operator)
    with pytest.raises(CommandError, match="suspended"):
        created("alice@example.com", "--name", "X")


# --- Revoked --------------------------------------------------------------------------------------


def test_a_revoked_key_is_gone_from_the_page(alice: User) -> None:
    key, token = key_of(alice)
    browser = signed_in(alice)
    answer = browser.post(reverse("revocation", args=[key.public_id]))
    assert answer["Location"] == PAGE
    assert access.authorise("key", token) is None
    assert key.prefix not in browser.get(PAGE).content.decode()
    key.refresh_from_db()
    assert key.revoked_by == alice


def test_charlie_sees_and_revokes_no_key_of_alices(alice: User, charlie: User) -> None:
    key, token = key_of(alice)
    browser = signed_in(charlie)
    assert key.prefix not in browser.get(PAGE).content.decode()
    assert browser.post(reverse("revocation", args=[key.public_id])).status_code == 404
    assert access.authorise("key", token) is not None


def test_an_operator_sees_and_revokes_all_keys_but_no_key_itself(
    alice: User, operator: User
) -> None:
    key, token = key_of(alice)
    browser = signed_in(operator)
    page = browser.get(reverse("admin:conversations_key_changelist")).content.decode()
    assert key.prefix in page
    assert token not in page
    assert key.key_hash not in page
    form = {"action": "revoke", "_selected_action": key.pk}
    browser.post(reverse("admin:conversations_key_changelist"), form)
    assert access.authorise("key", token) is None
    assert AuditEntry.objects.filter(verb="key.revoked", actor=operator).exists()


def test_a_reviewer_sees_no_keys(alice: User, rita: User) -> None:
    key_of(alice)
    address = reverse("admin:conversations_key_changelist")
    assert signed_in(rita).get(address).status_code == 404


def test_no_lookup_answers_how_a_hash_begins(alice: User, operator: User) -> None:
    key, _token = key_of(alice)
    address = reverse("admin:conversations_key_changelist")
    answer = signed_in(operator).get(f"{address}?key_hash__startswith={key.key_hash[:2]}")
    assert answer.status_code in {302, 400}


# --- One decision for every credential ------------------------------------------------------------

STATES = ("active", "suspended", "reactivated", "expired", "revoked", "unknown", "gone")


def credential(kind: access.Credential, user: User) -> str:
    return session_of(user) if kind == "session" else key_of(user)[1]


def bring(kind: access.Credential, state: str, secret: str, user: User, operator: User) -> str:
    """The credential to show, once it is in this state."""
    past = timezone.now() - timedelta(seconds=1)
    if state in {"suspended", "reactivated"}:
        people.suspend(user=user, actor=operator)
    if state == "reactivated":
        people.reactivate(user=user, actor=operator)
    if state == "expired":
        if kind == "session":
            Session.objects.update(expire_date=past)
        Key.objects.update(expires_at=past)
    if state == "revoked":
        if kind == "session":
            SessionStore(secret).delete()
        for key in Key.objects.all():
            keys.revoke(key=key, actor=operator)
    if state == "unknown":
        return secret[:-1] + ("a" if secret[-1] != "a" else "b")
    if state == "gone":
        user.delete()
    return secret


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", ["session", "key"])
def test_what_a_credential_opens(
    kind: access.Credential, state: str, alice: User, operator: User
) -> None:
    secret = bring(kind, state, credential(kind, alice), alice, operator)
    admitted = access.authorise(kind, secret)
    # Whoever comes back signs in again; their programs just go on.
    opens = state == "active" or (state == "reactivated" and kind == "key")
    assert (admitted is not None) is opens
    if admitted is not None:
        assert admitted.user == alice
        assert (admitted.key is not None) is (kind == "key")


@pytest.mark.parametrize("kind", ["session", "key"])
@pytest.mark.parametrize("secret", [None, "", "lt_", "\0", "lt_" + "a" * 53, "x" * 10_000, "lt_é"])
def test_nonsense_opens_nothing(kind: access.Credential, secret: str | None, alice: User) -> None:
    key_of(alice)
    assert access.authorise(kind, secret) is None


def test_one_credential_is_not_good_as_another(alice: User) -> None:
    assert access.authorise("key", session_of(alice)) is None
    assert access.authorise("session", key_of(alice)[1]) is None


# --- Last use -------------------------------------------------------------------------------------


def test_its_use_is_noted_once_a_minute(alice: User) -> None:
    key, _token = key_of(alice)
    keys.used(key=key)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    keys.used(key=key)
    key.refresh_from_db()
    assert key.last_used_at == first
    Key.objects.update(last_used_at=first - timedelta(seconds=61))
    key.refresh_from_db()
    keys.used(key=key)
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at >= first


def test_a_use_that_somebody_else_noted_is_not_noted_again(alice: User) -> None:
    stale, _token = key_of(alice)
    keys.used(key=Key.objects.get(pk=stale.pk))
    noted = Key.objects.get(pk=stale.pk).last_used_at
    keys.used(key=stale)
    assert Key.objects.get(pk=stale.pk).last_used_at == noted


def test_a_persons_page_shows_the_last_use(alice: User) -> None:
    key, _token = key_of(alice)
    browser = signed_in(alice)
    assert "never used" in browser.get(PAGE).content.decode()
    keys.used(key=key)
    Key.objects.update(last_used_at=timezone.now() - timedelta(hours=3))
    page = browser.get(PAGE).content.decode().replace("\xa0", " ")
    assert "never used" not in page
    assert "used 3 hours ago" in page
