"""Links that let people into a conversation, and shares that let them read it from outside."""

from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation, Role
from conversations.models.ids import public_id
from conversations.models.messages import Message
from conversations.models.people import User


class InviteLinkQuerySet(models.QuerySet["InviteLink"]):
    def open(self) -> Self:
        """Those that let people in. A link serves as long as whoever made it may do so themselves:
        who is no owner any more, or was suspended, may have kept the address."""
        return self.filter(
            models.Q(max_uses=None) | models.Q(uses__lt=models.F("max_uses")),
            withdrawn_at=None,
            expires_at__gt=timezone.now(),
            conversation__deleted_at=None,
            conversation__participants__user=models.F("created_by"),
            conversation__participants__role=Role.OWNER,
            created_by__is_active=True,
        )


class InviteLink(models.Model):
    """By it whoever is signed in joins the conversation. The table holds the SHA-256 of its
    token."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="invite_links")
    role = models.CharField(max_length=8, choices=Role)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    uses = models.PositiveIntegerField(default=0)
    # Null: as many as the conversation may have participants.
    max_uses = models.PositiveIntegerField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    objects = InviteLinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("invite link")
        verbose_name_plural = _("invite links")

    def __str__(self) -> str:
        return self.public_id


class Audience(models.TextChoices):
    PEOPLE = "people", _("anyone who is signed in")
    LINK = "link", _("whoever has the address")


class ShareQuerySet(models.QuerySet["Share"]):
    def open(self) -> Self:
        """Those that can be read now; as with invite links, as long as whoever made it may do so.
        Secret addresses only while the operator allows them."""
        audiences = [Audience.PEOPLE, *([Audience.LINK] if settings.SHARE_LINKS else [])]
        return self.filter(
            audience__in=audiences,
            revoked_at=None,
            expires_at__gt=timezone.now(),
            conversation__deleted_at=None,
            conversation__participants__user=models.F("created_by"),
            conversation__participants__role=Role.OWNER,
            created_by__is_active=True,
        )


class Share(models.Model):
    """A conversation to be read by people who take no part in it: the branch that all see, as it
    grows or as it was."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="shares")
    audience = models.CharField(max_length=6, choices=Audience)
    # SHA-256 of what only the address holds; null for people who sign in.
    # (Any number of rows may have null where a text has to be unique.)
    token_hash = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001
    is_live = models.BooleanField(default=False)
    # Where a snapshot ends, and what it was called.
    title = models.CharField(max_length=120, blank=True, db_default="")
    head = models.ForeignKey(Message, models.SET_NULL, null=True, related_name="+")
    # What is left out unless the owner chose otherwise.
    with_notes = models.BooleanField(default=False, db_default=False)
    with_branches = models.BooleanField(default=False, db_default=False)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        verbose_name = _("share")
        verbose_name_plural = _("shares")

    def __str__(self) -> str:
        return self.public_id

    @property
    def shown_title(self) -> str:
        return self.conversation.title if self.is_live else self.title

    @property
    def is_secret(self) -> bool:
        return self.audience == Audience.LINK
