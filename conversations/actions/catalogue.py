"""The rows of the catalogue: filled from settings and servers, then the operators'."""

import logging
from collections.abc import Collection, Iterable
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from conversations import audit
from conversations import catalogue as offer
from conversations.models import LanguageModel, Team, User

log = logging.getLogger(__name__)

ID_CHARACTERS = 200


def fill(*, upstream: str, listed: Collection[str] = ()) -> int:
    """Adds a row for each model that the settings name for this upstream, offered, and for each
    other one that it lists itself, not offered; how many. Of rows that no operator has edited the
    offer follows the settings; edited ones stay as they are. Models that another upstream has
    already are left out, since people and programs name a model by its id alone.

    What `auto` finds on a server whose models have prices is not offered: at no price it would
    pass every budget of money. It waits until an operator saves it."""
    names = list(dict.fromkeys(name for name in offer.named().get(upstream, []) if _fits(name)))
    others = [name for name in dict.fromkeys(listed) if name not in names and _fits(name)]
    rows = LanguageModel.objects.filter(upstream=upstream)
    known = set(LanguageModel.objects.values_list("model_id", flat=True))
    waits = offer.asks_the_server(upstream) and any(row.has_price for row in rows)
    last = LanguageModel.objects.aggregate(last=Max("position"))["last"] or 0
    fresh = [
        LanguageModel(
            model_id=name,
            upstream=upstream,
            position=last + 10 * (place + 1),
            is_offered=place < len(names) and not waits,
            edited_at=timezone.now() if waits else None,
        )
        for place, name in enumerate([*names, *others])
        if name not in known
    ]
    follow = rows.filter(edited_at=None)
    wrong = follow.exclude(model_id__in=names).filter(is_offered=True) if names else follow.none()
    back = follow.filter(model_id__in=names, is_offered=False)
    if not fresh and not wrong.exists() and not back.exists():
        return 0
    added: dict[str, Any] = {"added": len(fresh)} | ({"waiting": len(fresh)} if waits else {})
    if waits and fresh:
        log.warning("%d new models of %s are not offered until priced", len(fresh), upstream)
    with audit.action(None, "models.filled", upstream=upstream, **added):
        # Another process may be filling it too.
        LanguageModel.objects.bulk_create(fresh, ignore_conflicts=True)
        wrong.update(is_offered=False)
        back.update(is_offered=True)
    offer.refresh()
    return len(fresh)


def _fits(name: str) -> bool:
    """A name that a column and a line can hold."""
    return 0 < len(name) <= ID_CHARACTERS and name.isprintable()


def save(*, model: LanguageModel, teams: Iterable[Team], actor: User) -> None:
    """A new row, or one as an operator wants it: from now on it follows no setting."""
    verb = "model.changed" if model.pk else "model.added"
    with audit.action(actor, verb, model, model=model.model_id, offered=model.is_offered):
        model.edited_at = timezone.now()
        model.save()
        model.teams.set(teams)
        transaction.on_commit(offer.refresh)
