"""The models as operators describe them."""

from decimal import Decimal
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.people import Team


def price(label: Any) -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(
        label,
        max_digits=12,
        decimal_places=6,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
    )


class LanguageModel(models.Model):
    """One model of one upstream. Rows stay for good, since conversations and the ledger name them;
    what is not to be used any more is not offered."""

    # What people's conversations, programs and the upstream call it.
    model_id = models.CharField(_("id"), max_length=200, unique=True)
    # The name of a server in the settings, which alone know its address and key.
    upstream = models.CharField(_("upstream"), max_length=40)
    label = models.CharField(_("label"), max_length=80, blank=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    price_in = price(_("price in"))
    price_out = price(_("price out"))
    # temperature, top_p, max_tokens, stop: where the asker says nothing.
    parameters = models.JSONField(_("default parameters"), default=dict, blank=True)
    context_tokens = models.PositiveIntegerField(_("context size"), null=True, blank=True)
    # None: everybody may use it.
    teams = models.ManyToManyField(
        Team, blank=True, related_name="models", verbose_name=_("only for")
    )
    position = models.PositiveIntegerField(_("order"), default=100)
    is_offered = models.BooleanField(_("offered"), default=True)
    # Null: it follows the settings. Else it is the operators' alone: one has saved it, or it waits
    # for one to price and offer it.
    edited_at = models.DateTimeField(_("edited"), null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")

    def __str__(self) -> str:
        return self.model_id

    @property
    def has_price(self) -> bool:
        return bool(self.price_in or self.price_out)
