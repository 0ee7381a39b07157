"""Writes the audit trail. Entries are only ever added."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError, models, transaction

from conversations.models import AuditEntry, Outcome, User

log = logging.getLogger(__name__)


def record(
    actor: User | None,
    verb: str,
    target: models.Model | None = None,
    *,
    case: str = "",
    outcome: Outcome = Outcome.DONE,
    **details: Any,
) -> AuditEntry:
    """Adds an entry now: inside a transaction it stands or falls with it. `details` holds
    JSON values and never text that a person or a model wrote."""
    return AuditEntry.objects.create(
        actor=actor,
        actor_label=actor.email if actor else "system",
        verb=verb,
        object_type=(target._meta.model_name or "") if target else "",
        object_id=str(getattr(target, "public_id", target.pk)) if target else "",
        case=case,
        outcome=outcome,
        details=details,
    )


@dataclass
class Act:
    """What is being done; it may turn out to be something else than it began as."""

    verb: str


@contextmanager
def action(
    actor: User | None, verb: str, target: models.Model | None = None, **details: Any
) -> Iterator[Act]:
    """One transaction that leaves an entry either way: with the change when it commits, by itself
    and marked as failed when it does not. Of what a database that is away refused the log tells."""
    act = Act(verb)
    try:
        with transaction.atomic():
            yield act
            record(actor, act.verb, target, **details)
    except (OperationalError, InterfaceError) as error:
        # The entry would wait as long again, and with it whoever is to hear of this.
        log.warning("%s failed and left no entry: %s", act.verb, type(error).__name__)
        raise
    except BaseException as error:
        # Not swallowed: the trail must outlive the rollback, then the error goes its way.
        record(
            actor, act.verb, target, outcome=Outcome.FAILED, error=type(error).__name__, **details
        )
        raise
