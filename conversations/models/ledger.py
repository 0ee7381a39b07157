"""What was used, what is reserved, and how much may be."""

from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from conversations.models.catalogue import price
from conversations.models.conversations import Conversation
from conversations.models.ids import public_id
from conversations.models.people import Team, User


class Caller(models.Model):
    """Who asked what of whom: the same of what is reserved and of what was used."""

    # "generation:…" or "call:…"; unique, so that nothing is charged twice.
    reference = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # A key's public id and the name it goes by; empty for the chat. They outlive the key.
    key = models.CharField(max_length=20, blank=True)
    key_label = models.CharField(_("key"), max_length=120, blank=True)
    team = models.ForeignKey(Team, models.SET_NULL, null=True, related_name="+")
    conversation = models.ForeignKey(Conversation, models.SET_NULL, null=True, related_name="+")
    model = models.CharField(_("model"), max_length=200)
    upstream = models.CharField(_("upstream"), max_length=40)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.reference


class Source(models.TextChoices):
    """How far the numbers of tokens can be trusted."""

    KNOWN = "known", _("known")
    # From the characters that went over the wire.
    ESTIMATED = "estimated", _("estimated")
    # Whoever could have counted is gone: as much as was reserved.
    UNKNOWN = "unknown", _("unknown")


class Ending(models.TextChoices):
    DONE = "done", _("done")
    STOPPED = "stopped", _("stopped")
    INTERRUPTED = "interrupted", _("interrupted")
    FAILED = "failed", _("failed")


class UsageRecord(Caller):
    """One generation or call and what it took. Only ever added."""

    at = models.DateTimeField(_("asked at"))
    person_label = models.CharField(_("who"), max_length=254, blank=True)
    prompt_tokens = models.PositiveBigIntegerField(_("tokens in"))
    completion_tokens = models.PositiveBigIntegerField(_("tokens out"))
    source = models.CharField(max_length=9, choices=Source)
    money_nanos = models.BigIntegerField(default=0)
    first_token_ms = models.PositiveIntegerField(null=True)
    duration_ms = models.PositiveIntegerField()
    outcome = models.CharField(max_length=11, choices=Ending)
    # The finish reason, or the code of what went wrong.
    reason = models.CharField(max_length=40, blank=True)

    class Meta:
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        indexes = [
            # Reports of a span of days; and of one person, team or key, for their budgets too.
            models.Index("at", name="usage_by_time"),
            models.Index("user", "at", name="usage_of_person"),
            models.Index("team", "at", name="usage_of_team"),
            models.Index("key", "at", condition=~Q(key=""), name="usage_of_key"),
        ]


class Reservation(Caller):
    """What a generation or call under way may still take. Its end deletes the row and adds the
    record, in one transaction; whoever deletes it is the one who settles."""

    created_at = models.DateTimeField(default=timezone.now)
    # Null: held by a generation, which its relay or the sweep settles whatever happens.
    lease_until = models.DateTimeField(null=True)
    prompt_tokens = models.PositiveBigIntegerField()
    # Of all choices together.
    most_tokens = models.PositiveBigIntegerField()
    price_in = price("")
    price_out = price("")
    # [[counter id, unit, reserved]], in the order in which counters are locked.
    holds: "models.JSONField[list[Any], list[Any]]" = models.JSONField(default=list)

    class Meta:
        indexes = [
            models.Index(
                "lease_until",
                condition=Q(lease_until__isnull=False),
                name="reservation_under_lease",
            ),
        ]


class Scope(models.TextChoices):
    PORTAL = "portal", _("the whole portal")
    TEAM = "team", _("a team")
    PERSON = "person", _("a person")
    KEY = "key", _("a key")


class Unit(models.TextChoices):
    TOKENS = "tokens", _("tokens")
    MONEY = "money", _("money")


class Period(models.TextChoices):
    DAY = "day", _("a day")
    MONTH = "month", _("a month")


class BudgetQuerySet(models.QuerySet["Budget"]):
    def holding(self, *, user: User, team: int | models.Subquery | None, key: str) -> Self:
        """All that a call of theirs has to fit into, in the order in which counters are locked."""
        mine = Q(scope=Scope.PORTAL) | Q(scope=Scope.PERSON, user=user)
        if team is not None:
            mine |= Q(scope=Scope.TEAM, team=team)
        if key:
            mine |= Q(scope=Scope.KEY, key=key)
        return self.filter(mine, is_active=True).order_by("pk")


class Budget(models.Model):
    """How much somebody may use in a day or month. `limit` is in tokens, or in nanos of money."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    scope = models.CharField(_("for"), max_length=6, choices=Scope)
    user = models.ForeignKey(
        User, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    team = models.ForeignKey(
        Team, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("team")
    )
    key = models.CharField(_("key"), max_length=20, blank=True)
    unit = models.CharField(_("counted in"), max_length=6, choices=Unit, default=Unit.TOKENS)
    period = models.CharField(_("in"), max_length=5, choices=Period, default=Period.MONTH)
    # At least 1: who may use nothing is suspended.
    limit = models.PositiveBigIntegerField(_("limit"))
    contact = models.CharField(_("who can raise it"), max_length=120, blank=True)
    is_active = models.BooleanField(_("holds"), default=True)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = [
            models.UniqueConstraint(
                fields=["unit", "period"],
                condition=Q(scope=Scope.PORTAL),
                name="one_budget_of_the_portal",
            ),
            models.UniqueConstraint(
                fields=["user", "unit", "period"],
                condition=Q(scope=Scope.PERSON),
                name="one_budget_of_a_person",
            ),
            models.UniqueConstraint(
                fields=["team", "unit", "period"],
                condition=Q(scope=Scope.TEAM),
                name="one_budget_of_a_team",
            ),
            models.UniqueConstraint(
                fields=["key", "unit", "period"],
                condition=Q(scope=Scope.KEY),
                name="one_budget_of_a_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope}, {self.unit} in {self.get_period_display()}"

    @property
    def who_can_raise_it(self) -> str:
        return self.contact or gettext("Whoever runs this portal")


class BudgetCounter(models.Model):
    """A budget's use in one period. `reserved` goes up before sending and back when it is settled:
    used + reserved never passes the limit, which each UPDATE checks for itself."""

    budget = models.ForeignKey(Budget, models.CASCADE, related_name="counters")
    # The first day of the period, in TIME_ZONE.
    starts = models.DateField()
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts"], name="one_counter_a_period")
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} from {self.starts}"
