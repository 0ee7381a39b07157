"""Links that let people into a conversation."""

from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation, Role
from conversations.models.ids import public_id
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
