"""The relay processes, as the others see them."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Worker(models.Model):
    """A relay at work. It counts `beats` up while it lives; the others watch whether the number
    changes, each by a clock of its own, so that no two clocks are ever compared."""

    name = models.CharField(max_length=120, unique=True)
    beats = models.PositiveBigIntegerField(default=0)
    # Answers that it writes. For people, as are the times.
    running = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)
    beat_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("relay")
        verbose_name_plural = _("relays")

    def __str__(self) -> str:
        return self.name
