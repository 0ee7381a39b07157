"""One-time links: what uses them up, what does not, and where their tokens never show."""

import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from conversations.actions import people
from conversations.models import AuditEntry, OneTimeLink, Purpose, RightsChange, User

HOUR = timedelta(hours=1)


def link_for(user: User, purpose: Purpose = Purpose.INVITATION) -> str:
    return people.make_link(user=user, purpose=purpose, actor=None, lifetime=HOUR)


def address(token: str | None) -> str:
    assert token is not None
    return reverse("link", args=[token])


@pytest.fixture
def dana(db: None) -> User:
    """Invited, without a password."""
    return people.add(email="dana@example.com", name="Dana", actor=None)


def test_opening_a_link_shows_a_button_and_uses_nothing_up(client: Client, dana: User) -> None:
    token = link_for(dana)
    for _ in range(3):
        page = client.get(address(token))
        assert page.status_code == 200
        assert 'method="post"' in page.content.decode()
    assert client.head(address(token)).status_code == 200
    assert "_auth_user_id" not in client.session
    assert OneTimeLink.objects.get().used_at is None


def test_the_button_signs_the_person_in(client: Client, dana: User) -> None:
    answer = client.post(address(link_for(dana)))
    assert answer["Location"] == reverse("account_set_password")
    assert client.session["_auth_user_id"] == str(dana.pk)
    verbs = set(AuditEntry.objects.filter(actor=dana).values_list("verb", flat=True))
    assert {"link.used", "person.signed_in"} <= verbs


def test_signing_in_rotates_the_session_key(client: Client, dana: User) -> None:
    client.get(reverse("account_login"))
    session = client.session
    session["kept"] = "before"
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key or ""
    client.post(address(link_for(dana)))
    assert client.session.session_key != session.session_key or ""


def test_a_person_without_a_password_may_use_the_portal(client: Client, dana: User) -> None:
    client.post(address(link_for(dana)))
    assert client.get(reverse("account")).status_code == 200


def test_a_link_works_once(client: Client, dana: User) -> None:
    token = link_for(dana)
    client.post(address(token))
    other = Client()
    answer = other.post(address(token))
    assert answer.status_code == 410
    assert "_auth_user_id" not in other.session


def test_used_expired_voided_and_unknown_links_look_the_same(
    client: Client, dana: User, alice: User
) -> None:
    used, voided = link_for(dana), link_for(alice)
    people.use_link(token=used)
    link_for(alice)
    expired = people.make_link(
        user=dana, purpose=Purpose.SIGN_IN, actor=None, lifetime=timedelta(seconds=-1)
    )
    pages = set()
    for token in (used, voided, expired, "x" * 43, "a-b_c"):
        for answer in (client.get(address(token)), client.post(address(token))):
            assert answer.status_code == 410
            pages.add(answer.content.decode().partition("<main")[2])
    assert len(pages) == 1
    assert "Ask whoever sent it for a new one" in pages.pop()


def test_a_link_ends_on_time(client: Client, dana: User) -> None:
    token = link_for(dana)
    with time_machine.travel(timezone.now() + HOUR, tick=False):
        assert client.post(address(token)).status_code == 410
        assert client.get(address(token)).status_code == 410


def test_a_newer_link_voids_the_older_of_its_purpose(dana: User) -> None:
    first, sign_in = link_for(dana), link_for(dana, Purpose.SIGN_IN)
    second = link_for(dana)
    assert people.use_link(token=first) is None
    assert OneTimeLink.objects.filter(voided_at=None).count() == 2
    assert people.use_link(token=second) == dana
    assert people.use_link(token=sign_in) is None  # using one closes the others


def test_a_link_of_a_suspended_person_is_dead(operator: User, dana: User) -> None:
    token = link_for(dana)
    people.suspend(user=dana, actor=operator)
    people.reactivate(user=dana, actor=operator)
    assert people.use_link(token=token) is None


def test_other_verbs_are_refused(client: Client, dana: User) -> None:
    token = link_for(dana)
    assert client.put(address(token)).status_code == 405
    assert client.delete(address(token)).status_code == 405


def test_posting_needs_the_csrf_token(dana: User) -> None:
    token = link_for(dana)
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(address(token)).status_code == 403
    assert OneTimeLink.objects.get().used_at is None


def test_the_address_is_neither_cached_nor_sent_on(client: Client, dana: User) -> None:
    for token in (link_for(dana), "unknown"):
        page = client.get(address(token))
        assert "no-store" in page["Cache-Control"]
        assert page["Referrer-Policy"] == "strict-origin"
        assert token not in page.content.decode()


def test_somebody_else_in_this_browser_is_told_and_signed_out(
    client: Client, dana: User, charlie: User
) -> None:
    client.force_login(charlie)
    key = client.session.session_key or ""
    token = link_for(dana)
    page = client.get(address(token)).content.decode()
    assert "You are signed in as charlie@example.com" in page
    client.post(address(token))
    assert client.session["_auth_user_id"] == str(dana.pk)
    change = RightsChange.objects.get(user=charlie)
    assert change.session_hash == sha256(key.encode()).hexdigest()


def test_charlie_with_a_dead_link_stays_charlie(client: Client, dana: User, charlie: User) -> None:
    token = link_for(dana)
    people.use_link(token=token)
    client.force_login(charlie)
    assert client.post(address(token)).status_code == 410
    assert client.session["_auth_user_id"] == str(charlie.pk)


def test_a_link_from_the_server_replaces_a_forgotten_password(client: Client, alice: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(alice)
    token = link_for(alice, Purpose.SIGN_IN)
    assert "old password stops working" in client.get(address(token)).content.decode()
    assert client.post(address(token))["Location"] == reverse("account_set_password")
    assert not client.login(email="alice@example.com", password="correct horse battery")
    assert elsewhere.get(reverse("account")).status_code == 302


def test_a_link_is_consumed_by_one_of_many(transactional_db: None) -> None:
    dana = people.add(email="dana@example.com", actor=None)
    token = link_for(dana)
    barrier = Barrier(8)

    def attempt(_number: int) -> bool:
        try:
            browser = Client()
            barrier.wait()
            browser.post(address(token))
            return "_auth_user_id" in browser.session
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert AuditEntry.objects.filter(verb="link.used").count() == 1


# --- Where tokens never show ----------------------------------------------------------------------


def test_the_table_holds_no_token(dana: User) -> None:
    token = link_for(dana)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert token not in str(cursor.fetchall())


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the portal's own log would hold, at its most talkative."""
    logging_settings: dict[str, Any] = settings.LOGGING
    options = dict(logging_settings["formatters"]["line"])
    formatter = import_string(options.pop("()"))(options["format"], style=options["style"])
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_line_of_the_log_holds_a_token(
    client: Client, dana: User, log_lines: io.StringIO
) -> None:
    token = link_for(dana)
    client.get(address(token))
    Client(enforce_csrf_checks=True).post(address(token))  # 403
    client.put(address(token))  # 405
    client.get(address(token) + "more")  # 404
    client.post(address(token))
    client.post(address(token))  # 410
    logging.getLogger("django.request").error("Broken: %s", address(token))
    broken = RuntimeError(address(token))
    logging.getLogger("conversations").error("Internal error", exc_info=broken)
    written = log_lines.getvalue()
    assert written.count("/link/…") >= 5
    assert token not in written


# --- The first administrator ----------------------------------------------------------------------


def test_the_first_link_makes_an_operator_who_is_no_superuser(client: Client, db: None) -> None:
    token = people.first_link()
    admin = User.objects.get()
    assert people.is_operator(admin)
    assert not admin.is_superuser
    assert not admin.may_review
    assert client.post(address(token))["Location"] == reverse("account")


def test_each_start_prints_a_fresh_link_and_voids_the_old(db: None) -> None:
    old, new = people.first_link(), people.first_link()
    assert User.objects.count() == 1
    assert old is not None
    assert new is not None
    assert people.use_link(token=old) is None
    assert people.use_link(token=new) is not None


def test_there_is_no_first_link_once_anybody_has_signed_in(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert people.first_link() is None
    assert User.objects.count() == 1


def test_a_first_link_is_worth_nothing_once_anybody_has_signed_in(
    client: Client, alice: User
) -> None:
    token = people.first_link()
    client.force_login(alice)
    late = Client()
    assert late.get(address(token)).status_code == 410
    assert late.post(address(token)).status_code == 410


def test_a_first_link_lives_as_long_as_the_settings_say(db: None) -> None:
    people.first_link()
    link = OneTimeLink.objects.get()
    assert link.expires_at - link.created_at == timedelta(minutes=settings.FIRST_LINK_MINUTES)
