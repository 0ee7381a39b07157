"""The models on offer: the operators' rows, and what the settings and the servers name.

A row that no operator has edited follows the settings, or with `auto` the server's list. One that
was edited is the operators' alone. What has no row yet is offered all the same, unless it was found
by `auto` on a server whose models have prices: it would be free.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from chatweb.upstreams import LOCAL, MAIN
from conversations.catalogue import servers
from conversations.models import LanguageModel, TeamMember, User


@dataclass(frozen=True, slots=True)
class Model:
    """One that is offered. Prices are for a million tokens, in CURRENCY."""

    id: str
    upstream: str
    given_label: str = ""
    note: str = ""
    price_in: Decimal = Decimal(0)
    price_out: Decimal = Decimal(0)
    # temperature, top_p, max_tokens, stop: where the asker says nothing.
    parameters: Mapping[str, Any] = field(default_factory=dict, compare=False)
    # How much it keeps in mind, in tokens; None: not known.
    context_tokens: int | None = None
    # Ids of the teams that may use it; none: everybody.
    teams: frozenset[int] = frozenset()
    # When the portal first heard of it; None: it has no row yet.
    known_since: datetime | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        return self.given_label or self.id


@dataclass(frozen=True, slots=True)
class _Known:
    """The table as this process last read it."""

    at: float
    rows: tuple[tuple[LanguageModel, frozenset[int]], ...]


_known: _Known | None = None
# What servers answered that are asked for their models, in this process.
_learned: dict[str, list[str]] = {}


def learn(names: list[str], upstream: str = MAIN) -> None:
    _learned[upstream] = names


def refresh() -> None:
    """The table has changed: the next question reads it again."""
    global _known  # noqa: PLW0603  the one of this process
    _known = None


def forget() -> None:
    """As at the start of a process."""
    refresh()
    _learned.clear()
    servers._upstream.cache_clear()


def _rows() -> tuple[tuple[LanguageModel, frozenset[int]], ...]:
    global _known  # noqa: PLW0603
    known = _known
    if known is None or time.monotonic() - known.at >= settings.CATALOGUE_SECONDS:
        asked = time.monotonic()
        teams: dict[int, set[int]] = {}
        rows = list(LanguageModel.objects.order_by("position", "pk"))
        if rows:
            for row, team in LanguageModel.teams.through.objects.values_list(
                "languagemodel_id", "team_id"
            ):
                teams.setdefault(row, set()).add(team)
        known = _Known(asked, tuple((row, frozenset(teams.get(row.pk, ()))) for row in rows))
        _known = known
    return known.rows


def named() -> dict[str, list[str]]:
    """For each server the models that it is known to have: from settings, or as it says itself."""
    return {
        name: list(_learned.get(name, []))
        if servers.asks_the_server(name)
        else servers.configured_models(name)
        for name in servers.upstreams()
    }


def models() -> tuple[Model, ...]:
    """In the order in which they are offered; empty while nothing is set up."""
    names = named()
    rows = _rows()
    offered = {row.model_id: _model(row, teams) for row, teams in rows if _is_offered(row, names)}
    taken = {row.model_id for row, _teams in rows if row.upstream in names and row.edited_at}
    have_prices = {row.upstream for row, _teams in rows if row.has_price}
    for upstream, known in names.items():
        if upstream in have_prices and servers.asks_the_server(upstream):
            continue
        for name in known:
            if name not in taken:
                offered.setdefault(name, Model(name, upstream, note=_note(upstream)))
    return tuple(offered.values())


def find(model_id: str) -> Model | None:
    return next((model for model in models() if model.id == model_id), None)


def models_for(user: User) -> tuple[Model, ...]:
    offered = models()
    if not any(model.teams for model in offered):
        return offered
    teams = _teams_of(user)
    return tuple(model for model in offered if not model.teams or model.teams & teams)


def find_for(user: User, model_id: str) -> Model | None:
    model = find(model_id)
    return model if model is not None and may_use(user, model) else None


def may_use(user: User, model: Model) -> bool:
    return not model.teams or bool(model.teams & _teams_of(user))


def _teams_of(user: User) -> set[int]:
    return set(TeamMember.objects.filter(user=user).values_list("team_id", flat=True))


def _is_offered(row: LanguageModel, names: dict[str, list[str]]) -> bool:
    if row.upstream not in names:
        return False  # its server is set up no more
    if row.edited_at is not None or not names[row.upstream]:
        return row.is_offered
    return row.model_id in names[row.upstream]


def _model(row: LanguageModel, teams: frozenset[int]) -> Model:
    is_local = row.upstream == LOCAL  # goes by the name of its file, with our word of warning
    return Model(
        id=row.model_id,
        upstream=row.upstream,
        given_label="" if is_local else row.label,
        note=_note(LOCAL) if is_local else row.description,
        price_in=row.price_in,
        price_out=row.price_out,
        parameters=row.parameters,
        context_tokens=row.context_tokens,
        teams=teams,
        known_since=row.created_at,
    )


def _note(upstream: str) -> str:
    if upstream != LOCAL:
        return ""
    return _("A very small model on this machine: quick to try, often wrong.")
