"""Deleting a person: what goes with the account, and what others keep."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.test import Client

from conversations import access, actions
from conversations.actions import erasure, keys, people, teams
from conversations.actions.messages import Sent
from conversations.actions.people import IsErased, NotAnOperator, NotForOneself
from conversations.models import (
    AuditEntry,
    Conversation,
    Message,
    OfferState,
    OneTimeLink,
    Participant,
    Purpose,
    QueuedTurn,
    RightsChange,
    Role,
    Team,
    TeamMember,
    User,
)
from tests.browser.rows import add_turn
from tests.conftest import person
from tests.queues import queue

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/conversations/user/"


def roles(conversation: Conversation) -> dict[str, str]:
    rows = conversation.participants.select_related("user")
    return {row.user.display_name: row.role for row in rows}


def test_all_that_the_account_is_and_may_goes(alice: User, operator: User) -> None:
    alice_elsewhere = Client()
    alice_elsewhere.force_login(alice)
    team = Team.objects.create(name="Research")
    teams.set_member(member=TeamMember(team=team, user=alice), actor=operator)
    key, token = keys.make(user=alice, actor=alice, name="nightly")
    people.make_link(user=alice, purpose=Purpose.SIGN_IN, actor=None, lifetime=timedelta(hours=1))
    people.grant_review(user=alice, actor=operator, reason="Audit")
    EmailAddress.objects.create(user=alice, email=alice.email)
    people.set_operator(user=alice, actor=operator, is_operator=True)

    erasure.erase(user=alice, actor=operator)

    alice.refresh_from_db()
    assert alice.display_name == "Deleted person"
    assert alice.email == f"{alice.public_id}@deleted.invalid"
    rights = [alice.is_active, alice.is_staff, alice.may_review, people.is_operator(alice)]
    assert not any(rights)
    assert not alice.has_usable_password()
    assert not alice.teams.exists()
    assert not EmailAddress.objects.filter(user=alice).exists()
    assert not OneTimeLink.objects.filter(user=alice, voided_at=None).exists()
    assert access.authorise("key", token) is None
    key.refresh_from_db()
    assert key.revoked_by == operator
    assert RightsChange.objects.filter(user=alice, conversation=None, session_hash="").exists()
    assert alice_elsewhere.get("/account/").status_code == 302
    told = AuditEntry.objects.get(verb="person.erased")
    assert (told.actor, told.object_id) == (operator, alice.public_id)
    with pytest.raises(IsErased):
        people.reactivate(user=alice, actor=operator)


def test_the_address_may_come_again_as_somebody_else(alice: User, operator: User) -> None:
    address = alice.email
    erasure.erase(user=alice, actor=operator)
    again = people.add(email=address, actor=operator)
    assert again.pk != alice.pk


def test_what_was_said_with_others_stays_and_somebody_else_owns_it(
    shared: Conversation, sent: Sent, alice: User, bob: User, operator: User
) -> None:
    Participant.objects.create(conversation=shared, user=person("Vera"), role=Role.VIEWER)
    queue(shared, alice, "And then?")
    queue(shared, bob, "What of it?")
    erasure.erase(user=alice, actor=operator)
    assert roles(shared) == {"Bob": "owner", "Vera": "viewer"}
    sent.question.refresh_from_db()
    assert sent.question.author == alice
    assert [turn.text for turn in QueuedTurn.objects.all()] == ["What of it?"]
    browser = Client()
    browser.force_login(bob)
    page = browser.get(f"/c/{shared.public_id}/").content.decode()
    assert "Why is it slow?" in page
    assert "Deleted person" in page
    assert "alice" not in page.lower()


def test_where_another_owns_it_too_nobody_is_made_an_owner(
    shared: Conversation, alice: User, bob: User, operator: User
) -> None:
    Participant.objects.create(conversation=shared, user=person("Otto"), role=Role.OWNER)
    erasure.erase(user=alice, actor=operator)
    assert roles(shared) == {"Bob": "editor", "Otto": "owner"}


def test_where_nobody_else_is_it_is_deleted(
    conversation: Conversation, sent: Sent, alice: User, operator: User
) -> None:
    suspended = person("Sven", is_active=False)
    Participant.objects.create(conversation=conversation, user=suspended, role=Role.EDITOR)
    erasure.erase(user=alice, actor=operator)
    conversation.refresh_from_db()
    assert conversation.deleted_at is not None
    assert not conversation.participants.filter(user=alice).exists()
    assert Message.objects.filter(conversation=conversation).exists()


def test_whoever_owned_nothing_leaves_everybody_as_they_are(
    conversation: Conversation, alice: User, bob: User, operator: User
) -> None:
    """Also where who owns it is suspended, and comes back some day."""
    for reader in (bob, person("Vera")):
        Participant.objects.create(conversation=conversation, user=reader, role=Role.VIEWER)
    people.suspend(user=alice, actor=operator)
    erasure.erase(user=bob, actor=operator)
    assert roles(conversation) == {"Alice": "owner", "Vera": "viewer"}
    erasure.erase(user=User.objects.get(name="Vera"), actor=operator)
    conversation.refresh_from_db()
    assert conversation.deleted_at is None


def test_what_broke_off_is_gone_on_with(
    shared: Conversation, alice: User, bob: User, operator: User
) -> None:
    """As after the death of the process between two steps."""
    people.suspend(user=bob, actor=operator)
    erasure._leave(shared, bob, operator)
    erasure._leave(shared, bob, operator)  # who is out already
    assert roles(shared) == {"Alice": "owner"}
    erasure.erase(user=bob, actor=operator)
    bob.refresh_from_db()
    assert bob.erased_at is not None


def test_with_them_goes_what_they_offer(
    shared: Conversation, alice: User, bob: User, operator: User
) -> None:
    add_turn(shared, alice, "Why?", "Because.")
    fork = actions.forks.fork(conversation=shared, actor=bob, at=shared.head)
    add_turn(fork, bob, "Really?", "Yes.")
    offer = actions.offers.make(fork=fork, original=shared, actor=bob, text="")
    erasure.erase(user=bob, actor=operator)
    offer.refresh_from_db()
    assert offer.state == OfferState.WITHDRAWN


def test_only_operators_do_it_to_others_and_once(alice: User, bob: User, operator: User) -> None:
    with pytest.raises(NotForOneself):
        erasure.erase(user=operator, actor=operator)
    with pytest.raises(NotAnOperator):
        erasure.erase(user=alice, actor=bob)
    erasure.erase(user=alice, actor=operator)
    before = RightsChange.objects.count()
    erasure.erase(user=alice, actor=operator)
    assert RightsChange.objects.count() == before


def test_nobody_finds_or_invites_them(alice: User, operator: User) -> None:
    erasure.erase(user=alice, actor=operator)
    alice.refresh_from_db()
    assert not access.people_by_name("Deleted").exists()
    assert access.person_by_email(alice.email) is None
    assert access.person_by_id(alice.public_id) is None


def test_in_the_admin_it_is_asked_first(
    conversation: Conversation, alice: User, operator: User, rita: User
) -> None:
    browser, address = Client(), f"{PEOPLE}{alice.pk}/delete/"
    browser.force_login(operator)
    question = browser.get(address).content.decode()
    assert alice.email in question
    assert conversation.title not in question
    assert browser.get(f"{PEOPLE}{operator.pk}/delete/").status_code == 404
    reviewer = Client()
    reviewer.force_login(rita)
    assert reviewer.post(address, {"post": "yes"}).status_code == 404
    assert not User.objects.exclude(erased_at=None).exists()
    assert browser.post(address, {"post": "yes"}).status_code == 302
    assert User.objects.exclude(erased_at=None).get() == alice
    browser.get(PEOPLE)  # says once whom it was
    assert alice.email not in browser.get(PEOPLE).content.decode()
    assert browser.get(f"{PEOPLE}{alice.pk}/change/").status_code == 302
    assert not LogEntry.objects.exists()  # which the admin's first page would show
