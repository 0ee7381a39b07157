"""One-time links: made, voided, used up. The tokens themselves are kept nowhere."""

import secrets
from datetime import timedelta
from hashlib import sha256

from django.utils import timezone

from conversations import audit
from conversations.models import OneTimeLink, Purpose, User


def make(*, user: User, purpose: Purpose, actor: User | None, lifetime: timedelta) -> str:
    """A token of 256 bits; the person's older links for the same purpose stop working."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with audit.action(actor, "link.made", user, purpose=purpose):
        void(user=user, purpose=purpose)
        OneTimeLink.objects.create(
            token_hash=_digest(token),
            user=user,
            purpose=purpose,
            created_by=actor,
            created_at=now,
            expires_at=now + lifetime,
        )
    return token


def void(*, user: User, purpose: Purpose | None = None) -> None:
    """Inside the caller's transaction."""
    links = OneTimeLink.objects.filter(user=user, used_at=None, voided_at=None)
    if purpose:
        links = links.filter(purpose=purpose)
    links.update(voided_at=timezone.now())


def find(*, token: str) -> OneTimeLink | None:
    """The link, if it could be used now. Looking uses nothing up."""
    link = OneTimeLink.objects.select_related("user").filter(token_hash=_digest(token)).first()
    if link is None or link.used_at or link.voided_at or link.expires_at <= timezone.now():
        return None
    return link if _is_wanted(link) else None


def use(*, token: str) -> OneTimeLink | None:
    """Uses the link up, inside the caller's transaction; None when somebody was faster."""
    now = timezone.now()
    # Conditions on the row itself alone: a subquery would not be read again after waiting for
    # a lock, and two callers could win.
    won = OneTimeLink.objects.filter(
        token_hash=_digest(token), used_at=None, voided_at=None, expires_at__gt=now
    ).update(used_at=now)
    if won != 1:
        return None
    link = OneTimeLink.objects.select_related("user").get(token_hash=_digest(token))
    if not _is_wanted(link):
        return None
    void(user=link.user)
    audit.record(link.user, "link.used", link.user, purpose=link.purpose)
    return link


def _is_wanted(link: OneTimeLink) -> bool:
    """An invitation is worth nothing once its person has been here, however they came: whoever
    passed it on may have kept it. An administrator's first link, once anybody has."""
    if link.purpose == Purpose.INVITATION:
        return link.user.last_login is None
    if link.purpose == Purpose.FIRST:
        return not User.objects.filter(last_login__isnull=False).exists()
    return True


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
