"""The one door: from a person and an id that came from outside to a row, or 404.

What a person may not see does not exist for them, so nothing here ever answers 403.
"""

from typing import Any, Literal

from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.http import Http404, HttpRequest
from django.utils import timezone

from conversations.models import Conversation, Generation, Message, Role, User
from conversations.sessions import SessionStore

Right = Literal["read", "write", "own"]

ROLES: dict[Right, tuple[Role, ...]] = {
    "read": (Role.OWNER, Role.EDITOR, Role.VIEWER),
    "write": (Role.OWNER, Role.EDITOR),
    "own": (Role.OWNER,),
}


def conversation(
    user: User | AnonymousUser, public_id: str, *, to: Right, deleted: bool = False
) -> Conversation:
    """The conversation, if the person takes part in it with a role that allows it.

    `deleted` looks among those that were deleted instead, for undo.
    """
    row = Conversation.objects.filter(
        public_id=_possible(public_id), deleted_at__isnull=not deleted, **_takes_part(user, to)
    ).first()
    if row is None:
        raise Http404
    return row


def message(user: User | AnonymousUser, public_id: str, *, to: Right) -> Message:
    row = (
        Message.objects.for_thread()
        .select_related("conversation", "parent")
        .filter(
            public_id=_possible(public_id),
            deleted_at=None,
            conversation__deleted_at=None,
            **_takes_part(user, to, "conversation__"),
        )
        .first()
    )
    if row is None:
        raise Http404
    return row


def generation(user: User | AnonymousUser, public_id: str, *, to: Right) -> Generation:
    row = (
        Generation.objects.select_related("conversation")
        .filter(
            public_id=_possible(public_id),
            conversation__deleted_at=None,
            **_takes_part(user, to, "conversation__"),
        )
        .first()
    )
    if row is None:
        raise Http404
    return row


def reviewed_conversation(user: User | AnonymousUser, public_id: str) -> Conversation:
    """Any conversation, deleted ones included, for a person with the review right."""
    if not (isinstance(user, User) and user.may_review):
        raise Http404
    row = Conversation.objects.filter(public_id=_possible(public_id)).first()
    if row is None:
        raise Http404
    return row


class _Looking(SessionStore):
    """After SECRET_KEY has changed, Django gives a session another name where it is used next. No
    socket can tell its browser, who would be signed out; the next page does it."""

    @property
    def key_salt(self) -> str:
        """Django's own is the name of the class."""
        return SessionStore().key_salt

    def cycle_key(self) -> None:
        """Not here."""


def person_of_session(session_key: str | None) -> User | None:
    """Who is signed in with this session now: the same rules as for a page, read afresh."""
    if not session_key:
        return None
    request = HttpRequest()
    request.session = _Looking(session_key)
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None


def session(session_key: str) -> tuple[User, float] | None:
    """Who is signed in with it now, and the seconds until it ends by itself."""
    user = person_of_session(session_key)
    key = SessionStore(session_key).session_key
    until = Session.objects.filter(pk=key).values_list("expire_date", flat=True).first()
    return (user, (until - timezone.now()).total_seconds()) if user and until else None


def _possible(public_id: str) -> str:
    """PostgreSQL fails where it is asked for a text with NUL, which no id of ours holds."""
    if "\0" in public_id:
        raise Http404
    return public_id


def _takes_part(user: User | AnonymousUser, to: Right, of: str = "") -> dict[str, Any]:
    """Conditions on one and the same participant. A join, since a subquery would collect all the
    conversations of the person for each page."""
    if not user.is_authenticated or not user.is_active:
        raise Http404
    return {f"{of}participants__user": user, f"{of}participants__role__in": ROLES[to]}
