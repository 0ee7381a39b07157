"""Budgets hold between real processes, also when one of them dies."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from conversations import ledger
from conversations.models import (
    Budget,
    BudgetCounter,
    Generation,
    Reservation,
    Scope,
    UsageRecord,
    User,
)
from tests.processes import Program, program
from tests.relays import database_url

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT, PROCESSES, TIMES = 10_500, 4, 25
COSTS = 900  # and the prompt's few tokens: eleven do not fit


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": database_url(),
        "UPSTREAM_BASE_URL": "http://127.0.0.1:9/v1",
        "GENERATIONS_PER_USER": "1000",
    }


def begin(env: dict[str, str], *arguments: str, stack: ExitStack) -> Program:
    one = stack.enter_context(
        program("-m", "tests.budget_process", *arguments, env=env, listens=True)
    )
    one.line_with("ready", 90)
    return one


def test_a_hundred_questions_of_four_processes_do_not_pass_a_budget(env: dict[str, str]) -> None:
    Budget.objects.create(scope=Scope.PORTAL, limit=LIMIT)
    people = [User.objects.create_user(f"p{number}@example.com") for number in range(PROCESSES)]
    with ExitStack() as stack:
        askers = [begin(env, person.email, str(TIMES), stack=stack) for person in people]
        for one in askers:
            one.say("go")
        taken = sum(int(one.line_with("taken ", 120).split()[-1]) for one in askers)
    assert taken == LIMIT // COSTS
    assert Generation.objects.count() == Reservation.objects.count() == taken
    counter = BudgetCounter.objects.get()
    assert counter.used == 0
    assert LIMIT - COSTS < counter.reserved <= LIMIT


def test_what_a_killed_process_had_reserved_is_settled_as_unknown(
    env: dict[str, str],
) -> None:
    Budget.objects.create(scope=Scope.PORTAL, limit=LIMIT)
    person = User.objects.create_user("p@example.com")
    with ExitStack() as stack:
        one = begin(env | {"LEDGER_LEASE_SECONDS": "1"}, person.email, "3", "hold", stack=stack)
        one.say("go")
        one.line_with("taken 3", 60)
        assert ledger.sweep() in {0, 3}, "the lease may have ended already"
        one.send(signal.SIGKILL)
        one.ended()
    time.sleep(1.2)
    ledger.sweep()
    assert not Reservation.objects.exists()
    records = UsageRecord.objects.all()
    assert {(row.source, row.outcome, row.reason) for row in records} == {
        ("unknown", "interrupted", "lost")
    }
    counter = BudgetCounter.objects.get()
    assert (len(records), counter.used, counter.reserved) == (3, 3000, 0)
