"""Invite links: made, withdrawn, and joined by. The tokens themselves are kept nowhere.

Refused
├── TooManyLinks     the conversation has as many open links as it may
├── LinkGone         used up, withdrawn, too old, or made by somebody who may invite no longer
├── RoleWasChanged   an owner took the person out, or gave them another role, after it was made
└── what participants raise
"""

import secrets
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations import audit
from conversations.actions import conversations, history, participants
from conversations.actions.participants import TakesPart
from conversations.actions.refusals import Refused
from conversations.models import Conversation, InviteLink, Participant, Role, User, What


class TooManyLinks(Refused):
    def __init__(self) -> None:
        super().__init__(_("There are as many links as there may be. Withdraw one first."))


class LinkGone(Refused):
    def __init__(self) -> None:
        super().__init__(_("This link no longer works."))


class RoleWasChanged(Refused):
    def __init__(self) -> None:
        super().__init__(
            _("An owner has changed your part in this conversation. Ask them to invite you again.")
        )


def make(
    *,
    conversation: Conversation,
    actor: User,
    role: Role,
    lifetime: timedelta,
    max_uses: int | None,
) -> str:
    """A token of 256 bits. Raises NotAnOwner or TooManyLinks."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with audit.action(actor, "invite_link.made", conversation, role=role):
        conversations.locked_to_own(conversation, actor)
        if conversation.invite_links.open().count() >= settings.INVITE_LINKS_PER_CONVERSATION:
            raise TooManyLinks
        InviteLink.objects.create(
            token_hash=_digest(token),
            conversation=conversation,
            role=role,
            created_by=actor,
            created_at=now,
            expires_at=now + lifetime,
            max_uses=max_uses,
        )
    return token


def withdraw(*, link: InviteLink, actor: User) -> None:
    """Withdrawing twice changes nothing. Raises NotAnOwner."""
    with audit.action(actor, "invite_link.withdrawn", link.conversation, link=link.public_id):
        conversations.locked_to_own(link.conversation, actor)
        InviteLink.objects.filter(pk=link.pk, withdrawn_at=None).update(withdrawn_at=timezone.now())


def find(*, token: str) -> InviteLink | None:
    """The link, if it lets people in now. Looking uses nothing up."""
    links = InviteLink.objects.open().select_related("conversation", "created_by")
    return links.filter(token_hash=_digest(token)).first()


def join(*, token: str, person: User) -> Conversation:
    """What the person takes part in now. Who is in already stays as they are and uses nothing up.
    Raises LinkGone, Full or RoleWasChanged."""
    link = find(token=token)
    if link is None:
        raise LinkGone
    conversation = link.conversation
    details = {"link": link.public_id, "role": link.role}
    if not conversation.participants.filter(user=person).exists():
        with (
            suppress(TakesPart),
            audit.action(person, "participant.joined", conversation, **details),
        ):
            conversations.locked(conversation)
            _use(link, token, person)
            participants.tell(conversation)
    return conversation


def _use(link: InviteLink, token: str, person: User) -> None:
    """Under the conversation's lock, so that each use is counted once."""
    conversation = link.conversation
    if conversation.participants.filter(user=person).exists():
        raise TakesPart(person)
    if find(token=token) is None:
        raise LinkGone
    _check_still_welcome(link, person)
    participants.check_room(conversation, 1)
    InviteLink.objects.filter(pk=link.pk).update(uses=F("uses") + 1)
    Participant.objects.create(conversation=conversation, user=person, role=link.role)
    history.note(conversation, person, What.JOINED, person=person, after={"role": link.role})


def _check_still_welcome(link: InviteLink, person: User) -> None:
    """Leaving and joining again is no way back to a role that an owner took away."""
    decided = link.conversation.changes.filter(
        what__in=(What.REMOVED, What.ROLE), person=person, at__gt=link.created_at
    )
    if decided.exclude(actor=person).exists():
        raise RoleWasChanged


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
