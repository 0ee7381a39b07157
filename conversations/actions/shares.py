"""Shares: a conversation to be read by people who take no part in it.

Refused
├── LinksNotAllowed  the operator allows no secret addresses
├── TooManyShares    the conversation has as many open shares as it may
└── NothingToShare   nothing was said yet
"""

import secrets
from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations import audit
from conversations.actions import conversations, history
from conversations.actions.refusals import Refused
from conversations.models import Audience, Conversation, Message, Share, User, What


class LinksNotAllowed(Refused):
    def __init__(self) -> None:
        super().__init__(_("In this portal nothing is shared with people who do not sign in."))


class TooManyShares(Refused):
    def __init__(self) -> None:
        super().__init__(_("There are as many shares as there may be. Revoke one first."))


class NothingToShare(Refused):
    def __init__(self) -> None:
        super().__init__(_("There is nothing to share yet."))


def make(
    *,
    conversation: Conversation,
    actor: User,
    audience: Audience,
    is_live: bool,
    lifetime: timedelta,
    with_notes: bool = False,
    with_branches: bool = False,
) -> tuple[Share, str]:
    """The share, and for a secret address the token of 256 bits, which is kept nowhere. Raises
    NotAnOwner, LinksNotAllowed, TooManyShares or NothingToShare."""
    if audience == Audience.LINK and not settings.SHARE_LINKS:
        raise LinksNotAllowed
    token = secrets.token_urlsafe(32) if audience == Audience.LINK else ""
    now = timezone.now()
    what = {"audience": audience, "live": is_live}
    more = {"notes": with_notes, "branches": with_branches}
    what |= {name: True for name, is_chosen in more.items() if is_chosen}
    with audit.action(actor, "share.made", conversation, **what):
        row = conversations.locked_to_own(conversation, actor)
        if conversation.shares.open().count() >= settings.SHARES_PER_CONVERSATION:
            raise TooManyShares
        share = Share.objects.create(
            conversation=conversation,
            audience=audience,
            token_hash=sha256(token.encode()).hexdigest() if token else None,
            is_live=is_live,
            title="" if is_live else row.title,
            with_notes=with_notes,
            with_branches=with_branches,
            head=None if is_live else _end_of_snapshot(conversation),
            created_by=actor,
            created_at=now,
            expires_at=now + lifetime,
        )
        history.note(conversation, actor, What.SHARED, after=what)
        conversations.tell_changed(conversation, conversations.changed(conversation))
    return share, token


def revoke(*, share: Share, actor: User) -> None:
    """Revoking twice changes nothing. Raises NotAnOwner."""
    conversation = share.conversation
    with audit.action(actor, "share.revoked", conversation, share=share.public_id):
        conversations.locked_to_own(conversation, actor)
        open_share = Share.objects.filter(pk=share.pk, revoked_at=None)
        if open_share.update(revoked_at=timezone.now()):
            what = {"audience": share.audience, "live": share.is_live}
            history.note(conversation, actor, What.REVOKED, before=what)
            conversations.tell_changed(conversation, conversations.changed(conversation))


def _end_of_snapshot(conversation: Conversation) -> Message:
    """The head, or what comes before an answer that is still being written."""
    row = Conversation.objects.select_related("head").get(pk=conversation.pk)  # read anew: locked
    if row.head is None:
        raise NothingToShare
    branch = Message.objects.branch_to(row.head_id)
    grows = branch.filter(choices__generation__settled_at=None, choices__isnull=False)
    unsettled = grows.select_related("parent").first()
    return row.head if unsettled is None else unsettled.parent or row.head
