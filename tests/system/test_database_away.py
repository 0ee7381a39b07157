"""PostgreSQL restarts, is full, read-only or slow: answers survive, and pages say so."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.db import connections

from chatweb import databases
from conversations.models import Conversation, State, User
from tests.dictation import Dictation
from tests.engines import PostgresServer
from tests.house import House, viewer
from tests.processes import Program, program
from tests.relays import ask, kept, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import session_of, until

Undo = Callable[[], None]
Fault = Callable[[PostgresServer, str], Undo]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _on_postgres(transactional_db: None, postgres_url: str) -> Iterator[None]:
    """What this process reads and writes is in a database of a server that may be broken."""
    mine = connections["default"]
    theirs = databases.configured(postgres_url, pool=10, timeout=1)
    known = connections.settings["default"]
    pools = getattr(type(mine), "_connection_pools", {})
    pool = pools.pop("default", None)
    connections.settings["default"] = connections.configure_settings({"default": theirs})["default"]
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"].close_pool()  # type: ignore[attr-defined]
        connections.settings["default"] = known
        connections["default"] = mine
        if pool is not None:
            pools["default"] = pool


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


# --- Answers --------------------------------------------------------------------------------------


def restart(server: PostgresServer, _database: str) -> Undo:
    server.stop()
    return server.start


def read_only(server: PostgresServer, _database: str) -> Undo:
    server.set_read_only(True)
    return partial(server.set_read_only, False)


def exhausted(server: PostgresServer, database: str) -> Undo:
    server.limit_connections(database, 0)
    server.disconnect(database)
    return partial(server.limit_connections, database, -1)


def slow(server: PostgresServer, database: str) -> Undo:
    lock = ExitStack()
    lock.enter_context(server.locked(database, "conversations_message"))
    return lock.close


def frozen(server: PostgresServer, _database: str) -> Undo:
    server.pause()
    return server.resume


@pytest.fixture
def house(upstream: ScriptedUpstream, postgres_url: str) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(
            programs,
            DATABASE_URL=postgres_url,
            DATABASE_TIMEOUT="1",
            UPSTREAM_BASE_URL=upstream.base_url,
        )


@pytest.mark.parametrize("fault", [restart, read_only, exhausted, slow, frozen])
async def test_an_answer_survives_a_database_that_is_away_and_is_seen_meanwhile(
    fault: Fault,
    house: House,
    postgres: PostgresServer,
    postgres_database: str,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
) -> None:
    web = house.web()
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One")
        await kept(generation, "One")
        undo = await asyncio.to_thread(fault, postgres, postgres_database)
        try:
            dictation.say(" two")
            await until(lambda: watching.text(generation.public_id).strip() == "One two")
            await asyncio.sleep(2.5)  # longer than the database's timeouts
            dictation.say(" three")
            dictation.finish()
            await asyncio.sleep(0.5)
        finally:
            await asyncio.to_thread(undo)
        row = await settled(generation, seconds=20)
        assert (row.state, await text_of(generation)) == (State.DONE, "One two three")
        assert "One two three" in (await watching.next("settled"))["html"]
        assert watching.code is None


# --- Pages ----------------------------------------------------------------------------------------


@pytest.fixture
def portal(postgres_url: str) -> Iterator[Program]:
    env = {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATABASE_URL": postgres_url,
        "DATABASE_TIMEOUT": "6",
        "UPSTREAM_BASE_URL": "http://127.0.0.1:9/v1",
    }
    with program("-m", "tests.portal_process", env=env) as running:
        yield running


@pytest.fixture
def visitor(portal: Program, alice: User) -> Iterator[httpx.Client]:
    port = int(portal.line_with("port ").split()[-1])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        client.cookies.set(settings.SESSION_COOKIE_NAME, session_of(alice))
        yield client


def send(visitor: httpx.Client, conversation: Conversation, *, htmx: bool = True) -> httpx.Response:
    address = f"/c/{conversation.public_id}/"
    if "csrftoken" not in visitor.cookies:
        assert visitor.get(address).status_code == 200
    headers = {"X-CSRFToken": visitor.cookies["csrftoken"], "Origin": str(visitor.base_url)}
    headers["Origin"] = headers["Origin"].rstrip("/")
    if htmx:
        headers["HX-Request"] = "true"
    form = {"text": "Why?", "request_id": str(uuid4())}
    return visitor.post(f"{address}messages/", data=form, headers=headers)


def says_that_it_passes(answer: httpx.Response) -> bool:
    return (
        answer.status_code == 503
        and int(answer.headers["Retry-After"]) > 0
        and "database" in answer.text
        and "Traceback" not in answer.text
        and answer.headers["Cache-Control"] == "private, no-store"
    )


def back_within(visitor: httpx.Client, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if visitor.get("/").status_code == 200:
            return True
    return False


def test_a_page_says_that_the_database_is_away_and_is_back_with_it(
    visitor: httpx.Client, postgres: PostgresServer, conversation: Conversation
) -> None:
    assert visitor.get("/").status_code == 200
    postgres.stop()
    page = visitor.get(f"/c/{conversation.public_id}/")
    assert says_that_it_passes(page)
    assert "<h1>" in page.text
    postgres.start()
    assert back_within(visitor, 6)


def test_connections_that_a_restart_broke_keep_nobody_waiting_one_after_the_other(
    visitor: httpx.Client,
    postgres: PostgresServer,
    postgres_database: str,
    conversation: Conversation,
) -> None:
    """The portal holds several idle ones; each would cost a page a longer pause than the last."""
    before = postgres.connections(postgres_database)
    with (
        ThreadPoolExecutor(8) as pages,
        postgres.locked(postgres_database, "conversations_conversation"),
    ):
        waiting = [pages.submit(visitor.get, f"/c/{conversation.public_id}/") for _ in range(8)]
        deadline = time.monotonic() + 5
        while postgres.connections(postgres_database) < before + 6:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert all(page.result().status_code for page in waiting)
    postgres.restart()
    time.sleep(1.5)  # nobody asks in the meantime
    began = time.monotonic()
    for _ in range(6):
        assert visitor.get("/").status_code == 200
    assert time.monotonic() - began < 3


def test_a_question_to_a_database_without_room_is_not_taken_and_says_so(
    visitor: httpx.Client,
    postgres: PostgresServer,
    postgres_database: str,
    conversation: Conversation,
) -> None:
    assert send(visitor, conversation).status_code == 200
    postgres.limit_connections(postgres_database, 0)
    postgres.disconnect(postgres_database)
    answer = send(visitor, conversation)
    assert says_that_it_passes(answer)
    assert answer.headers["Content-Type"].startswith("text/plain")
    postgres.limit_connections(postgres_database, -1)
    assert back_within(visitor, 6)


def test_a_read_only_database_shows_pages_and_takes_no_question(
    visitor: httpx.Client, postgres: PostgresServer, conversation: Conversation
) -> None:
    assert visitor.get("/").status_code == 200
    postgres.set_read_only(True)
    assert visitor.get(f"/c/{conversation.public_id}/").status_code == 200
    assert says_that_it_passes(send(visitor, conversation))
    assert says_that_it_passes(send(visitor, conversation, htmx=False))
    postgres.set_read_only(False)
    assert send(visitor, conversation).status_code == 200


def test_a_database_that_is_too_slow_keeps_nobody_waiting_for_ever(
    visitor: httpx.Client,
    postgres: PostgresServer,
    postgres_database: str,
    conversation: Conversation,
) -> None:
    address = f"/c/{conversation.public_id}/"
    assert visitor.get(address).status_code == 200
    with postgres.locked(postgres_database, "conversations_conversation"):
        began = time.monotonic()
        assert says_that_it_passes(visitor.get(address))
        assert time.monotonic() - began < 12
    assert visitor.get(address).status_code == 200


def test_cut_connections_are_found_out_before_a_page_gets_one(
    visitor: httpx.Client, postgres: PostgresServer, postgres_database: str
) -> None:
    for _ in range(2):
        assert visitor.get("/").status_code == 200
        postgres.disconnect(postgres_database)
    assert visitor.get("/").status_code == 200
