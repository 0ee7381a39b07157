"""The audit trail: written with the change, and also when the change fails."""

import pytest
from django.db import OperationalError, transaction

from conversations import audit
from conversations.models import AuditEntry, Conversation, Outcome, User

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_change_and_its_entry_commit_together(conversation: Conversation, alice: User) -> None:
    with audit.action(alice, "conversation.renamed", conversation, length=3):
        Conversation.objects.update(title="New")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label, entry.verb) == (
        alice,
        "alice@example.com",
        "conversation.renamed",
    )
    assert (entry.object_type, entry.object_id) == ("conversation", conversation.public_id)
    assert (entry.outcome, entry.details) == (Outcome.DONE, {"length": 3})


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_entry_outlives_the_change_that_was_rolled_back(
    conversation: Conversation, alice: User, error: type[BaseException]
) -> None:
    def fail() -> None:
        with audit.action(alice, "conversation.renamed", conversation):
            Conversation.objects.update(title="New")
            raise error

    with pytest.raises(error):
        fail()
    assert Conversation.objects.get().title == "Slow export"
    entry = AuditEntry.objects.get()
    assert (entry.outcome, entry.details) == (Outcome.FAILED, {"error": error.__name__})


def test_what_a_database_that_is_away_refused_is_told_by_the_log_alone(
    conversation: Conversation, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry would wait for it as long again, and so would whoever asked."""

    def fail() -> None:
        with audit.action(alice, "conversation.renamed", conversation):
            raise OperationalError("database is locked")

    with pytest.raises(OperationalError):
        fail()
    assert not AuditEntry.objects.exists()
    assert "conversation.renamed failed" in caplog.text


def test_an_entry_outlives_the_person(conversation: Conversation, alice: User) -> None:
    audit.record(alice, "conversation.renamed", conversation)
    alice.delete()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label) == (None, "alice@example.com")


def test_what_nobody_asked_for_is_the_systems(conversation: Conversation) -> None:
    assert audit.record(None, "answer.interrupted", conversation).actor_label == "system"


def test_a_record_inside_a_transaction_stands_or_falls_with_it(alice: User) -> None:
    with transaction.atomic():
        audit.record(alice, "person.named", alice)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()
