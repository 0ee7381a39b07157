"""Keys, by which people's programs use the gateway."""

from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.ids import public_id
from conversations.models.people import User

KEY_PREFIX_CHARACTERS = 13


class KeyQuerySet(models.QuerySet["Key"]):
    def kept(self) -> Self:
        """Not revoked; those that ran out are among them, so that people see why."""
        return self.filter(revoked_at=None)


class Key(models.Model):
    """The table holds the SHA-256 of a key of 256 bits and its beginning, to know it again."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="keys", verbose_name=_("person"))
    name = models.CharField(_("name"), max_length=80)
    # What a key is looked up by, and what people are shown of it.
    prefix = models.CharField(_("begins with"), max_length=KEY_PREFIX_CHARACTERS, unique=True)
    key_hash = models.CharField(max_length=64)
    # Ids; empty: all that the person may use.
    allowed_models = models.JSONField(_("models"), default=list, blank=True)
    created_at = models.DateTimeField(_("made"), default=timezone.now)
    expires_at = models.DateTimeField(_("runs out"), null=True)
    # At most a minute old while it is in use.
    last_used_at = models.DateTimeField(_("last used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    revoked_by = models.ForeignKey(
        User, models.SET_NULL, null=True, related_name="+", verbose_name=_("revoked by")
    )

    objects = KeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @property
    def has_run_out(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def allows(self, model: str) -> bool:
        return not self.allowed_models or model in self.allowed_models
