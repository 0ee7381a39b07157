"""What was done, by whom, to what: append-only."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Outcome(models.TextChoices):
    DONE = "done", _("done")
    FAILED = "failed", _("failed")


class AuditEntry(models.Model):
    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    # Who it was, also when the person is gone; "system" for what nobody asked for.
    actor_label = models.CharField(_("who"), max_length=254)
    verb = models.CharField(_("what"), max_length=60)
    object_type = models.CharField(_("kind of object"), max_length=40, blank=True)
    object_id = models.CharField(_("object"), max_length=64, blank=True)
    # The reviewer's case, where the act belongs to one.
    case = models.CharField(_("case"), max_length=64, blank=True)
    outcome = models.CharField(_("outcome"), max_length=6, choices=Outcome, default=Outcome.DONE)
    details = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [models.Index("object_type", "object_id", name="audit_of_an_object")]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.verb} {self.object_id}"
