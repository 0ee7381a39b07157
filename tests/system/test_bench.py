"""The benchmark, in its smallest form: it measures what it says."""

from dataclasses import replace

import pytest

from tests.bench import answer, gateway, relay, report, room, scale
from tests.bench.loads import Load
from tests.engines import RedisServer


@pytest.fixture(scope="module")
def pair() -> relay.Pair:
    (measured,) = relay.run(
        [Load(2, 20, seconds=1, slack=0.5)], idle=1, rounds=1, say=lambda text: None
    )
    return measured


@pytest.mark.parametrize("server", ["bare", "portal"])
def test_every_answer_arrives_whole(pair: relay.Pair, server: str) -> None:
    measured = getattr(pair, server)
    assert (measured.whole, measured.answers) == (2, 2)


@pytest.mark.parametrize("server", ["bare", "portal"])
def test_all_that_is_measured_has_a_figure(pair: relay.Pair, server: str) -> None:
    figures = vars(getattr(pair, server))
    assert [name for name, figure in figures.items() if not figure > 0] == []


def test_the_table_sets_the_portal_against_the_bare_relay(pair: relay.Pair) -> None:
    lines = report.table([pair]).splitlines()
    assert [line[:24].split() for line in lines[-3:]] == [
        ["2", "streams,", "20/s", "bare"],
        ["portal"],
        ["ratio"],
    ]


def test_a_word_says_when_it_was_written() -> None:
    written = [5_000_000_000, 5_000_000_001, 5_000_090_000]
    text = " ".join(answer.word(tick) for tick in written)
    assert answer.ticks(text, now=5_000_090_000) == written


def test_a_crowd_at_one_answer_ends_with_the_same() -> None:
    felt = scale.crowd(lambda _text: None, sockets=6, idle=0.5, viewers=3, back=1, seconds=4)
    assert (felt.dropped, felt.whole) == (0, 2)
    assert 0 < felt.back_p50 <= felt.back_p95
    assert 0 < felt.delay_p50 <= felt.delay_p95
    assert felt.cpu_frame > 0


def test_all_people_of_all_rooms_see_every_word() -> None:
    small = room.Room(Load(2, 20, seconds=1, slack=0.5), people=3)
    [one] = measured = room.run(lambda _text: None, [small])
    felt = one.portal
    assert (felt.whole, felt.viewers) == (6, 6)
    assert 0 < felt.delay_p50 <= felt.delay_p95 <= felt.delay_p99
    assert 0 < felt.cpu_view < felt.cpu_token
    assert 0 < felt.memory_open <= felt.memory_most
    assert room.table(measured).splitlines()[-1].startswith("| 2 of 3, 20/s | 6/6 | ")


def test_open_webui_is_left_out_where_it_is_not_installed() -> None:
    said: list[str] = []
    small = room.Room(Load(1, 20, seconds=1, slack=0.5), people=2)
    [one] = room.run(said.append, [small], kin="no-such-open-webui")
    assert said[0] == "Open WebUI is left out: no-such-open-webui is not installed"
    assert one.kin is None
    assert room.table([one]).count("\n") == 2
    beside = replace(one, kin=replace(one.portal, cpu_view=4 * one.portal.cpu_view))
    *_, kin, ratios = room.table([beside]).splitlines()
    assert kin.startswith("| the same, Open WebUI | 2/2 | ")
    assert ratios.startswith("| portal : Open WebUI |  | 1.00 | ")
    assert "| 0.25 |" in ratios


def test_two_processes_are_set_against_one(redis_server: RedisServer) -> None:
    measured = scale.split(Load(2, 20, seconds=1, slack=0.5), lambda _text: None)
    assert measured.one.whole == measured.two.whole == 2
    assert measured.redis > 0
    assert measured.two.cpu > 0


def test_the_gateway_is_set_against_the_model_server_itself() -> None:
    said: list[str] = []
    measured = gateway.run(
        said.append, callers=2, streams=2, rate=20, seconds=1, kin="no-such-litellm"
    )
    assert said[-1] == "LiteLLM's proxy is left out: no-such-litellm is not installed"
    assert [(one.whole, one.streams) for one in measured.values()] == [(2, 2), (2, 2)]
    direct, portal = measured["direct"], measured["portal"]
    assert direct.requests > 0
    assert portal.request_cpu > 0
    assert portal.token_cpu > 0
    assert 0 < direct.delay_p50 <= portal.delay_p99
    assert gateway.table(measured).count("\n") == 2
