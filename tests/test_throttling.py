"""Sign-in attempts in a database that takes no writes are not taken for too many."""

from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection

pytestmark = pytest.mark.django_db


def refusing(execute: Any, sql: str, *arguments: Any) -> Any:
    if sql.startswith(("INSERT", "UPDATE", "DELETE")):
        raise OperationalError("cannot execute in a read-only transaction")
    return execute(sql, *arguments)


def test_the_first_one_to_add_wins() -> None:
    assert cache.add("lock", 1)
    assert not cache.add("lock", 1)


def test_a_write_that_is_refused_is_no_lost_race() -> None:
    with connection.execute_wrapper(refusing), pytest.raises(OperationalError):
        cache.add("lock", 1)
    assert cache.add("lock", 1)
