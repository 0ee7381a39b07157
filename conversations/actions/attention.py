"""How far people have read, and what they want to hear of."""

from collections import defaultdict
from collections.abc import Mapping

from django.db import transaction

from conversations import audit
from conversations.actions import conversations
from conversations.models import Conversation, Participant, User


def read(*, up_to: Mapping[tuple[str, str], int]) -> None:
    """{(person, conversation): revision}, by public ids: what their pages have shown them. Those
    who take part no more are passed over, and so is a revision that is not newer, or that the
    conversation has not reached. No matter for the audit trail: it would hold little else."""
    together: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (person, name), revision in up_to.items():
        together[name][revision].append(person)
    there = Conversation.objects.filter(public_id__in=together, deleted_at=None)
    for conversation in there.order_by("pk"):
        for revision, people in together[conversation.public_id].items():
            if revision <= conversation.revision:
                with transaction.atomic():  # each: of two groups, others may lock the second first
                    _have_read(conversation, revision, people)


def _have_read(conversation: Conversation, revision: int, people: list[str]) -> None:
    """Most say the same of one conversation: they are one statement, whatever their number."""
    behind = Participant.objects.filter(
        conversation=conversation, user__public_id__in=people, read_revision__lt=revision
    )
    # In one order, or two processes that put away the same people would wait for each other.
    rows = list(behind.select_for_update(of=("self",)).order_by("pk").values("pk", "user"))
    if not rows:
        return
    Participant.objects.filter(pk__in=[row["pk"] for row in rows]).update(read_revision=revision)
    conversations.tell_rows(conversation, moves=False, to=[row["user"] for row in rows])


def mute(*, conversation: Conversation, person: User, is_muted: bool) -> None:
    """For this person alone: nothing of it is counted in the window's title or told aloud."""
    verb = "conversation.muted" if is_muted else "conversation.unmuted"
    with audit.action(person, verb, conversation):
        Participant.objects.filter(conversation=conversation, user=person).update(is_muted=is_muted)
        conversations.tell_rows(conversation, moves=False, to=[person.pk])
