"""The gateway's few connections to the database: kept, its own, mended when broken."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from django.db import OperationalError, connection
from pytest_django import Settings

from chatweb import logs
from conversations.gateway.database import Database
from conversations.models import User
from tests.relays import db

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    settings.CALL_CONNECTIONS = 2
    opened = Database()
    opened.open()
    yield opened
    await opened.close()


def where() -> tuple[str, int]:
    """The thread and its connection."""
    User.objects.exists()
    return threading.current_thread().name, id(connection.connection)


async def test_as_many_connections_as_set_are_used_and_kept(database: Database) -> None:
    used = set(await asyncio.gather(*(database.ask(where) for _ in range(20))))
    assert len(used) == 2
    assert {await database.ask(where) for _ in range(5)} <= used


async def test_pages_have_others(database: Database) -> None:
    assert (await database.ask(where))[1] != (await db(where))[1]


async def test_a_question_goes_where_the_fewest_wait(database: Database) -> None:
    gate = threading.Event()
    stuck = asyncio.ensure_future(database.ask(gate.wait, 10))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        for _ in range(5):
            await database.ask(where)
    gate.set()
    assert await stuck


async def test_a_broken_connection_is_opened_anew(database: Database) -> None:
    def fail() -> None:
        User.objects.exists()
        raise OperationalError("gone")

    def is_open() -> bool:
        return connection.connection is not None

    for _ in range(2):  # both threads
        with pytest.raises(OperationalError):
            await database.ask(fail)
    assert not any(await asyncio.gather(*(database.ask(is_open) for _ in range(2))))
    assert await database.ask(where)


async def test_the_log_knows_whose_question_it_is(database: Database) -> None:
    logs.request_id.set("request-1")
    assert await database.ask(logs.request_id.get) == "request-1"


async def test_without_its_job_each_question_has_a_connection_of_its_own() -> None:
    assert await Database().ask(User.objects.count) == 0
