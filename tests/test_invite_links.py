"""Invite links: what they let in, until when, and where their tokens never show."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from chatweb import logs
from conversations.actions import conversations, invitelinks, participants, people
from conversations.models import (
    AuditEntry,
    Change,
    Conversation,
    InviteLink,
    Participant,
    Role,
    User,
    What,
)
from tests.conftest import person

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def make(conversation: Conversation, actor: User, role: Role = Role.EDITOR, **more: Any) -> str:
    options = {"lifetime": DAY, "max_uses": None} | more
    return invitelinks.make(conversation=conversation, actor=actor, role=role, **options)


def address(token: str) -> str:
    return f"/link/join/{token}/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def role_of(user: User, conversation: Conversation) -> str | None:
    return conversation.participants.filter(user=user).values_list("role", flat=True).first()


# --- Joining --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.EDITOR, Role.VIEWER])
def test_opening_it_shows_who_invites_and_as_what_and_the_button_joins(
    conversation: Conversation, alice: User, bob: User, role: Role
) -> None:
    token = make(conversation, alice, role)
    client = signed_in(bob)
    for _ in range(2):
        page = client.get(address(token))
        assert page.status_code == 200
        text = page.content.decode()
        assert "Alice invites you" in text
        assert "Slow export" in text
        assert f"as an {role}" in text or f"as a {role}" in text
        assert token not in text
    assert role_of(bob, conversation) is None
    joined = client.post(address(token))
    assert joined["Location"] == f"/c/{conversation.public_id}/"
    assert role_of(bob, conversation) == role
    assert InviteLink.objects.get().uses == 1
    assert Change.objects.get().what == What.JOINED
    assert AuditEntry.objects.filter(verb="participant.joined", actor=bob).count() == 1


def test_who_is_not_signed_in_learns_nothing_and_comes_back_after_it(
    conversation: Conversation, alice: User, bob: User
) -> None:
    token = make(conversation, alice)
    client = Client()
    for verb in (client.get, client.post):
        to_sign_in = verb(address(token))
        assert to_sign_in.status_code == 302
        assert client.get(address("unknown")).status_code == 302  # good or not
    page = client.get(to_sign_in["Location"])
    assert "Slow export" not in page.content.decode()
    form = {"login": bob.email, "password": "correct horse battery"}
    after = client.post(to_sign_in["Location"], form)
    assert urlsplit(after["Location"]).path == address(token)
    assert client.get(after["Location"]).status_code == 200


def test_who_is_in_already_goes_there_and_uses_nothing_up(
    conversation: Conversation, alice: User, bob: User
) -> None:
    Participant.objects.create(conversation=conversation, user=bob, role=Role.VIEWER)
    token = make(conversation, alice, Role.EDITOR, max_uses=1)
    client = signed_in(bob)
    for verb in (client.get, client.post):
        assert verb(address(token))["Location"] == f"/c/{conversation.public_id}/"
    assert role_of(bob, conversation) == "viewer"
    assert InviteLink.objects.get().uses == 0


# --- When it lets nobody in -----------------------------------------------------------------------


def withdraw(conversation: Conversation, alice: User) -> None:
    invitelinks.withdraw(link=conversation.invite_links.get(), actor=alice)


def delete(conversation: Conversation, alice: User) -> None:
    conversations.delete(conversation=conversation, actor=alice)


def demote(conversation: Conversation, alice: User) -> None:
    other = person("Otto")
    Participant.objects.create(conversation=conversation, user=other, role=Role.EDITOR)
    participants.hand_over(conversation=conversation, actor=alice, person=other)


def leave(conversation: Conversation, alice: User) -> None:
    other = person("Otto")
    Participant.objects.create(conversation=conversation, user=other, role=Role.OWNER)
    participants.leave(conversation=conversation, person=alice)


def suspend(_conversation: Conversation, alice: User) -> None:
    people.suspend(user=alice, actor=person("Olaf"))


def forget(_conversation: Conversation, alice: User) -> None:
    alice.delete()


def use_up(conversation: Conversation, _alice: User) -> None:
    conversation.invite_links.update(max_uses=3, uses=3)


def expire(conversation: Conversation, _alice: User) -> None:
    conversation.invite_links.update(expires_at=timezone.now())


@pytest.mark.parametrize(
    "change", [withdraw, delete, demote, leave, suspend, forget, use_up, expire]
)
def test_it_is_gone(conversation: Conversation, alice: User, bob: User, change: Any) -> None:
    token = make(conversation, alice)
    client = signed_in(bob)
    assert client.get(address(token)).status_code == 200
    change(conversation, alice)
    for page in (client.get(address(token)), client.post(address(token))):
        assert page.status_code == 410
        assert "Slow export" not in page.content.decode()
    assert role_of(bob, conversation) is None


def test_it_ends_by_itself(conversation: Conversation, alice: User, bob: User) -> None:
    token = make(conversation, alice)
    client = signed_in(bob)
    with time_machine.travel(timezone.now() + DAY - timedelta(minutes=1), tick=False):
        assert invitelinks.find(token=token) is not None
    with time_machine.travel(timezone.now() + DAY, tick=False):
        assert invitelinks.find(token=token) is None
    assert client.post(address(token)).status_code == 302


def test_who_was_removed_does_not_come_back_by_an_older_link(
    conversation: Conversation, alice: User, bob: User
) -> None:
    token = make(conversation, alice)
    client = signed_in(bob)
    client.post(address(token))
    participants.remove(conversation=conversation, actor=alice, person=bob)
    again = client.post(address(token))
    assert again.status_code == 409
    assert "Ask them to invite you again." in again.content.decode()
    assert role_of(bob, conversation) is None
    assert signed_in(bob).post(address(make(conversation, alice))).status_code == 302
    assert role_of(bob, conversation) == "editor"


def test_leaving_and_joining_again_wins_no_role_back(
    conversation: Conversation, alice: User, bob: User
) -> None:
    token = make(conversation, alice)
    client = signed_in(bob)
    client.post(address(token))
    participants.set_role(conversation=conversation, actor=alice, person=bob, role=Role.VIEWER)
    participants.leave(conversation=conversation, person=bob)
    assert client.post(address(token)).status_code == 409
    assert role_of(bob, conversation) is None


def test_who_left_may_join_again(conversation: Conversation, alice: User, bob: User) -> None:
    token = make(conversation, alice)
    client = signed_in(bob)
    client.post(address(token))
    participants.leave(conversation=conversation, person=bob)
    assert client.post(address(token)).status_code == 302
    assert InviteLink.objects.get().uses == 2


def test_a_full_conversation_takes_nobody_and_counts_no_use(
    conversation: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    settings.PARTICIPANTS_PER_CONVERSATION = 1
    token = make(conversation, alice)
    page = signed_in(bob).post(address(token))
    assert page.status_code == 409
    assert "At most 1 person" in page.content.decode()
    assert InviteLink.objects.get().uses == 0


def test_no_more_join_at_once_than_it_allows(
    transactional_db: None, conversation: Conversation, alice: User
) -> None:
    token = make(conversation, alice, max_uses=3)
    crowd = [person(f"Guest{number}") for number in range(6)]
    barrier = Barrier(len(crowd))

    def attempt(guest: User) -> int:
        try:
            client = signed_in(guest)
            barrier.wait()
            return client.post(address(token)).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(crowd)) as pool:
        assert sorted(pool.map(attempt, crowd)) == [302] * 3 + [410] * 3
    assert conversation.participants.count() == 4
    assert InviteLink.objects.get().uses == 3


# --- Made and withdrawn in the drawer -------------------------------------------------------------


def made(client: Client, conversation: Conversation, **form: str) -> Any:
    fields = {"role": "viewer", "days": "7", "max_uses": ""} | form
    return client.post(f"/c/{conversation.public_id}/invite-links/", fields)


def test_a_new_one_is_shown_once_and_listed_with_who_made_it(
    conversation: Conversation, alice: User
) -> None:
    client = signed_in(alice)
    page = made(client, conversation, max_uses="5").content.decode()
    (token,) = set(re.findall(r"http://testserver/link/join/([\w-]+)/", page))
    again = client.get(f"/c/{conversation.public_id}/details/").content.decode()
    assert token not in again
    assert "0 of 5 uses" in again
    assert "by Alice" in again
    link = InviteLink.objects.get()
    assert link.expires_at - link.created_at == 7 * DAY
    gone = client.delete(f"/c/{conversation.public_id}/invite-links/{link.public_id}/")
    assert "0 of 5 uses" not in gone.content.decode()
    assert invitelinks.find(token=token) is None


@pytest.mark.parametrize(
    "form",
    [{"days": "31"}, {"days": "0"}, {"days": "x"}, {"max_uses": "0"}, {"max_uses": "101"}],
)
def test_a_link_has_bounds(
    conversation: Conversation, alice: User, form: dict[str, str], settings: Settings
) -> None:
    assert settings.INVITE_LINK_DAYS == 30
    page = made(signed_in(alice), conversation, **form)
    assert page.status_code == 422
    assert 'id="link-error"' in page.content.decode()
    assert not InviteLink.objects.exists()


def test_there_are_as_many_as_the_setting_says(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.INVITE_LINKS_PER_CONVERSATION = 1
    client = signed_in(alice)
    assert made(client, conversation).status_code == 200
    page = made(client, conversation)
    assert page.status_code == 409
    assert "Withdraw one first." in page.content.decode()
    withdraw(conversation, alice)
    assert made(client, conversation).status_code == 200


def test_with_none_allowed_none_is_offered(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.INVITE_LINKS_PER_CONVERSATION = 0
    client = signed_in(alice)
    page = client.get(f"/c/{conversation.public_id}/details/").content.decode()
    assert 'id="link-form"' not in page
    assert made(client, conversation).status_code == 409


def test_another_conversations_link_is_not_withdrawn_from_here(
    conversation: Conversation, alice: User, bob: User
) -> None:
    other = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=other, user=bob, role=Role.OWNER)
    make(conversation, alice)
    link = InviteLink.objects.get()
    client = signed_in(bob)
    for place in (other, conversation):
        path = f"/c/{place.public_id}/invite-links/{link.public_id}/"
        assert client.delete(path).status_code == 404
    link.refresh_from_db()
    assert link.withdrawn_at is None


# --- Where tokens never show ----------------------------------------------------------------------


def test_the_table_holds_no_token(conversation: Conversation, alice: User) -> None:
    token = make(conversation, alice)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert token not in str(cursor.fetchall())


@pytest.mark.parametrize(
    "line",
    [
        "Broken: /link/join/{}/",
        "Broken: /accounts/login/?next=/link/join/{}/",
        "Broken: /accounts/login/?next=%2Flink%2Fjoin%2F{}%2F",
    ],
)
def test_no_line_of_the_log_holds_it(line: str) -> None:
    token = "a-Token_of-256-bits"
    assert token not in logs.masked(line.format(token))


def test_the_address_is_neither_cached_nor_sent_on(
    conversation: Conversation, alice: User, bob: User
) -> None:
    client = signed_in(bob)
    for token in (make(conversation, alice), "unknown"):
        page = client.get(address(token))
        assert "no-store" in page["Cache-Control"]
        assert page["Referrer-Policy"] == "strict-origin"


def test_posting_needs_the_csrf_token(conversation: Conversation, alice: User, bob: User) -> None:
    token = make(conversation, alice)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(address(token)).status_code == 403
    assert role_of(bob, conversation) is None
