"""A conversation's history, written by the actions that change it, inside their transactions."""

from typing import Any

from django.conf import settings

from conversations.models import Change, Conversation, User, What

SETTINGS = (What.TITLE, What.MODEL, What.PROMPT, What.PARAMETERS, What.ANSWERS)


def note(
    conversation: Conversation,
    actor: User,
    what: What,
    *,
    person: User | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """`before` and `after` are JSON values and may be words of people. Of settings the newest
    HISTORY_KEPT are remembered; who took part and as what, always."""
    Change.objects.create(
        conversation=conversation,
        actor=actor,
        what=what,
        person=person,
        before=before,
        after=after,
    )
    if what in SETTINGS:
        _forget_oldest(conversation)


def _forget_oldest(conversation: Conversation) -> None:
    rows = conversation.changes.filter(what__in=SETTINGS)
    newest_first = rows.order_by("-pk").values_list("pk", flat=True)
    over = newest_first[settings.HISTORY_KEPT : settings.HISTORY_KEPT + 1].first()
    if over is not None:
        rows.filter(pk__lte=over).delete()
