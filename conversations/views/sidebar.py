"""The list of conversations, paged by where the last row stood, not by its number."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import Http404

from conversations.models import Conversation, User


def page(user: User, before: str = "") -> dict[str, Any]:
    """`rows`, newest first, and `more`: the cursor of the next page, empty at the end."""
    rows = Conversation.objects.shared_with(user).with_writing().newest_first()
    if before:
        at, number = _parse(before)
        rows = rows.filter(Q(active_at__lt=at) | Q(active_at=at, pk__lt=number))
    size = settings.SIDEBAR_PAGE
    found = list(rows[: size + 1])
    more = ""
    if len(found) > size:
        last = found[size - 1]
        more = f"{last.active_at.isoformat()}~{last.pk}"
    return {"rows": found[:size], "more": more}


def _parse(cursor: str) -> tuple[datetime, int]:
    at, _separator, number = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise Http404
        return moment.astimezone(UTC), int(number)
    except (ValueError, OverflowError):  # at the ends of time another zone's moment may be none
        raise Http404 from None
