"""How calls of programs end, and how many there may be at once."""

import time

import pytest
from pytest_django import Settings

from conversations.actions import keys, people
from conversations.gateway import calls
from conversations.models import Key, User
from tests.programs import Called, body, call, gateway_at_work, gives_one_choice, key_of
from tests.relays import db
from tests.upstream import ScriptedUpstream
from tests.viewers import until

pytestmark = pytest.mark.django_db(transaction=True)


# --- Its end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_leaves_closes_the_upstream_within_a_second(
    token: str, keyed: ScriptedUpstream, stream: bool
) -> None:
    called = Called(token, body("#scenario slow tokens=1000 rate=20", stream=stream))
    if stream:
        await called.begin()
        await called.piece()
    else:
        await called.send_only()
        await until_asked(keyed)
    before = time.monotonic()
    await called.leave()
    await keyed.until_idle()
    assert time.monotonic() - before < 1
    assert calls.running == 0


async def test_all_requests_for_several_choices_are_closed(
    token: str, keyed: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    gives_one_choice(monkeypatch)
    called = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True, n=4))
    await called.begin()
    await until_asked(keyed, 4)
    await called.leave()
    await keyed.until_idle()


@pytest.mark.parametrize("how", ["suspended", "revoked"])
async def test_a_call_ends_within_two_seconds_of_its_key(
    token: str, keyed: ScriptedUpstream, alice: User, operator: User, how: str
) -> None:
    called = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await called.begin()
    if how == "suspended":
        await db(people.suspend, user=alice, actor=operator)
    else:
        await db(lambda: keys.revoke(key=Key.objects.get(), actor=alice))
    before = time.monotonic()
    await called.all()
    assert time.monotonic() - before < 2
    assert called.events[-1]["error"]["code"] == "invalid_api_key"
    await keyed.until_idle()


async def test_a_call_of_a_process_that_ends_is_told(alice: User, keyed: ScriptedUpstream) -> None:
    _key, token = await key_of(alice)
    async with gateway_at_work():
        streamed = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
        whole = Called(token, body("#scenario slow tokens=1000 rate=20"))
        await streamed.begin()
        await whole.send_only()
        await until_asked(keyed, 2)
    await streamed.all()
    assert streamed.events[-1]["error"]["code"] == "restarting"
    await whole.begin()
    assert (whole.status, whole.headers["retry-after"]) == (503, "2")
    await keyed.until_idle()


async def test_a_process_that_leaves_waits_for_its_calls(token: str, settings: Settings) -> None:
    called = Called(token, body("#scenario slow tokens=10 rate=20", stream=True))
    await called.begin()
    await calls.drain()
    await called.all()
    assert called.events[-1] == "[DONE]"
    settings.RELAY_DRAIN_SECONDS = 0.1
    longer = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await longer.begin()
    await calls.drain()
    assert calls.running == 1
    await longer.leave()


async def until_asked(upstream: ScriptedUpstream, times: int = 1) -> None:
    await until(lambda: len(upstream.requests) >= times)


# --- How many at once -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "of_one_key", "status", "code"),
    [
        ("CALLS_PER_KEY", True, 429, "rate_limit_exceeded"),
        ("CALLS_PER_PERSON", False, 429, "rate_limit_exceeded"),
        ("CALLS_PER_PROCESS", False, 503, "overloaded"),
    ],
)
async def test_no_more_run_at_once_than_set(
    token: str,
    alice: User,
    settings: Settings,
    limit: str,
    of_one_key: bool,
    status: int,
    code: str,
) -> None:
    setattr(settings, limit, 1)
    _key, other = await key_of(alice)
    first = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await first.begin()
    got = await call(token if of_one_key else other, body())
    assert (got.status, got.error["code"]) == (status, code)
    assert got.headers["retry-after"] == "1"
    await first.leave()
    assert (await call(token, body())).status == 200


async def test_another_key_is_not_held_up_by_the_limit_of_one(
    token: str, alice: User, settings: Settings
) -> None:
    settings.CALLS_PER_KEY = 1
    _key, other = await key_of(alice)
    first = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await first.begin()
    assert (await call(other, body())).status == 200
    await first.leave()


async def test_each_choice_counts_where_it_takes_a_connection(
    token: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CALLS_PER_PROCESS = 2
    assert (await call(token, body(n=3))).status == 200
    gives_one_choice(monkeypatch)
    assert (await call(token, body(n=3))).status == 503
    assert (await call(token, body(n=2))).status == 200
