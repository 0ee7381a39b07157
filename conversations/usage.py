"""Reads the ledger for reports: sums, shares and percentiles, and no text of anybody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Count, F, Q, QuerySet, Sum, Window
from django.db.models.functions import CumeDist, TruncDate

from conversations.ledger import midnight
from conversations.models import Ending, Source, UsageRecord, User

Records = QuerySet[UsageRecord]
# What it can be grouped by: the column that names a group.
COLUMNS = {
    "day": "day",
    "model": "model",
    "person": "person_label",
    "team": "team__name",
    "key": "key_label",
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds that half, and 95 of 100, did not exceed; None where nothing was measured."""

    half: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Of one day, model, person, team or key; `name` is empty where there is none."""

    name: str | date
    calls: int
    tokens_in: int
    tokens_out: int
    nanos: int
    errors: int
    # Of the calls, those whose tokens nobody counted.
    estimated: int
    first_token: Latency = Latency()
    duration: Latency = Latency()

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


def records(since: date, until: date, *, of: User | None = None) -> Records:
    """Of these days, both included, in TIME_ZONE; of one person, or everybody."""
    found = UsageRecord.objects.filter(
        at__gte=midnight(since), at__lt=midnight(until + timedelta(days=1))
    )
    return found if of is None else found.filter(user=of)


def total(found: Records) -> Row:
    sums = found.aggregate(**_SUMS)
    return _row("", sums, _latencies(found, "first_token_ms"), _latencies(found, "duration_ms"))


def table(found: Records, by: str, *, most: int) -> list[Row]:
    """A row for each that has any: days, the last first, the rest by tokens, at most so many."""
    column = COLUMNS[by]
    if by == "day":
        found = found.annotate(day=TruncDate("at", tzinfo=ZoneInfo(settings.TIME_ZONE)))
    if by == "key":
        found = found.exclude(key="")
    sums = found.order_by().values(column).annotate(**_SUMS)
    sums = sums.order_by("-day") if by == "day" else sums.order_by("-sort", column)
    first, whole = _latencies(found, "first_token_ms", by), _latencies(found, "duration_ms", by)
    return [_row(one[column], one, first, whole) for one in sums[:most]]


_SUMS: dict[str, Any] = {
    "calls": Count("pk"),
    "tokens_in": Sum("prompt_tokens", default=0),
    "tokens_out": Sum("completion_tokens", default=0),
    "nanos": Sum("money_nanos", default=0),
    "errors": Count("pk", filter=Q(outcome__in=(Ending.FAILED, Ending.INTERRUPTED))),
    "estimated": Count("pk", filter=~Q(source=Source.KNOWN)),
    "sort": Sum(F("prompt_tokens") + F("completion_tokens"), default=0),
}


def _row(
    name: Any, sums: dict[str, Any], first: dict[Any, Latency], whole: dict[Any, Latency]
) -> Row:
    names = ("calls", "tokens_in", "tokens_out", "nanos", "errors", "estimated")
    return Row(
        name="" if name is None else name,
        **{column: int(sums[column]) for column in names},
        first_token=first.get(_key(name), Latency()),
        duration=whole.get(_key(name), Latency()),
    )


def _latencies(found: Records, column: str, by: str = "") -> dict[str, Latency]:
    """By the group's name. One query for all of them, in words that both databases know."""
    groups = [F(COLUMNS[by])] if by else None
    ranked = found.order_by().filter(**{f"{column}__isnull": False})
    ranked = ranked.annotate(
        share=Window(CumeDist(), partition_by=groups, order_by=F(column).asc())
    )
    chosen = ranked.values_list(*([COLUMNS[by]] if by else []), column, "share")
    query, bound = chosen.query.sql_with_params()
    names = ["name", "value", "share"] if by else ["value", "share"]
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH ranked ({', '.join(names)}) AS ({query}) "  # noqa: S608  Django's own, and bound
            f"SELECT {'name' if by else 'NULL'}, "
            "MIN(CASE WHEN share >= 0.5 THEN value END), "
            "MIN(CASE WHEN share >= 0.95 THEN value END) "
            f"FROM ranked {'GROUP BY name' if by else ''}",
            bound,
        )
        return {_key(name): Latency(half, most) for name, half, most in cursor.fetchall()}


def _key(name: object) -> str:
    """SQLite gives days as text."""
    return "" if name is None else str(name)


def every_day(rows: Iterable[Row], since: date, until: date) -> list[tuple[date, int, int]]:
    """Tokens in and out of each day, also of those on which nothing was asked."""
    known = {row.name: (row.tokens_in, row.tokens_out) for row in rows}
    days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
    return [(day, *known.get(day, (0, 0))) for day in days]
