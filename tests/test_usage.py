"""Reports of what was used: right numbers, for those whom they concern, and nothing else."""

import csv
import io
import re
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from conversations import charts, usage
from conversations.amounts import NANO
from conversations.models import Ending, Source, Team, UsageRecord, User
from conversations.usage import Latency
from conversations.views.usage import cell

pytestmark = pytest.mark.django_db
numbers = count()


@pytest.fixture(autouse=True)
def _today() -> Any:
    with time_machine.travel("2026-03-31T12:00Z", tick=False):
        yield


def used(user: User, at: str = "2026-03-30T10:00", **columns: Any) -> UsageRecord:
    values = {
        "reference": f"call:{next(numbers)}",
        "user": user,
        "person_label": user.email,
        "at": datetime.fromisoformat(at).replace(tzinfo=UTC),
        "model": "falcon",
        "upstream": "main",
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "source": Source.KNOWN,
        "money_nanos": NANO,
        "first_token_ms": 500,
        "duration_ms": 2000,
        "outcome": Ending.DONE,
    }
    return UsageRecord.objects.create(**(values | columns))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


MARCH = (date(2026, 3, 1), date(2026, 3, 31))


# --- Numbers --------------------------------------------------------------------------------------


def test_a_total_sums_up_what_happened(alice: User) -> None:
    used(alice)
    used(alice, outcome=Ending.FAILED, first_token_ms=None, source=Source.ESTIMATED)
    used(alice, outcome=Ending.INTERRUPTED)
    used(alice, outcome=Ending.STOPPED)
    used(alice, at="2026-02-28T23:59")
    row = usage.total(usage.records(*MARCH))
    assert (row.calls, row.tokens_in, row.tokens_out, row.nanos) == (4, 400, 200, 4 * NANO)
    assert (row.errors, row.estimated) == (2, 1)


def test_nothing_is_zero(alice: User) -> None:
    row = usage.total(usage.records(*MARCH))
    assert (row.calls, row.tokens, row.first_token, row.duration) == (0, 0, Latency(), Latency())


def test_percentiles_are_those_of_the_calls(alice: User) -> None:
    for number in range(1, 101):
        used(alice, duration_ms=number, first_token_ms=None if number > 10 else number * 10)
    row = usage.total(usage.records(*MARCH))
    assert row.duration == Latency(50, 95)
    assert row.first_token == Latency(50, 100)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", [date(2026, 3, 30), date(2026, 3, 2)]),
        ("model", ["owl", "falcon"]),
        ("person", ["bob@example.com", "alice@example.com"]),
        ("team", ["Research", ""]),
        ("key", ["nightly"]),
    ],
)
def test_it_is_grouped_the_largest_first(
    alice: User, bob: User, by: str, names: list[object]
) -> None:
    team = Team.objects.create(name="Research")
    used(alice, at="2026-03-02T10:00", duration_ms=1)
    of_bob: dict[str, Any] = {"team": team, "model": "owl", "key": "k1", "key_label": "nightly"}
    used(bob, **of_bob, prompt_tokens=1000, duration_ms=7)
    rows = usage.table(usage.records(*MARCH), by, most=10)
    assert [row.name for row in rows] == names
    assert rows[0].tokens_in == 1000
    assert rows[0].duration == Latency(7, 7)


def test_a_day_is_one_of_the_portals_calendar(alice: User, settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    used(alice, at="2026-03-30T14:59", duration_ms=1)
    used(alice, at="2026-03-30T15:00", duration_ms=2)
    days = usage.table(usage.records(date(2026, 3, 31), date(2026, 3, 31)), "day", most=9)
    assert [(row.name, row.duration.half) for row in days] == [(date(2026, 3, 31), 2)]
    days = usage.table(usage.records(*MARCH), "day", most=9)
    assert [(str(row.name), row.duration.half) for row in days] == [
        ("2026-03-31", 2),
        ("2026-03-30", 1),
    ]


def test_every_day_has_a_bar(alice: User) -> None:
    used(alice, at="2026-03-02T10:00")
    rows = usage.table(usage.records(*MARCH), "day", most=31)
    days = usage.every_day(rows, *MARCH)
    assert len(days) == 31
    assert days[1] == (date(2026, 3, 2), 100, 50)
    assert days[0] == (date(2026, 3, 1), 0, 0)


def test_bars_stand_on_the_ground_and_reach_the_top() -> None:
    chart = charts.bars([(date(2026, 3, 1), (30, 10)), (date(2026, 3, 2), (0, 0))])
    first, second = chart.bars
    assert chart.highest == 40
    assert first.parts == ((40.0, 120.0), (0.0, 40.0))
    assert second.parts == ((160.0, 0.0), (160.0, 0.0))
    assert first.x + first.width < second.x
    assert charts.bars([]).highest == 0


# --- Pages ----------------------------------------------------------------------------------------


def test_people_see_their_own_numbers_alone(alice: User, bob: User) -> None:
    used(alice, model="mine")
    used(bob, model="theirs")
    for address in ("/usage/mine/?by=model", "/usage/mine/table.csv?by=model"):
        text = signed_in(alice).get(address).content.decode()
        assert "mine" in text
        assert "theirs" not in text
        assert "bob@example.com" not in text
    assert signed_in(alice).get("/usage/mine/?by=person").status_code == 422


def test_operators_see_everybodys(operator: User, alice: User, bob: User) -> None:
    used(alice)
    used(bob)
    html = signed_in(operator).get("/usage/?by=person").content.decode()
    assert "alice@example.com" in html
    assert "bob@example.com" in html
    assert "2.00 USD" in html


def test_the_right_to_see_the_numbers_can_be_given_alone(charlie: User) -> None:
    assert signed_in(charlie).get("/usage/").status_code == 404
    charlie.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    browser = signed_in(charlie)
    assert browser.get("/usage/").status_code == 200
    assert 'href="/usage/"' in browser.get("/").content.decode()
    assert browser.get("/admin/").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "since=x",
        "since=2026-03-02&until=2026-03-01",
        "since=2020-01-01&until=2026-01-01",
        "since=0001-01-01&until=0001-01-02",
        "since=9999-12-31&until=9999-12-31",
        "by=password",
        "by=user__password",
    ],
)
@pytest.mark.parametrize("address", ["/usage/", "/usage/table.csv"])
def test_days_that_cannot_be_meant_are_refused(operator: User, address: str, query: str) -> None:
    answer = signed_in(operator).get(f"{address}?{query}")
    assert answer.status_code == 422
    assert "errorlist" in answer.content.decode() or address.endswith(".csv")


def test_as_many_days_as_set(operator: User, settings: Settings) -> None:
    settings.USAGE_DAYS = 7
    browser = signed_in(operator)
    assert browser.get("/usage/?since=2026-03-01&until=2026-03-07").status_code == 200
    assert browser.get("/usage/?since=2026-03-01&until=2026-03-08").status_code == 422


def test_a_report_is_cut_and_says_so(operator: User, alice: User, settings: Settings) -> None:
    settings.USAGE_ROWS = 5
    for number in range(6):
        used(alice, model=f"model-{number}", prompt_tokens=number)
    browser = signed_in(operator)
    html = browser.get("/usage/?by=model").content.decode()
    assert "model-5" in html
    assert "model-0" not in html
    assert "Only the largest are shown" in html
    assert "model-0" in browser.get("/usage/table.csv?by=model").content.decode()


def test_the_chart_needs_no_inline_style(operator: User, alice: User) -> None:
    used(alice)
    html = signed_in(operator).get("/usage/").content.decode()
    assert html.count('<rect class="bar-out" x=') == 30
    assert "style=" not in html
    assert re.search(r'height="160(\.0)?"', html) or 'class="bars"' in html


def test_names_are_text_everywhere(operator: User, alice: User) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    used(alice, model=hostile, key="k", key_label=hostile)
    for by in ("model", "key"):
        html = signed_in(operator).get(f"/usage/?by={by}").content.decode()
        assert hostile not in html
        assert "&lt;img" in html


def test_a_report_takes_few_queries_however_much_there_is(
    operator: User, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    browser = signed_in(operator)
    browser.get("/usage/?by=model")
    for number in range(20):
        used(alice, model=f"model-{number}")
    # Session, person, rights by person and group, total and its times, days and theirs, models and
    # theirs, sidebar; the group of operators.
    with django_assert_num_queries(15):
        browser.get("/usage/?by=model")


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(operator: User, alice: User, name: str) -> None:
    assert cell(name) == f"'{name}"
    used(alice, model=name)
    answer = signed_in(operator).get("/usage/table.csv?by=model")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    assert rows[1][0] == f"'{name}"


def test_a_file_holds_exact_numbers(operator: User, alice: User) -> None:
    used(alice, money_nanos=NANO * 1234 + 1, first_token_ms=None)
    answer = signed_in(operator).get("/usage/table.csv?by=day")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert rows == [
        {
            "day": "2026-03-30",
            "calls": "1",
            "tokens in": "100",
            "tokens out": "50",
            "USD": "1234.000000001",
            "errors": "0",
            "estimated": "0",
            "first token p50 ms": "",
            "first token p95 ms": "",
            "duration p50 ms": "2000",
            "duration p95 ms": "2000",
        }
    ]
