"""Reserves and settles usage: one record for each generation and each call of a program.

    reserve(call, …)      before anything is sent; raises OverBudget
    lock(person, models)  before several calls are reserved in one transaction
    renew(references)     a call under way is still alive
    settle(reference, …)  when the upstream has ended, in the transaction that says so
    sweep()               settles what nobody renewed

A budget is a row, its use in a period a counter. A reservation is a conditional UPDATE of each
counter that the call has to fit into, so that however many come at once, used + reserved never
passes a limit. What it took may still differ from what was reserved, where a server counts more
tokens than were estimated; then the next one finds less left.

Counters are locked in the order of their budgets, and last in a transaction.
"""

import math
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F, Subquery, Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from conversations.amounts import NANO
from conversations.catalogue import Model
from conversations.models import (
    Budget,
    BudgetCounter,
    Conversation,
    Ending,
    Period,
    Reservation,
    Scope,
    Source,
    TeamMember,
    Unit,
    UsageRecord,
    User,
)

MESSAGE_TOKENS = 4  # its role and the marks around it
MILLION = 1_000_000
SWEPT_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who asks what of whom. `reference` is unique for good: "generation:…" or "call:…"."""

    reference: str
    person: User
    model: Model
    # Of the program's key: its public id, and the name that it goes by.
    key: str = ""
    key_label: str = ""
    conversation: Conversation | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """What was reserved. `max_tokens` is what the upstream must be told, for each choice: the
    asker's own, or where a budget holds and they have none, ours. None: no maximum."""

    reference: str
    max_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """How it ended and what it took.

    Tokens that are None were not reported: they are estimated from `written`, the characters of
    the answer (reasoning too, all choices together). A call that was never sent, or failed
    without a word, took nothing. One that is `unheard` was given up while the server may have
    been writing: it may have taken all that was reserved.
    """

    outcome: Ending
    reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    written: int = 0
    was_sent: bool = True
    unheard: bool = False
    first_token_at: datetime | None = None


class OverBudget(Exception):
    """The call does not fit into this budget, in the period that `until` ends."""

    def __init__(self, budget: Budget, until: datetime) -> None:
        super().__init__(str(budget))
        self.budget = budget
        self.until = until

    @property
    def sentence(self) -> str:
        """For people, in their language: which budget, until when, and who can raise it."""
        lead = {
            Scope.PERSON: _("This does not fit into what is left of your budget."),
            Scope.TEAM: _("This does not fit into what is left of the budget of %(team)s."),
            Scope.PORTAL: _("This does not fit into what is left of the portal's budget."),
            Scope.KEY: _("This does not fit into what is left of the key's budget."),
        }[Scope(self.budget.scope)] % {"team": self.budget.team}
        rest = _("It begins anew on %(day)s. %(contact)s can raise it.") % {
            "day": date_format(self.until.astimezone(ZoneInfo(settings.TIME_ZONE))),
            "contact": self.budget.who_can_raise_it,
        }
        return f"{lead} {rest}"


@dataclass(frozen=True, slots=True)
class Meter:
    """How full a budget is; what is reserved counts."""

    budget: Budget
    taken: int
    until: datetime

    @property
    def percent(self) -> int:
        """0 to 100, rounded down: full is full only when it is."""
        return min(100, self.taken * 100 // self.budget.limit) if self.budget.limit else 100

    @property
    def left(self) -> int:
        """In tokens, or in nanos of money."""
        return max(0, self.budget.limit - self.taken)


# --- Reserving ------------------------------------------------------------------------------------


def estimated_tokens(*, characters: int, messages: int = 0) -> int:
    """Of a text, or of a prompt of so many messages."""
    return math.ceil(characters / settings.CHARACTERS_PER_TOKEN) + MESSAGE_TOKENS * messages


def reserve(
    call: Call,
    *,
    prompt_tokens: int,
    max_tokens: int | None,
    n: int = 1,
    lease: bool = True,
) -> Hold:
    """Reserves the prompt and `n` answers of at most `max_tokens`, or BUDGET_ANSWER_TOKENS. Raises
    OverBudget, and then has changed nothing. Inside a transaction, reserve last. With `lease`, it
    has to be renewed within LEDGER_LEASE_SECONDS."""
    now = timezone.now()
    team = _team_of(call.person, call.model.teams)
    holding = Budget.objects.holding(user=call.person, team=team, key=call.key)
    budgets = list(holding.select_related("team"))
    longest = settings.BUDGET_ANSWER_TOKENS if max_tokens is None else max_tokens
    most = longest * n
    amounts = {
        Unit.TOKENS.value: prompt_tokens + most,
        Unit.MONEY.value: nanos(call.model.price_in, call.model.price_out, prompt_tokens, most),
    }
    # Where nothing holds, one statement is a transaction.
    with transaction.atomic() if budgets else nullcontext():
        holds = [_hold(budget, amounts[budget.unit], now) for budget in budgets]
        Reservation.objects.create(
            reference=call.reference,
            user=call.person,
            key=call.key,
            key_label=call.key_label,
            team_id=team,
            conversation=call.conversation,
            model=call.model.id,
            upstream=call.model.upstream,
            created_at=now,
            lease_until=_lease(now) if lease else None,
            prompt_tokens=prompt_tokens,
            most_tokens=most,
            price_in=call.model.price_in,
            price_out=call.model.price_out,
            holds=holds,
        )
    return Hold(call.reference, longest if budgets else max_tokens)


def lock(person: User, models: Collection[Model]) -> None:
    """Locks all counters that the chat's calls of these models have to fit into, each in its turn:
    reserving one call after the other would come back to budgets before those of the first."""
    teams = {_team_of(person, some) for some in {model.teams for model in models}}
    if len(teams) == 1:
        return  # and so the same budgets, which the first call locks for all
    now = timezone.now()
    found = [Budget.objects.holding(user=person, team=team, key="") for team in teams]
    budgets = {budget.pk: budget for some in found for budget in some}
    for _pk, budget in sorted(budgets.items()):
        BudgetCounter.objects.select_for_update().get(pk=_counter(budget, now))


def _hold(budget: Budget, amount: int, now: datetime) -> list[object]:
    counter = _counter(budget, now)
    fits = BudgetCounter.objects.filter(pk=counter, used__lte=budget.limit - amount - F("reserved"))
    if fits.update(reserved=F("reserved") + amount) != 1:
        raise OverBudget(budget, period_end(budget.period, now))
    return [counter, budget.unit, amount]


def _counter(budget: Budget, now: datetime) -> int:
    """Of this period. A new one begins with what the ledger holds already."""
    starts = period_start(budget.period, now)
    counters = BudgetCounter.objects.filter(budget=budget, starts=starts).values_list("pk")
    found = counters.first()
    if found is None:
        used = _used_since(budget, midnight(starts))
        fresh = BudgetCounter(budget=budget, starts=starts, used=used)
        BudgetCounter.objects.bulk_create([fresh], ignore_conflicts=True)
        found = counters.get()
    counter: int = found[0]
    return counter


def _used_since(budget: Budget, since: datetime) -> int:
    records = UsageRecord.objects.filter(at__gte=since)
    match budget.scope:
        case Scope.PERSON:
            records = records.filter(user=budget.user_id)
        case Scope.TEAM:
            records = records.filter(team=budget.team_id)
        case Scope.KEY:
            records = records.filter(key=budget.key)
    if budget.unit == Unit.MONEY:
        return int(records.aggregate(sum=Sum("money_nanos"))["sum"] or 0)
    return int(records.aggregate(sum=Sum(F("prompt_tokens") + F("completion_tokens")))["sum"] or 0)


def _team_of(person: User, some: Collection[int]) -> int | None:
    """Whose budget a call counts for: the person's first team, among `some` that the model is for,
    or all."""
    teams = TeamMember.objects.filter(user=person).order_by("pk")
    if some:
        teams = teams.filter(team__in=some)
    return teams.values_list("team_id", flat=True).first()


def renew(references: Collection[str]) -> None:
    """These calls are under way. One statement for all of a process."""
    mine = Reservation.objects.filter(reference__in=references, lease_until__isnull=False)
    mine.update(lease_until=_lease(timezone.now()))


def _lease(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.LEDGER_LEASE_SECONDS)


# --- Settling -------------------------------------------------------------------------------------


def settle(reference: str, used: Used) -> UsageRecord | None:
    """Adds the record and gives back what was reserved, once: None where somebody else did.
    Inside a transaction, settle last."""
    with transaction.atomic(savepoint=False):
        held = _take(reference)
        if held is None:
            return None
        prompt, completion, source = _tokens(held, used)
        return _record(held, used, prompt, completion, source)


def sweep() -> int:
    """Settles calls whose process is gone, as unknown; how many. Nobody knows what they took, so
    all that was reserved counts."""
    due = Reservation.objects.filter(lease_until__lt=timezone.now()).order_by("lease_until")
    swept = 0
    for reference in list(due.values_list("reference", flat=True)[:SWEPT_AT_ONCE]):
        with transaction.atomic():
            # Renewed meanwhile, it is nobody's to take.
            held = _take(reference, lease_until__lt=timezone.now())
            if held is None:
                continue
            used = Used(outcome=Ending.INTERRUPTED, reason="lost")
            _record(held, used, held.prompt_tokens, held.most_tokens, Source.UNKNOWN)
            swept += 1
    return swept


def _take(reference: str, **conditions: object) -> Reservation | None:
    rows = Reservation.objects.filter(reference=reference, **conditions)
    held = rows.select_related("user").first()
    if held is None or rows.filter(pk=held.pk).delete()[0] != 1:
        return None
    return held


def _tokens(held: Reservation, used: Used) -> tuple[int, int, Source]:
    if used.prompt_tokens is not None and used.completion_tokens is not None:
        return used.prompt_tokens, used.completion_tokens, Source.KNOWN
    if not used.was_sent:
        return 0, 0, Source.KNOWN
    if used.unheard:
        return held.prompt_tokens, held.most_tokens, Source.UNKNOWN
    if used.outcome == Ending.FAILED and not used.written:
        return 0, 0, Source.ESTIMATED
    return held.prompt_tokens, estimated_tokens(characters=used.written), Source.ESTIMATED


def _record(
    held: Reservation, used: Used, prompt: int, completion: int, source: Source
) -> UsageRecord:
    now = timezone.now()
    money = nanos(held.price_in, held.price_out, prompt, completion)
    first = used.first_token_at
    record = UsageRecord.objects.create(
        reference=held.reference,
        user_id=held.user_id,
        person_label=held.user.email if held.user else "",
        key=held.key,
        key_label=held.key_label,
        team_id=held.team_id,
        conversation_id=held.conversation_id,
        model=held.model,
        upstream=held.upstream,
        at=held.created_at,
        prompt_tokens=prompt,
        completion_tokens=completion,
        source=source,
        money_nanos=money,
        first_token_ms=None if first is None else _milliseconds(held.created_at, first),
        duration_ms=_milliseconds(held.created_at, now),
        outcome=used.outcome,
        reason=used.reason[:40],
    )
    taken = {Unit.TOKENS.value: prompt + completion, Unit.MONEY.value: money}
    for counter, unit, reserved in held.holds:
        BudgetCounter.objects.filter(pk=counter).update(
            used=F("used") + taken[unit], reserved=F("reserved") - reserved
        )
    return record


def nanos(price_in: Decimal, price_out: Decimal, tokens_in: int, tokens_out: int) -> int:
    """What so many tokens cost, in nanos of the currency, from prices for a million."""
    money = (price_in * tokens_in + price_out * tokens_out) * NANO / MILLION
    return int(money.to_integral_value(ROUND_HALF_UP))


def _milliseconds(begun: datetime, end: datetime) -> int:
    """A clock that went back says nothing; the column takes 24 days."""
    return min(max(0, int((end - begun).total_seconds() * 1000)), 2**31 - 1)


# --- Periods and meters ---------------------------------------------------------------------------


def period_start(period: str, now: datetime) -> date:
    """Days and months begin at midnight in TIME_ZONE, as on the portal's own calendar."""
    today = now.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    return today if period == Period.DAY else today.replace(day=1)


def period_end(period: str, now: datetime) -> datetime:
    starts = period_start(period, now)
    if period == Period.DAY:
        return midnight(starts + timedelta(days=1))
    return midnight((starts + timedelta(days=31)).replace(day=1))


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(settings.TIME_ZONE))


def meters(person: User, *, key: str = "") -> list[Meter]:
    """Of every budget that holds for this person, or their key, the fullest first."""
    now = timezone.now()
    team = TeamMember.objects.filter(user=person).order_by("pk").values("team_id")[:1]
    budgets = Budget.objects.holding(user=person, team=Subquery(team), key=key)
    found = [meter(budget, now) for budget in budgets.select_related("team")]
    return sorted(found, key=lambda meter: -meter.percent)


def meter(budget: Budget, now: datetime | None = None) -> Meter:
    now = now or timezone.now()
    return Meter(budget, _taken(budget, now), period_end(budget.period, now))


def _taken(budget: Budget, now: datetime) -> int:
    starts = period_start(budget.period, now)
    row = BudgetCounter.objects.filter(budget=budget, starts=starts)
    taken = row.values_list(F("used") + F("reserved"), flat=True).first()
    return _used_since(budget, midnight(starts)) if taken is None else int(taken)
