"""The one door: from a person and an id that came from outside to a row, or 404.

What a person may not see does not exist for them, so nothing here ever answers 403.
"""

import hmac
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest
from django.utils import timezone

from conversations.models import (
    KEY_PREFIX_CHARACTERS,
    WRITING,
    Audience,
    Conversation,
    Generation,
    InviteLink,
    Key,
    Label,
    Message,
    Offer,
    Participant,
    QueuedTurn,
    Role,
    Share,
    Team,
    User,
)
from conversations.sessions import SessionStore

Right = Literal["read", "write", "own"]

ROLES: dict[Right, tuple[Role, ...]] = {
    "read": (Role.OWNER, Role.EDITOR, Role.VIEWER),
    "write": WRITING,
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


def may(user: User, conversation: Conversation, *, to: Right) -> bool:
    """Whether the person may still do this there, read afresh: asked by actions that hold the lock
    of a conversation which somebody had access to a moment ago."""
    part = Participant.objects.filter(user=user, user__is_active=True, role__in=ROLES[to])
    return part.filter(conversation=conversation.pk, conversation__deleted_at=None).exists()


def origin(user: User | AnonymousUser, fork: Conversation) -> Conversation | None:
    """What this fork branched off from, where the person may read that as well; with their
    `reader_role`."""
    if fork.forked_from_id is None or not isinstance(user, User) or not user.is_active:
        return None
    return Conversation.objects.shared_with(user).filter(pk=fork.forked_from_id).first()


def offer(
    user: User | AnonymousUser, public_id: str, *, to: Literal["read", "decide", "withdraw"]
) -> Offer:
    """A branch that is offered to a conversation in which the person takes part. Whoever may write
    there decides about it, whoever made it may withdraw it. It opens no door to the rest of the
    fork."""
    rows = Offer.objects.filter(
        public_id=_possible(public_id),
        conversation__deleted_at=None,
        fork__deleted_at=None,
        **_takes_part(user, "write" if to == "decide" else "read", "conversation__"),
    )
    if to == "withdraw":
        rows = rows.filter(offered_by=user.pk)
    row = rows.select_related("conversation", "fork", "offered_by", "decided_by").first()
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


def queued_turn(
    user: User | AnonymousUser, public_id: str, *, to: Literal["edit", "withdraw", "send", "move"]
) -> QueuedTurn:
    """Its author may edit it and send it now, where they may still write, and withdraw it; an owner
    may do all but edit it."""
    owns = Q(conversation__participants__role=Role.OWNER)
    writes = Q(author=user.pk, conversation__participants__role__in=WRITING)
    may = {
        "edit": writes,
        "withdraw": Q(author=user.pk) | owns,
        "send": writes | owns,
        "move": owns,
    }
    row = (
        QueuedTurn.objects.select_related("conversation", "author")
        .filter(
            may[to],
            public_id=_possible(public_id),
            conversation__deleted_at=None,
            **_takes_part(user, "read", "conversation__"),
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


# --- Who takes part, and who might ---------------------------------------------------------------


def participant(user: User | AnonymousUser, public_id: str, person: str) -> Participant:
    """Somebody in a conversation that the user owns, by their own public id."""
    row = conversation(user, public_id, to="own")
    found = row.participants.listed().filter(user__public_id=_possible(person)).first()
    if found is None:
        raise Http404
    found.conversation = row
    return found


def invite_link(user: User | AnonymousUser, public_id: str, link: str) -> InviteLink:
    """Of a conversation that the user owns; withdrawn ones and such that ended included."""
    row = conversation(user, public_id, to="own")
    found = row.invite_links.filter(public_id=_possible(link)).first()
    if found is None:
        raise Http404
    found.conversation = row
    return found


def share(user: User | AnonymousUser, public_id: str, share: str) -> Share:
    """Of a conversation that the user owns; revoked ones and such that ended included."""
    row = conversation(user, public_id, to="own")
    found = row.shares.filter(public_id=_possible(share)).first()
    if found is None:
        raise Http404
    found.conversation = row
    return found


def own_share(user: User, share: str) -> Share:
    """One that the user made, of a conversation that they own."""
    found = shares_of(user).filter(public_id=_possible(share)).first()
    if found is None:
        raise Http404
    return found


def shares_of(user: User) -> QuerySet[Share]:
    """The open ones that the user made, newest first."""
    mine = Share.objects.open().filter(created_by=user)
    return mine.select_related("conversation").order_by("-pk")


def shared(user: User | AnonymousUser, public_id: str) -> Share:
    """What somebody shared with anyone who is signed in."""
    if not user.is_authenticated or not user.is_active:
        raise Http404
    return _shared(audience=Audience.PEOPLE, public_id=_possible(public_id))


def shared_by_link(token: str) -> Share:
    """What whoever has this secret may read."""
    return _shared(audience=Audience.LINK, token_hash=sha256(token.encode()).hexdigest())


def _shared(**which: str) -> Share:
    rows = Share.objects.open().select_related("conversation", "created_by")
    row = rows.filter(**which).first()
    if row is None:
        raise Http404
    return row


def people_by_name(text: str) -> QuerySet[User]:
    """Who may be invited, by a part of their name or mail address; those that begin so first.
    Nobody where the operator keeps people from finding each other."""
    if not settings.PEOPLE_FIND_EACH_OTHER:
        return User.objects.none()
    begins = Q(name__istartswith=text) | Q(email__istartswith=text)
    found = _active().filter(begins | Q(name__icontains=text) | Q(email__icontains=text))
    first = Case(When(begins, then=Value(0)), default=Value(1))
    return found.order_by(first, Lower("name"), "email")


def person_by_id(public_id: str) -> User | None:
    """One of those whom `people_by_name` finds."""
    if not settings.PEOPLE_FIND_EACH_OTHER:
        return None
    return _active().filter(public_id=public_id).first()


def person_by_email(email: str) -> User | None:
    return _active().filter(email__iexact=email).first()


def teams_known_to(user: User) -> QuerySet[Team]:
    """All of them; where people do not find each other, one's own."""
    teams = Team.objects.all() if settings.PEOPLE_FIND_EACH_OTHER else user.teams.all()
    return teams.order_by(Lower("name"))


def marked_as_in(people: QuerySet[User], conversation: Conversation) -> QuerySet[User]:
    """Adds `takes_part`."""
    part = Participant.objects.filter(conversation=conversation, user=OuterRef("pk"))
    return people.annotate(takes_part=Exists(part))


def _active() -> QuerySet[User]:
    return User.objects.filter(is_active=True)


# --- Sessions ------------------------------------------------------------------------------------


class _Looking(SessionStore):
    """After SECRET_KEY has changed, Django gives a session another name where it is used next. No
    socket can tell its browser, who would be signed out; the next page does it."""

    @property
    def key_salt(self) -> str:
        """Django's own is the name of the class."""
        return SessionStore().key_salt

    def cycle_key(self) -> None:
        """Not here."""


# --- Credentials --------------------------------------------------------------------------------

Credential = Literal["session", "key"]
# Anything else is no key of ours, and costs no query.
KEY = re.compile(r"lt_[A-Za-z0-9]{53}")


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whom a credential lets in, and until when it does so at most."""

    user: User
    until: datetime | None
    key: Key | None = None


def authorise(credential: Credential, secret: str | None) -> Admitted | None:
    """Whom it lets in now: pages and sockets by a session, programs by a key. Read afresh."""
    admitted = _READERS[credential](secret) if secret else None
    if admitted is None or not admitted.user.is_active:
        return None
    if admitted.until is not None and admitted.until <= timezone.now():
        return None
    return admitted


def _by_session(session_key: str) -> Admitted | None:
    request = HttpRequest()
    request.session = _Looking(session_key)
    user = get_user(request)
    key = SessionStore(session_key).session_key
    until = Session.objects.filter(pk=key).values_list("expire_date", flat=True).first()
    return Admitted(user, until) if isinstance(user, User) and until else None


def _by_key(token: str) -> Admitted | None:
    if not KEY.fullmatch(token):
        return None
    prefix = token[:KEY_PREFIX_CHARACTERS]
    key = Key.objects.kept().select_related("user").filter(prefix=prefix).first()
    if key is None or not hmac.compare_digest(key.key_hash, hashed(token)):
        return None
    return Admitted(key.user, key.expires_at, key)


_READERS: dict[Credential, Callable[[str], Admitted | None]] = {
    "session": _by_session,
    "key": _by_key,
}


def good_keys(ids: Collection[int]) -> set[int]:
    """Those of these keys that still let somebody in."""
    unended = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    rows = Key.objects.kept().filter(unended, pk__in=ids, user__is_active=True)
    return set(rows.values_list("pk", flat=True))


def hashed(token: str) -> str:
    """What is kept of a key. It holds 256 random bits, so a quick hash is as good as a slow one."""
    return sha256(token.encode()).hexdigest()


def person_of_session(session_key: str | None) -> User | None:
    """Who is signed in with this session now: the same rules as for a page, read afresh."""
    admitted = authorise("session", session_key)
    return admitted.user if admitted else None


def session(session_key: str) -> tuple[User, float] | None:
    """Who is signed in with it now, and the seconds until it ends by itself."""
    admitted = authorise("session", session_key)
    if admitted is None or admitted.until is None:
        return None
    return admitted.user, (admitted.until - timezone.now()).total_seconds()


def key(user: User | AnonymousUser, public_id: str) -> Key:
    """A key of the person's own that is not revoked."""
    if not user.is_authenticated or not user.is_active:
        raise Http404
    row = Key.objects.kept().filter(public_id=_possible(public_id), user=user).first()
    if row is None:
        raise Http404
    return row


def label(user: User | AnonymousUser, public_id: str) -> Label:
    """One of the person's own."""
    if not user.is_authenticated or not user.is_active:
        raise Http404
    row = Label.objects.filter(public_id=_possible(public_id), owner=user).first()
    if row is None:
        raise Http404
    return row


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
