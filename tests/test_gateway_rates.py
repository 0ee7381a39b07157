"""So much a minute, of each key and each person, whatever the number of processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from pytest_django import Settings

from conversations.gateway import rates as module
from conversations.gateway.rates import Rates, Take
from conversations.models import User
from tests.engines import RedisServer
from tests.programs import body, call, key_of
from tests.upstream import ScriptedUpstream

PERSON = "alice"


def take(amount: float = 1, *, limit: int = 60, need: float | None = None, of: str = "a") -> Take:
    return Take("requests", of, limit, amount if need is None else need, amount)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis"])
async def rates(
    request: pytest.FixtureRequest, settings: Settings
) -> AsyncIterator[Callable[[], Rates]]:
    """Makes one for each process that a test has; in memory there is but one."""
    made: list[Rates] = []
    if request.param == "redis":
        settings.REDIS_URLS = [request.getfixturevalue("redis_url")]

    def make() -> Rates:
        if request.param == "redis" or not made:
            made.append(Rates())
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def fits(rates: Rates, *takes: Take) -> bool:
    return (await rates.take(PERSON, takes))[0]


# --- Buckets --------------------------------------------------------------------------------------


async def test_as_many_as_the_limit_fit_at_once_and_no_more(rates: Callable[[], Rates]) -> None:
    one = rates()
    assert [await fits(one, take(limit=5)) for _ in range(6)] == [True] * 5 + [False]


async def test_what_was_taken_comes_back_in_time(rates: Callable[[], Rates]) -> None:
    one = rates()
    assert await fits(one, take(600, limit=600))
    assert not await fits(one, take(5, limit=600))
    _fits, [level] = await one.take(PERSON, [take(5, limit=600)])
    assert 0 < level.wait <= 0.5
    await asyncio.sleep(level.wait + 0.05)
    assert await fits(one, take(5, limit=600))


async def test_all_is_taken_or_nothing(rates: Callable[[], Rates]) -> None:
    one = rates()
    assert await fits(one, take(10, limit=10, of="empty"))
    assert not await fits(one, take(3, of="full"), take(1, limit=10, of="empty"))
    _fits, [full] = await one.take(PERSON, [take(0, of="full")])
    assert full.left == 60


async def test_a_bucket_may_be_overdrawn_and_is_waited_for(rates: Callable[[], Rates]) -> None:
    one = rates()
    assert await fits(one, take(100, need=-1e15))
    _fits, [level] = await one.take(PERSON, [take()])
    assert level.left == pytest.approx(-40, abs=1)
    assert level.wait == pytest.approx(41, abs=1)
    # What is given back never makes more of it than there was.
    assert await fits(one, take(-1_000, need=-1e15))
    _fits, [level] = await one.take(PERSON, [take(0)])
    assert level.left == 60


async def test_people_and_keys_have_buckets_of_their_own(rates: Callable[[], Rates]) -> None:
    one = rates()
    assert await fits(one, take(60, of="a"))
    assert await fits(one, take(60, of="b"))
    assert not await fits(one, take(1, of="a"))


async def test_a_hundred_at_once_in_several_processes_pass_no_limit(
    rates: Callable[[], Rates],
) -> None:
    processes = [rates() for _ in range(4)]
    takes = [fits(processes[number % 4], take(limit=30)) for number in range(100)]
    assert sum(await asyncio.gather(*takes)) in {30, 31}  # one more where half a minute/60 passed


async def test_a_bucket_that_is_full_again_is_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUCKETS_AT_MOST", 10)
    one = Rates(clock)
    assert await fits(one, take(1_000, need=-1e15, of="overdrawn"))
    for number in range(10):
        await fits(one, take(of=str(number)))
    clock.now += 61
    await fits(one, take(of="now"))
    assert set(one._kept) == {"overdrawn", "now"}


# --- Redis ----------------------------------------------------------------------------------------


async def test_what_redis_keeps_runs_out(redis: RedisServer, settings: Settings) -> None:
    settings.REDIS_URLS = [redis.url]
    one = Rates()
    await fits(one, take(30))
    with redis.client() as client:
        assert 0 < client.ttl("chatweb:rate:a") <= 31
    await one.close()


async def test_without_redis_each_process_counts_for_itself_until_it_is_back(
    redis: RedisServer, settings: Settings, clock: Clock
) -> None:
    settings.REDIS_URLS, settings.REDIS_TIMEOUT = [redis.url], 0.2
    one = Rates(clock)
    assert await fits(one, take(60))
    redis.pause()
    before = time.monotonic()
    assert await fits(one, take(60))
    assert not await fits(one, take(1))
    assert time.monotonic() - before < 1
    redis.resume()
    assert not await fits(one, take(60))  # still by itself
    clock.now += module.AWAY_SECONDS
    _fits, [level] = await one.take(PERSON, [take(0)])
    assert level.left < 60
    with redis.client() as client:
        assert client.exists("chatweb:rate:a")
    await one.close()


async def test_people_are_shared_out_among_several_servers(
    redis: RedisServer, settings: Settings
) -> None:
    settings.REDIS_URLS = [f"{redis.url.rpartition('/')[0]}/{number}" for number in range(4)]
    one = Rates()
    for number in range(40):
        await one.take(f"person {number}", [take(of=f"{number}")])
    assert len(one._scripts) == 4
    assert not [await fits(one, take(60)) for _ in range(2)][1]
    await one.close()


# --- What a program sees --------------------------------------------------------------------------


@pytest.fixture
def fresh(token: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key, with nothing taken by other tests."""
    module.rates._kept.clear()
    return token


pytestmark = pytest.mark.django_db(transaction=True)


async def test_each_answer_says_what_is_left(fresh: str, settings: Settings) -> None:
    settings.REQUESTS_PER_KEY, settings.TOKENS_PER_PERSON = 3, 5_000
    for left in (2, 1, 0):
        got = await call(fresh, body())
        assert got.status == 200
        assert got.headers["x-ratelimit-limit-requests"] == "3"
        assert got.headers["x-ratelimit-remaining-requests"] == str(left)
        assert got.headers["x-ratelimit-limit-tokens"] == "5000"
        assert 0 < int(got.headers["x-ratelimit-remaining-tokens"]) < 5_000
        assert got.headers["x-ratelimit-reset-requests"].endswith("ms")
    got = await call(fresh, body(stream=True))
    assert (got.status, got.error["code"], got.error["type"]) == (
        429,
        "rate_limit_exceeded",
        "requests",
    )
    assert 0 < int(got.headers["retry-after"]) <= 20
    assert got.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize("setting", ["REQUESTS_PER_KEY", "REQUESTS_PER_PERSON"])
async def test_another_key_of_the_same_person_shares_only_the_persons(
    fresh: str, alice: User, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, 1)
    _key, other = await key_of(alice)
    assert (await call(fresh, body())).status == 200
    assert (await call(fresh, body())).status == 429
    assert (await call(other, body())).status == (200 if setting == "REQUESTS_PER_KEY" else 429)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("setting", ["TOKENS_PER_KEY", "TOKENS_PER_PERSON"])
async def test_the_tokens_of_an_answer_count_when_it_has_ended(
    fresh: str, settings: Settings, setting: str, stream: bool
) -> None:
    setattr(settings, setting, 30)
    assert (await call(fresh, body(stream=stream))).status == 200
    got = await call(fresh, body())
    assert (got.status, got.error["type"]) == (429, "tokens")
    assert int(got.headers["retry-after"]) >= 1


async def test_a_call_that_failed_gives_its_tokens_back(
    fresh: str, keyed: ScriptedUpstream, settings: Settings
) -> None:
    settings.TOKENS_PER_KEY = 40
    for _ in range(5):
        assert (await call(fresh, body("#scenario failing status=500"))).status == 500
    assert (await call(fresh, body())).status == 200


async def test_a_question_longer_than_a_minutes_worth_waits_for_a_full_bucket(
    fresh: str, settings: Settings
) -> None:
    settings.TOKENS_PER_KEY = 10
    assert (await call(fresh, body("long " * 100))).status == 200
    assert (await call(fresh, body("long " * 100))).status == 429
