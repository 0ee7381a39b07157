"""Keys for programs: made, shown once, used, revoked. The keys themselves are kept nowhere.

Refused
├── TooManyKeys      the person has as many as one may have
└── IsSuspended      the person may not sign in
"""

import secrets
import string
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import ngettext

from conversations import access, audit
from conversations.actions.people import IsSuspended
from conversations.actions.refusals import Refused
from conversations.models import KEY_PREFIX_CHARACTERS, Key, User

BEGINNING = "lt_"
ALPHABET = string.ascii_letters + string.digits
PREFIX_LENGTH = KEY_PREFIX_CHARACTERS - len(BEGINNING)  # 59 bits, which nobody has to guess
SECRET_LENGTH = 43  # 62**43: 256 bits
# A row that changes with each call would make calls wait for each other.
USE_IS_NOTED_EVERY = timedelta(minutes=1)


class TooManyKeys(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(
            ngettext(
                "You have %(n)d key, which is as many as one person may have. Revoke one first.",
                "You have %(n)d keys, which is as many as one person may have. Revoke one first.",
                most,
            )
            % {"n": most}
        )


def make(
    *,
    user: User,
    actor: User | None,
    name: str,
    expires_at: datetime | None = None,
    models: Sequence[str] = (),
) -> tuple[Key, str]:
    """The row and the key itself. Raises TooManyKeys or IsSuspended."""
    prefix = BEGINNING + _random(PREFIX_LENGTH)
    token = prefix + _random(SECRET_LENGTH)
    key = Key(
        user=user,
        name=name,
        prefix=prefix,
        key_hash=access.hashed(token),
        allowed_models=list(models),
        expires_at=expires_at,
    )
    with audit.action(actor, "key.made", key, person=user.public_id, prefix=prefix):
        # The row of the person is held, so that two at once do not both find room.
        if not User.objects.select_for_update().get(pk=user.pk).is_active:
            raise IsSuspended
        if user.keys.kept().count() >= settings.KEYS_PER_PERSON:
            raise TooManyKeys(settings.KEYS_PER_PERSON)
        key.save()
    return key, token


def revoke(*, key: Key, actor: User | None) -> None:
    """Revoking twice changes nothing."""
    with audit.action(actor, "key.revoked", key, person=key.user.public_id, prefix=key.prefix):
        Key.objects.filter(pk=key.pk, revoked_at=None).update(
            revoked_at=timezone.now(), revoked_by=actor
        )


def used(*, key: Key) -> None:
    """Notes that the key is in use, unless that was noted a moment ago."""
    if is_noted(key):
        return
    now = timezone.now()
    # Of several processes one writes.
    unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_IS_NOTED_EVERY)
    Key.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


def is_noted(key: Key) -> bool:
    """Its use was noted a moment ago, as far as this row knows."""
    return key.last_used_at is not None and key.last_used_at > timezone.now() - USE_IS_NOTED_EVERY


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
