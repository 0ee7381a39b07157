"""One record for everything, reserved before and settled once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from conversations import ledger
from conversations.amounts import NANO
from conversations.catalogue import Model
from conversations.ledger import Call, Used
from conversations.models import (
    Budget,
    BudgetCounter,
    Ending,
    Period,
    Reservation,
    Scope,
    Source,
    Team,
    TeamMember,
    Unit,
    UsageRecord,
    User,
)

pytestmark = pytest.mark.django_db

MODEL = Model("falcon", "main", price_in=Decimal("2.5"), price_out=Decimal(10))


def call(person: User, **more: object) -> Call:
    values: dict[str, object] = {"reference": f"call:{uuid4()}", "person": person, "model": MODEL}
    return Call(**(values | more))  # type: ignore[arg-type]


def budget(limit: int, **columns: object) -> Budget:
    return Budget.objects.create(limit=limit, **({"scope": Scope.PORTAL} | columns))


def done(**columns: object) -> Used:
    return Used(outcome=Ending.DONE, reason="stop", **columns)  # type: ignore[arg-type]


def reserve(person: User, *, prompt: int = 10, most: int | None = 90, **more: object) -> str:
    asked = call(person, **more)
    ledger.reserve(asked, prompt_tokens=prompt, max_tokens=most)
    return asked.reference


def counter() -> tuple[int, int]:
    row = BudgetCounter.objects.get()
    return row.used, row.reserved


# --- Records --------------------------------------------------------------------------------------


def test_what_was_reported_is_recorded_with_its_price(alice: User) -> None:
    reference = reserve(alice, key="k1", key_label="nightly")
    record = ledger.settle(reference, done(prompt_tokens=1_000_000, completion_tokens=200))
    assert record is not None
    assert record.source == Source.KNOWN
    assert Decimal(record.money_nanos) / NANO == Decimal("2.502")
    assert (record.user, record.person_label) == (alice, "alice@example.com")
    assert (record.key, record.key_label, record.model) == ("k1", "nightly", "falcon")
    assert (record.outcome, record.reason, record.upstream) == ("done", "stop", "main")


def test_what_nobody_reported_is_estimated_from_characters(alice: User, settings: Settings) -> None:
    settings.CHARACTERS_PER_TOKEN = 4
    record = ledger.settle(reserve(alice, prompt=12), done(written=401))
    assert record is not None
    assert (record.prompt_tokens, record.completion_tokens) == (12, 101)
    assert record.source == Source.ESTIMATED
    assert ledger.estimated_tokens(characters=8, messages=2) == 10


def test_what_was_never_sent_took_nothing(alice: User) -> None:
    unsent = Used(outcome=Ending.STOPPED, was_sent=False)
    record = ledger.settle(reserve(alice), unsent)
    assert record is not None
    assert (record.prompt_tokens, record.completion_tokens, record.source) == (0, 0, "known")


def test_a_failure_without_a_word_took_nothing(alice: User) -> None:
    record = ledger.settle(reserve(alice), Used(outcome=Ending.FAILED, reason="unreachable"))
    assert record is not None
    assert (record.prompt_tokens, record.completion_tokens, record.source) == (0, 0, "estimated")


def test_what_was_given_up_unheard_may_have_taken_all_that_was_reserved(
    alice: User, settings: Settings
) -> None:
    settings.BUDGET_ANSWER_TOKENS = 77
    given_up = Used(outcome=Ending.STOPPED, reason="left", unheard=True)
    record = ledger.settle(reserve(alice, prompt=12, most=90), given_up)
    assert record is not None
    assert (record.prompt_tokens, record.completion_tokens, record.source) == (12, 90, "unknown")
    without_a_longest = ledger.settle(reserve(alice, prompt=12, most=None), given_up)
    assert without_a_longest is not None
    assert without_a_longest.completion_tokens == 77


def test_it_is_settled_once(alice: User) -> None:
    reference = reserve(alice)
    assert ledger.settle(reference, done(written=1)) is not None
    assert ledger.settle(reference, done(written=1)) is None
    assert ledger.settle("call:unknown", done()) is None
    assert UsageRecord.objects.count() == 1
    assert not Reservation.objects.exists()


def test_times_are_kept_in_milliseconds(alice: User) -> None:
    begun = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with time_machine.travel(begun, tick=False) as clock:
        reference = reserve(alice)
        clock.shift(2.5)
        first = timezone.now()
        clock.shift(1)
        record = ledger.settle(reference, done(first_token_at=first))
    assert record is not None
    assert (record.at, record.first_token_ms, record.duration_ms) == (begun, 2500, 3500)


def test_a_team_is_that_which_the_person_joined_first(alice: User) -> None:
    second, first = Team.objects.create(name="Second"), Team.objects.create(name="First")
    for team in (first, second):
        TeamMember.objects.create(team=team, user=alice)
    record = ledger.settle(reserve(alice), done())
    assert record is not None
    assert record.team == first
    of_second = Model("owl", "main", teams=frozenset({second.pk}))
    record = ledger.settle(reserve(alice, model=of_second), done())
    assert record is not None
    assert record.team == second


# --- Budgets --------------------------------------------------------------------------------------


def test_a_budget_is_reserved_and_then_holds_what_was_used(alice: User) -> None:
    budget(1000)
    reference = reserve(alice, prompt=100, most=500)
    assert counter() == (0, 600)
    ledger.settle(reference, done(prompt_tokens=90, completion_tokens=10))
    assert counter() == (100, 0)


def test_n_answers_are_reserved(alice: User) -> None:
    budget(1000)
    ledger.reserve(call(alice), prompt_tokens=10, max_tokens=100, n=3)
    assert counter() == (0, 310)


def test_what_does_not_fit_is_refused_and_changes_nothing(alice: User, bob: User) -> None:
    of_alice = budget(1000, scope=Scope.PERSON, user=alice)
    budget(100)
    with pytest.raises(ledger.OverBudget) as refused:
        reserve(alice, prompt=10, most=91)
    assert refused.value.budget.scope == Scope.PORTAL
    assert refused.value.until > timezone.now()
    assert not Reservation.objects.exists()
    assert not BudgetCounter.objects.filter(reserved__gt=0).exists()
    reserve(bob, prompt=10, most=90)
    with pytest.raises(ledger.OverBudget):
        reserve(alice, prompt=0, most=1)
    assert not BudgetCounter.objects.filter(budget=of_alice, reserved__gt=0).exists()


def test_each_scope_counts_its_own(alice: User, bob: User) -> None:
    team = Team.objects.create(name="Research")
    TeamMember.objects.create(team=team, user=alice)
    limits = [
        budget(100, scope=Scope.PERSON, user=alice),
        budget(200, scope=Scope.TEAM, team=team),
        budget(300, scope=Scope.KEY, key="k1"),
        budget(400),
    ]
    reserve(alice, key="k1")
    reserve(bob, key="k1")
    reserve(bob)
    taken = {row.budget_id: row.reserved for row in BudgetCounter.objects.all()}
    assert [taken[one.pk] for one in limits] == [100, 100, 200, 300]


def test_a_budget_of_money_counts_nanos(alice: User) -> None:
    budget(NANO, unit=Unit.MONEY)
    reference = reserve(alice, prompt=100_000, most=50_000)
    assert counter() == (0, 750_000_000)
    with pytest.raises(ledger.OverBudget):
        reserve(alice, prompt=0, most=25_001)
    ledger.settle(reference, done(prompt_tokens=100_000, completion_tokens=1))
    assert counter() == (250_010_000, 0)


def test_where_a_budget_holds_an_answer_gets_a_maximum(alice: User, settings: Settings) -> None:
    settings.BUDGET_ANSWER_TOKENS = 77
    assert ledger.reserve(call(alice), prompt_tokens=1, max_tokens=None).max_tokens is None
    budget(1000)
    assert ledger.reserve(call(alice), prompt_tokens=1, max_tokens=None).max_tokens == 77
    assert ledger.reserve(call(alice), prompt_tokens=1, max_tokens=5).max_tokens == 5


def test_a_budget_that_does_not_hold_is_not_asked(alice: User) -> None:
    budget(1, is_active=False)
    reserve(alice)


@pytest.mark.parametrize(
    ("period", "inside", "outside"),
    [
        (Period.DAY, "2026-03-28T23:00+01:00", "2026-03-29T00:30+01:00"),
        # The month's last day, and the night in which the clocks went forward lies between.
        (Period.MONTH, "2026-03-31T23:30+02:00", "2026-04-01T00:30+02:00"),
    ],
)
def test_periods_end_at_midnight_in_the_portals_zone(
    alice: User, settings: Settings, period: str, inside: str, outside: str
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    budget(100, period=period)
    with time_machine.travel("2026-03-28T12:00+01:00", tick=False):
        reserve(alice)
    with time_machine.travel(inside, tick=False), pytest.raises(ledger.OverBudget) as refused:
        reserve(alice)
    with time_machine.travel(outside, tick=False):
        assert refused.value.until <= timezone.now() < refused.value.until + timedelta(hours=1)
        reserve(alice)


def test_what_was_reserved_yesterday_is_settled_yesterday(alice: User) -> None:
    budget(100, period=Period.DAY)
    with time_machine.travel("2026-03-28T23:59Z", tick=False):
        reference = reserve(alice)
    with time_machine.travel("2026-03-29T00:01Z", tick=False):
        reserve(alice)
        ledger.settle(reference, done(prompt_tokens=50, completion_tokens=0))
    rows = BudgetCounter.objects.order_by("starts").values_list("used", "reserved")
    assert list(rows) == [(50, 0), (0, 100)]


def test_a_new_budget_knows_what_was_used_in_its_period(alice: User, bob: User) -> None:
    for person in (alice, bob):
        ledger.settle(reserve(person), done(prompt_tokens=40, completion_tokens=20))
    budget(150, scope=Scope.PERSON, user=alice)
    with pytest.raises(ledger.OverBudget):
        reserve(alice, prompt=91, most=0)
    reserve(alice, prompt=90, most=0)


def test_meters_show_the_fullest_first(alice: User, bob: User) -> None:
    assert ledger.meters(alice) == []
    budget(1000)
    budget(200, scope=Scope.PERSON, user=alice)
    budget(100, scope=Scope.PERSON, user=bob)
    reserve(alice)
    found = [(meter.budget.scope, meter.percent) for meter in ledger.meters(alice)]
    assert found == [(Scope.PERSON, 50), (Scope.PORTAL, 10)]


# --- Leases ---------------------------------------------------------------------------------------


def test_a_call_that_nobody_renews_is_settled_as_unknown(alice: User, settings: Settings) -> None:
    settings.LEDGER_LEASE_SECONDS = 60
    budget(1000)
    with time_machine.travel("2026-03-28T12:00:00Z", tick=False) as clock:
        silent, alive = reserve(alice), reserve(alice)
        held = call(alice)
        ledger.reserve(held, prompt_tokens=1, max_tokens=1, lease=False)
        clock.shift(50)
        ledger.renew([alive, held.reference])
        assert ledger.sweep() == 0
        clock.shift(11)
        assert ledger.sweep() == 1
        assert ledger.sweep() == 0
    record = UsageRecord.objects.get()
    assert (record.reference, record.source, record.outcome) == (silent, "unknown", "interrupted")
    assert (record.prompt_tokens, record.completion_tokens) == (10, 90)
    assert counter() == (100, 102)
    assert ledger.settle(silent, done()) is None


# --- Races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_hundred_at_once_do_not_pass_a_budget(alice: User) -> None:
    budget(1000)
    budget(100_000, scope=Scope.PERSON, user=alice)

    def attempt(_number: int) -> str:
        try:
            return reserve(alice)
        except ledger.OverBudget:
            return ""
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as threads:
        references = [one for one in threads.map(attempt, range(100)) if one]
    assert len(references) == 10
    assert {row.reserved for row in BudgetCounter.objects.all()} == {1000}

    def end(reference: str) -> bool:
        try:
            used = done(prompt_tokens=10, completion_tokens=90)
            return ledger.settle(reference, used) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as threads:
        ended = list(threads.map(end, references * 3))
    assert sum(ended) == 10
    assert UsageRecord.objects.count() == 10
    assert {(row.used, row.reserved) for row in BudgetCounter.objects.all()} == {(1000, 0)}
