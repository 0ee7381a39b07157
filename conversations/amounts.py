"""Tokens and money as people read them."""

from decimal import Decimal

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _

NANO = 1_000_000_000  # of the currency's unit: whole numbers are exact on every database
DIGITS = 9


def money(nanos: int) -> str:
    """Two digits after the point; where that would show nothing, as many as show something."""
    value = Decimal(nanos) / NANO
    places = 2
    while value and places < DIGITS and abs(value) < Decimal(1).scaleb(-places + 1):
        places += 1
    return f"{number_format(value, places, force_grouping=True)} {settings.CURRENCY}"


def tokens(number: int) -> str:
    return _("%(n)s tokens") % {"n": number_format(number, force_grouping=True)}


def amount(number: int, unit: str) -> str:
    """`number` is in tokens, or in nanos of money."""
    return money(number) if unit == "money" else tokens(number)


def exact(nanos: int) -> str:
    """For machines: no currency, no grouping, a point."""
    return f"{Decimal(nanos) / NANO:f}"


def count(number: int) -> str:
    """Short enough for an axis: 950, 12k, 3.4M."""
    for size, mark in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size:
            value = number / size
            return f"{value:.1f}{mark}" if value < 10 else f"{value:.0f}{mark}"
    return str(number)


def duration(milliseconds: int | None) -> str:
    """Seconds, to a tenth below ten."""
    if milliseconds is None:
        return ""
    seconds = milliseconds / 1000
    return _("%(n)s s") % {"n": number_format(seconds, 1 if seconds < 10 else 0)}


def share(part: int, whole: int) -> int:
    """Of a hundred, and 1 at least where there is any."""
    return max(1, round(100 * part / whole)) if part and whole else 0
