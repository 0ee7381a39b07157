"""A conversation's history, written by the actions that change it, inside their transactions."""

from typing import Any

from conversations.models import Change, Conversation, User, What


def note(
    conversation: Conversation,
    actor: User,
    what: What,
    *,
    person: User | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """`before` and `after` are JSON values and may be words of people."""
    Change.objects.create(
        conversation=conversation,
        actor=actor,
        what=what,
        person=person,
        before=before,
        after=after,
    )
