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
