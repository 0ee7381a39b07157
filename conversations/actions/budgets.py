"""Budgets: set and taken away. What they count is the ledger's."""

from conversations import audit
from conversations.models import Budget, User


def save(*, budget: Budget, actor: User) -> None:
    verb = "budget.changed" if budget.pk else "budget.made"
    with audit.action(
        actor,
        verb,
        budget,
        scope=budget.scope,
        person=budget.user.public_id if budget.user else "",
        team=budget.team.public_id if budget.team else "",
        key=budget.key,
        unit=budget.unit,
        period=budget.period,
        limit=budget.limit,
        holds=budget.is_active,
    ):
        budget.save()


def delete(*, budget: Budget, actor: User) -> None:
    with audit.action(actor, "budget.deleted", budget, scope=budget.scope, limit=budget.limit):
        budget.delete()
