"""Each call of a program leaves one record, whatever becomes of it, and fits into every budget."""

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from conversations import catalogue, ledger
from conversations.actions import keys
from conversations.gateway import calls
from conversations.models import (
    Budget,
    Key,
    LanguageModel,
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
from tests.programs import MODEL, Called, body, call, gives_one_choice, key_of
from tests.relays import db
from tests.upstream import ScriptedUpstream
from tests.viewers import until

pytestmark = pytest.mark.django_db(transaction=True)


async def the_record() -> UsageRecord:
    """The only one; nothing is held any more."""
    assert not await db(Reservation.objects.exists)
    return await db(UsageRecord.objects.get)


def budget(limit: int, **fields: Any) -> Budget:
    given: dict[str, Any] = {"scope": Scope.PORTAL, "unit": Unit.TOKENS, "period": Period.DAY}
    return Budget.objects.create(limit=limit, **(given | fields))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_leaves_one_record(token: str, alice: User, stream: bool) -> None:
    got = await call(token, body(stream=stream))
    record = await the_record()
    key = await db(Key.objects.get)
    assert (record.user_id, record.person_label) == (alice.pk, alice.email)
    assert (record.key, record.key_label) == (key.public_id, "Test")
    assert (record.model, record.upstream) == (MODEL, "main")
    assert (record.outcome, record.reason) == ("done", "stop")
    assert (record.prompt_tokens, record.source) == (25, Source.KNOWN)
    assert record.completion_tokens > 0
    assert record.first_token_ms is not None
    name = got.events[0]["id"] if stream else got.json["id"]
    assert record.reference == f"call:{name}"


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason"),
    [
        ("bad_key", "failed", "bad_key"),
        ("no_quota", "failed", "no_quota"),
        ("error_midway", "failed", "upstream_error"),
        ("cut_midway", "interrupted", "interrupted"),
        ("finish reason=length", "done", "length"),
    ],
)
async def test_whatever_becomes_of_it(token: str, scenario: str, outcome: str, reason: str) -> None:
    await call(token, body(f"#scenario {scenario}", stream=True))
    record = await the_record()
    assert (record.outcome, record.reason) == (outcome, reason)
    has_words = scenario.endswith(("midway", "length"))
    assert (record.completion_tokens > 0) is has_words


async def test_a_caller_who_left_is_charged_for_what_was_written(token: str) -> None:
    called = Called(token, body("#scenario slow tokens=1000 rate=50", stream=True))
    await called.begin()
    for _ in range(10):
        await called.piece()
    await called.leave()
    record = await the_record()
    assert (record.outcome, record.reason, record.source) == (
        "stopped",
        "left",
        Source.ESTIMATED,
    )
    assert 0 < record.completion_tokens < 100
    assert record.prompt_tokens > 0


@pytest.mark.parametrize("end", ["left", "too late", "cut"])
async def test_an_answer_in_one_piece_that_is_given_up_may_have_taken_all_of_it(
    token: str, keyed: ScriptedUpstream, settings: Settings, end: str
) -> None:
    held = await db(budget, 1_000_000)
    settings.UPSTREAM_TOTAL_TIMEOUT = 0.5 if end == "too late" else 60
    catalogue.forget()
    scenario = "cut_midway" if end == "cut" else "silent"
    called = Called(token, body(f"#scenario {scenario}", max_tokens=300, n=2))
    if end == "left":
        await called.send_only()
        await until(lambda: bool(keyed.requests))
        await called.leave()
    else:
        await called.all()
        assert called.status == 500
    record = await the_record()
    assert (record.completion_tokens, record.source) == (600, Source.UNKNOWN)
    assert record.prompt_tokens > 0
    counter = await db(held.counters.get)
    assert (counter.used, counter.reserved) == (record.prompt_tokens + 600, 0)


@pytest.mark.parametrize("why", ["rate_limited", "unreachable"])
async def test_what_no_server_was_writing_costs_no_answer(
    token: str,
    keyed: ScriptedUpstream,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    why: str,
) -> None:
    """Given up while it waits to be asked again."""
    settings.UPSTREAM_RETRIES = 5
    if why == "unreachable":
        settings.UPSTREAM_BASE_URL = "http://127.0.0.1:9/v1"
    catalogue.forget()
    called = Called(token, body("#scenario rate_limited retry_after=4", max_tokens=300))
    await called.send_only()
    await until(lambda: why in caplog.text)
    await called.leave()
    record = await the_record()
    assert (record.reason, record.completion_tokens) == ("left", 0)


async def test_what_is_refused_before_it_is_sent_leaves_nothing(
    token: str, settings: Settings
) -> None:
    await call(token, body(temperature=9))
    await call(token, body(model="nowhere"))
    settings.CALLS_PER_PROCESS = 1
    await call(token, body(n=9))
    assert not await db(UsageRecord.objects.exists)
    assert not await db(Reservation.objects.exists)


# --- Budgets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [Scope.PORTAL, Scope.TEAM, Scope.PERSON, Scope.KEY])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_does_not_fit_is_not_sent(
    token: str, alice: User, keyed: ScriptedUpstream, scope: Scope, stream: bool
) -> None:
    whose: dict[str, Any] = {"scope": scope, "contact": "Olga"}
    if scope == Scope.TEAM:
        whose["team"] = await db(Team.objects.create, name="Research")
        await db(TeamMember.objects.create, team=whose["team"], user=alice)
    if scope == Scope.PERSON:
        whose["user"] = alice
    if scope == Scope.KEY:
        whose["key"] = (await db(Key.objects.get)).public_id
    await db(budget, 100, **whose)
    got = await call(token, body(max_tokens=101, stream=stream))
    assert (got.status, got.error["code"]) == (429, "insufficient_quota")
    assert got.error["type"] == "insufficient_quota"
    assert "Olga can raise it" in got.error["message"]
    assert got.headers["x-should-retry"] == "false"
    assert 0 < int(got.headers["retry-after"]) <= 86_400
    assert keyed.requests == []
    assert (await call(token, body(max_tokens=5))).status == 200


async def test_every_choice_is_reserved(token: str) -> None:
    await db(budget, 100)
    assert (await call(token, body(max_tokens=40, n=3))).status == 429
    assert (await call(token, body(max_tokens=20, n=3))).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_is_charged_as_often_as_it_was_sent(
    token: str, keyed: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """The caller is told of one prompt, as the reference has it; the ledger of what ran."""
    gives_one_choice(monkeypatch)
    held = await db(budget, 400)
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    got = await call(token, body(n=3, max_tokens=100, **(more if stream else {})))
    usage = got.events[-2]["usage"] if stream else got.json["usage"]
    assert len(keyed.requests) == 3
    record = await the_record()
    assert (usage["prompt_tokens"], record.prompt_tokens) == (25, 75)
    assert (record.completion_tokens, record.source) == (usage["completion_tokens"], Source.KNOWN)
    counter = await db(held.counters.get)
    assert counter.used == 75 + record.completion_tokens


async def test_a_prompt_is_reserved_as_often_as_it_is_sent(
    token: str, keyed: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = ledger.estimated_tokens(characters=len("Hello?"), messages=1)
    await db(budget, 2 * prompt + 3)
    gives_one_choice(monkeypatch)
    assert (await call(token, body(max_tokens=2, n=2))).status == 429
    assert keyed.requests == []
    assert (await call(token, body(max_tokens=1, n=2))).status == 200


async def test_another_keys_budget_holds_nobody_up(token: str, alice: User) -> None:
    other, _token = await key_of(alice)
    await db(budget, 1, scope=Scope.KEY, key=other.public_id)
    assert (await call(token, body())).status == 200


async def test_where_a_budget_holds_an_answer_has_a_longest(
    token: str, keyed: ScriptedUpstream, settings: Settings
) -> None:
    await call(token, body())
    assert "max_tokens" not in keyed.requests[-1].json
    await db(budget, 1_000_000)
    await call(token, body())
    assert keyed.requests[-1].json["max_tokens"] == settings.BUDGET_ANSWER_TOKENS


async def test_a_budget_is_charged_what_was_used(token: str) -> None:
    held = await db(budget, 1_000_000)
    await call(token, body(max_tokens=500))
    record = await the_record()
    counter = await db(held.counters.get)
    assert counter.used == record.prompt_tokens + record.completion_tokens
    assert counter.reserved == 0


# --- Models of the catalogue ----------------------------------------------------------------------


async def test_a_model_costs_what_its_row_says_and_has_its_parameters(
    token: str, keyed: ScriptedUpstream
) -> None:
    def describe() -> None:
        LanguageModel.objects.update_or_create(
            model_id=MODEL,
            defaults={
                "upstream": "main",
                "price_in": Decimal(2),
                "price_out": Decimal(10),
                "parameters": {"temperature": 0.2, "max_tokens": 3},
                "edited_at": timezone.now(),
            },
        )
        catalogue.refresh()

    await db(describe)
    await call(token, body(top_p=0.5))
    sent = keyed.requests[-1].json
    assert (sent["temperature"], sent["max_tokens"], sent["top_p"]) == (0.2, 3, 0.5)
    record = await the_record()
    assert record.money_nanos == ledger.nanos(
        Decimal(2), Decimal(10), record.prompt_tokens, record.completion_tokens
    )


# --- Leases and faults ----------------------------------------------------------------------------


async def test_a_long_call_keeps_its_lease(token: str, settings: Settings) -> None:
    settings.LEDGER_LEASE_SECONDS = 1
    called = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await called.begin()
    calls._renew_at = 0

    def lease() -> datetime | None:
        return Reservation.objects.get().lease_until

    first = await db(lease)
    async with asyncio.timeout(5):
        while await db(lease) == first:  # noqa: ASYNC110  a row has no event
            await asyncio.sleep(0.05)
    assert await db(ledger.sweep) == 0
    await called.leave()
    assert (await the_record()).reason == "left"


async def test_a_call_that_was_swept_is_not_settled_twice(token: str) -> None:
    called = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await called.begin()
    await db(Reservation.objects.update, lease_until=timezone.now())
    assert await db(ledger.sweep) == 1
    await called.leave()
    assert (await the_record()).reason == "lost"


async def test_a_call_is_settled_when_the_database_is_back(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, failures = ledger.settle, [1, 1]

    def away_at_first(*arguments: Any) -> Any:
        if failures:
            failures.pop()
            raise OperationalError("away")
        return settle(*arguments)

    monkeypatch.setattr(ledger, "settle", away_at_first)
    assert (await call(token, body())).status == 200
    await until(lambda: not failures)
    assert (await the_record()).outcome == "done"


async def test_a_key_that_is_revoked_midway_is_charged_too(token: str, alice: User) -> None:
    called = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await called.begin()
    await db(lambda: keys.revoke(key=Key.objects.get(), actor=alice))
    await called.all()
    assert ((await the_record()).outcome) == "interrupted"
