"""Tokens and money as people read them."""

import pytest
from pytest_django import Settings

from conversations import amounts
from conversations.amounts import NANO


@pytest.mark.parametrize(
    ("nanos", "shown"),
    [
        (0, "0.00 EUR"),
        (NANO * 1234567 + NANO // 2, "1,234,567.50 EUR"),
        (NANO // 100, "0.010 EUR"),
        (NANO // 5, "0.20 EUR"),
        (1234, "0.0000012 EUR"),
        (1, "0.000000001 EUR"),
    ],
)
def test_money_never_looks_like_nothing(settings: Settings, nanos: int, shown: str) -> None:
    settings.CURRENCY = "EUR"
    assert amounts.money(nanos) == shown


def test_machines_read_it_plain() -> None:
    assert amounts.exact(NANO * 1234567 + 1) == "1234567.000000001"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (950, "950"), (1200, "1.2k"), (34_000, "34k"), (5_600_000, "5.6M"), (10**10, "10G")],
)
def test_an_axis_has_room_for_few_letters(number: int, shown: str) -> None:
    assert amounts.count(number) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(None, ""), (0, "0.0 s"), (1234, "1.2 s"), (65_000, "65 s")]
)
def test_times_are_seconds(milliseconds: int | None, shown: str) -> None:
    assert amounts.duration(milliseconds) == shown


@pytest.mark.parametrize(("part", "whole", "percent"), [(0, 0, 0), (1, 1000, 1), (1, 2, 50)])
def test_a_share_of_something_is_not_nothing(part: int, whole: int, percent: int) -> None:
    assert amounts.share(part, whole) == percent
