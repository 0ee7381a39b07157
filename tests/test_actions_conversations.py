"""Naming, setting up, choosing a branch, deleting and restoring."""

import pytest

from conversations import actions
from conversations.actions.refusals import TurnRunning
from conversations.models import AuditEntry, Conversation, Generation, Message, State, User
from tests.relays import send

pytestmark = pytest.mark.django_db


def test_renaming_sets_the_title_and_counts_as_a_change(
    conversation: Conversation, alice: User
) -> None:
    before = conversation.revision
    actions.conversations.rename(conversation=conversation, actor=alice, title="Better")
    row = Conversation.objects.get()
    assert (row.title, row.is_named, row.revision) == ("Better", True, before + 1)
    assert AuditEntry.objects.get().verb == "conversation.renamed"


def test_renaming_does_not_move_it_to_the_top(conversation: Conversation, alice: User) -> None:
    before = conversation.active_at
    actions.conversations.rename(conversation=conversation, actor=alice, title="Better")
    assert Conversation.objects.get().active_at == before


def test_deleting_hides_and_restoring_brings_back_everything(
    sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    actions.conversations.delete(conversation=conversation, actor=alice)
    assert not Conversation.objects.shared_with(alice).exists()
    actions.conversations.restore(conversation=conversation, actor=alice)
    assert Conversation.objects.shared_with(alice).get() == conversation
    assert Message.objects.count() == 2


def test_every_change_leaves_an_audit_entry_without_text(
    conversation: Conversation, alice: User
) -> None:
    actions.conversations.rename(conversation=conversation, actor=alice, title="Very secret")
    actions.conversations.configure(
        conversation=conversation,
        actor=alice,
        model="indigo-owl-4",
        parameters={"temperature": 1.5},
        system_prompt="Very secret too",
    )
    send(conversation, alice, "Very secret as well")
    actions.conversations.delete(conversation=conversation, actor=alice)
    actions.conversations.restore(conversation=conversation, actor=alice)
    entries = list(AuditEntry.objects.order_by("pk").values())
    assert [entry["verb"] for entry in entries] == [
        "conversation.renamed",
        "conversation.configured",
        "message.sent",
        "conversation.deleted",
        "conversation.restored",
    ]
    assert {entry["object_id"] for entry in entries} == {conversation.public_id}
    assert "secret" not in str(entries)


def test_choosing_a_message_shows_its_newest_branch(
    sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    def ended() -> None:
        Generation.objects.update(state=State.DONE, finish_reason="stop")

    ended()
    first = sent.answer
    second = actions.generations.retry(answer=first, actor=alice)
    ended()
    conversation.refresh_from_db()
    assert conversation.head == second
    actions.conversations.choose_head(conversation=conversation, actor=alice, message=first)
    send(conversation, alice, "Further")
    ended()
    leaf = Conversation.objects.get().head
    actions.conversations.choose_head(conversation=conversation, actor=alice, message=second)
    assert Conversation.objects.get().head == second
    actions.conversations.choose_head(conversation=conversation, actor=alice, message=first)
    assert Conversation.objects.get().head == leaf


def test_only_the_chosen_branch_is_sent_upstream(
    sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    Generation.objects.update(state=State.DONE, finish_reason="stop")
    second = actions.generations.retry(answer=sent.answer, actor=alice)
    Generation.objects.update(state=State.DONE, finish_reason="stop")
    conversation.refresh_from_db()
    generation = send(conversation, alice, "Further")
    names = generation.request["messages"]
    assert names[:2] == [sent.question.public_id, second.public_id]
    assert sent.answer.public_id not in names


def test_no_branch_is_chosen_away_from_an_answer_that_is_being_written(
    sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    conversation.refresh_from_db()
    with pytest.raises(TurnRunning):
        actions.conversations.choose_head(
            conversation=conversation, actor=alice, message=sent.question
        )
    assert Conversation.objects.get().head == sent.answer
