"""Numbers of the ledger as people read them."""

from django import template

from conversations import amounts

register = template.Library()
for name in ("money", "amount", "count", "duration"):
    register.filter(name, getattr(amounts, name))
register.filter("share_of", amounts.share)
