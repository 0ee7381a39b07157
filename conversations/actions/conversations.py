"""Starting, naming, setting up, deleting and restoring conversations."""

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations import audit, events, fragments
from conversations.actions.refusals import TurnRunning
from conversations.models import (
    Conversation,
    Generation,
    Message,
    Participant,
    RightsChange,
    User,
)


def changed(conversation: Conversation, *, active: bool = False) -> int:
    """Counts a change that pages show, inside the caller's transaction; the new revision."""
    fields: dict[str, Any] = {"revision": F("revision") + 1}
    if active:
        fields["active_at"] = timezone.now()
    Conversation.objects.filter(pk=conversation.pk).update(**fields)
    conversation.refresh_from_db(fields=["revision", "active_at"])
    return conversation.revision


def tell_rows(conversation: Conversation, *, moves: bool) -> None:
    """On commit, every participant's sidebar gets the conversation's row."""

    def tell() -> None:
        fresh = Conversation.objects.with_writing().get(pk=conversation.pk)
        if fresh.deleted_at:  # an answer that ends unseen brings no row back
            return
        html = fragments.row(fresh)
        for user_id in _participant_ids(conversation):
            events.tell(events.RowChanged(user_id, conversation.public_id, html, moves))

    transaction.on_commit(tell, robust=True)


def tell_changed(conversation: Conversation, revision: int) -> None:
    events.on_commit(events.ThreadChanged(conversation.public_id, revision))


def rename(*, conversation: Conversation, actor: User, title: str) -> None:
    with audit.action(actor, "conversation.renamed", conversation):
        conversation.title = title
        conversation.is_named = True
        conversation.save(update_fields=["title", "is_named"])
        tell_changed(conversation, changed(conversation))
        tell_rows(conversation, moves=False)


def configure(
    *,
    conversation: Conversation,
    actor: User,
    model: str,
    parameters: dict[str, Any],
    system_prompt: str,
) -> None:
    """Sets what the next turns are asked with."""
    told = {name: value for name, value in parameters.items() if name != "stop"}  # people's words
    with audit.action(actor, "conversation.configured", conversation, model=model, parameters=told):
        conversation.model = model
        conversation.parameters = parameters
        conversation.system_prompt = system_prompt
        conversation.save(update_fields=["model", "parameters", "system_prompt"])
        tell_changed(conversation, changed(conversation))


def choose_head(*, conversation: Conversation, actor: User, message: Message) -> None:
    """Makes the branch through this message, down to its newest leaf, the one that all see.

    Raises TurnRunning: an answer that is being written must not leave everybody's sight.
    """
    with audit.action(actor, "conversation.branch_chosen", conversation, through=message.public_id):
        # Locked as for sending: a question put under the leaf meanwhile would vanish from view.
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        if Generation.objects.open().filter(conversation=conversation).exists():
            raise TurnRunning
        leaf = Message.objects.newest_leaf_below(message.pk)
        conversation.head = leaf
        conversation.save(update_fields=["head"])
        tell_changed(conversation, changed(conversation))


def delete(*, conversation: Conversation, actor: User) -> None:
    """Hides it from everybody; an answer that is being written is finished unseen."""
    with audit.action(actor, "conversation.deleted", conversation):
        conversation.deleted_at = timezone.now()
        conversation.save(update_fields=["deleted_at"])
        changed(conversation)
        for participant in conversation.participants.select_related("user"):
            RightsChange.objects.create(user=participant.user, conversation=conversation)
            gone = events.ConversationGone(participant.user.public_id, conversation.public_id)
            events.on_commit(gone)


def restore(*, conversation: Conversation, actor: User) -> None:
    with audit.action(actor, "conversation.restored", conversation):
        conversation.deleted_at = None
        conversation.save(update_fields=["deleted_at"])
        changed(conversation)
        tell_rows(conversation, moves=False)


def _participant_ids(conversation: Conversation) -> list[str]:
    rows = Participant.objects.filter(conversation=conversation)
    return list(rows.values_list("user__public_id", flat=True))
