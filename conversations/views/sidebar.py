"""The list of conversations, paged by where the last row stood, not by its number."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Lower
from django.http import Http404
from django.utils.http import quote_etag

from conversations import access, fragments
from conversations.models import Conversation, ConversationQuerySet, Label, Role, User


def page(user: User, before: str = "", show: str = "") -> dict[str, Any]:
    """`rows`, newest first; `more`: the cursor of the next page, empty at the end; and `tag`: an
    entity tag (RFC 9110, 8.8.3) over all that the rows show. `show` chooses among them: "mine",
    "shared" by others, or "team-" or "label-" with a public id."""
    rows = _chosen(user, show).with_writing().with_attention().newest_first()
    rows = rows.with_faces(fragments.ROW_FACES + 1)
    if before:
        at, number = _parse(before)
        rows = rows.filter(Q(active_at__lt=at) | Q(active_at=at, pk__lt=number))
    size = settings.SIDEBAR_PAGE
    found = list(rows[: size + 1])
    Label.objects.put_on(found)
    more = ""
    if len(found) > size:
        last = found[size - 1]
        more = f"{last.active_at.isoformat()}~{last.pk}"
    found = found[:size]
    return {"rows": found, "more": more, "show": show, "tag": _tag(show, found, more)}


def frame(user: User) -> dict[str, Any]:
    """The first page, and what one may choose among."""
    return page(user) | {
        "teams": user.teams.order_by(Lower("name")),
        "own_labels": user.labels.listed(),
    }


def _chosen(user: User, show: str) -> ConversationQuerySet:
    kind, _dash, name = show.partition("-")
    match kind:
        case "" if not show:
            return Conversation.objects.shared_with(user)
        case "mine":
            return Conversation.objects.shared_with(user, roles=[Role.OWNER])
        case "shared":
            return Conversation.objects.shared_with(user, roles=[Role.EDITOR, Role.VIEWER])
        case "team" if "\0" not in name:
            return Conversation.objects.shared_with(user).via_team(name)
        case "label":
            return Conversation.objects.shared_with(user).labelled(access.label(user, name))
    raise Http404


def _tag(show: str, rows: list[Conversation], more: str) -> str:
    shown = [
        (
            *(row.public_id, row.title, row.active_at, row.reader_role, row.is_muted, row.unread),
            *(row.is_mentioned, row.is_writing),
            [(label.public_id, label.name, label.colour) for label in row.labels],
            [(person.public_id, person.display_name) for person in row.faces],
        )
        for row in rows
    ]
    return quote_etag(blake2b(repr((show, shown, more)).encode(), digest_size=16).hexdigest())


def _parse(cursor: str) -> tuple[datetime, int]:
    at, _separator, number = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise Http404
        return moment.astimezone(UTC), int(number)
    except (ValueError, OverflowError):  # at the ends of time another zone's moment may be none
        raise Http404 from None
