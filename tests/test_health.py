"""What a process knows of itself and of what it needs, and when it wants no requests."""

import asyncio
import time
from typing import Any

import pytest
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from chatweb.upstreams import Server
from conversations import actions, catalogue, events, health, metrics
from conversations.counts import counts
from conversations.events.exchange import Exchange
from conversations.health import Beats, Health, Look
from conversations.models import Conversation, User, Worker
from conversations.relay import Relay
from tests.relays import ask, database_locked, db, settled
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(settings: Settings) -> None:
    """Whoever asks looks anew, and no answer of another test was heard."""
    settings.HEALTH_SECONDS = settings.HEALTH_UPSTREAM_SECONDS = 0
    settings.HEALTH_TIMEOUT = 5
    counts.upstream_heard.clear()


async def state(part: str) -> str:
    return (await health.report()).parts[part].state


# --- Ready or not ---------------------------------------------------------------------------------


async def test_with_all_that_it_needs_it_is_ready(relay: Relay, settings: Settings) -> None:
    settings.RELAY_LEASE_SECONDS = 1  # it beats four times as often
    async with asyncio.timeout(10):
        while (report := await health.report()).state != "ready":  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert report.is_fit
    assert {name: part.state for name, part in report.parts.items()} == {
        "database": "up",
        "layer": "not used",
        "relay": "up",
        "upstream": "up",
    }


async def test_a_process_that_leaves_is_not_fit_however_well_it_is(
    upstream: ScriptedUpstream,
) -> None:
    health.leave()
    report = await health.report()
    assert (report.state, report.is_fit) == ("leaving", False)


@pytest.fixture
def _own_file() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("a pool cannot be led elsewhere; see tests/system/test_database_away.py")


@pytest.mark.usefixtures("_own_file")
async def test_without_a_database_it_is_not_fit(settings: Settings, tmp_path: Any) -> None:
    name = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(tmp_path / "no-such-folder" / "db")
    try:
        report = await health.report()
    finally:
        connection.settings_dict["NAME"] = name
    assert (report.state, report.is_fit) == ("not ready", False)
    assert report.parts["database"].state == "down"
    assert report.parts["relay"].state == "unknown"


@pytest.mark.usefixtures("_own_file")
async def test_an_empty_database_is_one_that_was_not_migrated(tmp_path: Any) -> None:
    name = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(tmp_path / "empty")
    try:
        report = await health.report()
    finally:
        connection.settings_dict["NAME"] = name
    assert (report.parts["database"].state, report.is_fit) == ("not migrated", False)


async def test_a_migration_that_is_not_applied_makes_it_unfit_until_it_is() -> None:
    last = await db(MigrationRecorder(connection).migration_qs.latest, "pk")
    key = last.app, last.name
    await db(MigrationRecorder(connection).record_unapplied, *key)
    try:
        report = await health.report()
        assert not report.is_fit
        assert report.parts["database"].state == "not migrated"
    finally:
        await db(MigrationRecorder(connection).record_applied, *key)
    assert (await health.report()).is_fit


async def test_a_migration_of_a_later_version_changes_nothing() -> None:
    await db(MigrationRecorder(connection).record_applied, "conversations", "9999_later")
    try:
        assert (await health.report()).is_fit
    finally:
        await db(MigrationRecorder(connection).record_unapplied, "conversations", "9999_later")


async def test_a_writer_that_holds_the_database_does_not_make_it_unfit() -> None:
    with database_locked():
        assert (await health.report()).is_fit


async def test_without_a_relay_pages_are_served_all_the_same() -> None:
    report = await health.report()
    assert report.parts["relay"].state == "down"
    assert (report.state, report.is_fit) == ("degraded", True)


async def test_without_a_model_server_pages_are_served_all_the_same(settings: Settings) -> None:
    report = await health.report()  # nobody listens at the address of the tests' settings
    assert report.parts["upstream"].state == "down"
    assert report.is_fit


async def test_no_model_server_at_all_is_nothing_to_wait_for(settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL = ""
    assert await state("upstream") == "not used"


async def test_a_channel_layer_that_nobody_has_joined_is_down(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {}}
    assert events.hub.exchange is None
    report = await health.report()
    assert report.parts["layer"].state == "down"
    assert report.is_fit


async def test_a_channel_layer_is_as_this_process_hears_itself_in_it(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {}}
    events.hub.exchange = Exchange(None)
    try:
        assert await state("layer") == "down"
        events.hub.exchange.is_up = True
        assert await state("layer") == "up"
    finally:
        events.hub.exchange = None


# --- The model server -----------------------------------------------------------------------------


async def test_asking_after_the_model_server_asks_for_no_answer(
    upstream: ScriptedUpstream,
) -> None:
    assert await state("upstream") == "up"
    assert [request.path for request in upstream.requests] == ["/v1/models"]


async def test_it_is_not_asked_at_every_probe(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    settings.HEALTH_UPSTREAM_SECONDS = 60
    for _ in range(5):
        assert await state("upstream") == "up"
    assert len(upstream.requests) == 1


async def test_an_answer_that_was_heard_is_as_good(
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
) -> None:
    settings.HEALTH_UPSTREAM_SECONDS = 60
    await settled(await ask(conversation, alice))
    asked = len(upstream.requests)
    assert await state("upstream") == "up"
    assert len(upstream.requests) == asked


async def test_each_of_several_servers_is_looked_after(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    settings.UPSTREAM_SERVERS = {"lab": Server("lab", "http://127.0.0.1:9/v1", "lab-key")}
    settings.METRICS_TOKEN = "a-token-of-this-test"
    parts = (await health.report()).parts
    assert {name: part.state for name, part in parts.items() if "upstream" in name} == {
        "upstream": "down",
        "upstream main": "up",
        "upstream lab": "down",
    }
    told = (await metrics.page()).decode()
    assert 'chatweb_part_up{part="upstream lab"} 0.0' in told
    assert 'chatweb_part_up{part="upstream main"} 1.0' in told
    assert "lab-key" not in told


async def test_a_key_that_is_refused_counts_as_down(settings: Settings) -> None:
    async with ScriptedUpstream(key="another") as upstream:
        settings.UPSTREAM_BASE_URL = upstream.base_url
        settings.UPSTREAM_API_KEY = "not-the-key"
        catalogue.forget()
        assert await state("upstream") == "down"


async def test_a_server_that_hangs_holds_no_probe_up(settings: Settings) -> None:
    settings.HEALTH_TIMEOUT, settings.HEALTH_UPSTREAM_TIMEOUT = 0.2, 0.5

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings.UPSTREAM_BASE_URL = f"http://127.0.0.1:{port}/v1"
        began = time.monotonic()
        assert await state("upstream") == "unknown"
        assert time.monotonic() - began < 0.4
        await asyncio.sleep(0.5)
        settings.HEALTH_UPSTREAM_SECONDS = 60
        assert await state("upstream") == "down"


# --- Relays, by their beats -----------------------------------------------------------------------


async def test_a_relay_that_stands_still_is_found_out_whatever_its_clock_says(
    settings: Settings,
) -> None:
    settings.RELAY_LEASE_SECONDS = 1
    await db(actions.workers.beat, name="elsewhere:1:a", running=0)
    assert await state("relay") == "unknown"
    await db(actions.workers.beat, name="elsewhere:1:a", running=0)
    assert await state("relay") == "up"
    await db(Worker.objects.update, beat_at="2099-01-01T00:00:00Z")
    await asyncio.sleep(1.1)
    assert await state("relay") == "down"


def test_between_two_looks_a_relay_does_not_age(settings: Settings) -> None:
    settings.RELAY_LEASE_SECONDS = 0.01
    beats = Beats()
    beats.look({"a": 1})
    beats.look({"a": 2})
    time.sleep(0.05)
    assert beats.state == "up"


# --- Looking --------------------------------------------------------------------------------------


async def test_what_is_known_says_how_old_it_is(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    settings.HEALTH_SECONDS = 60
    await health.report()
    await asyncio.sleep(0.2)
    age = (await health.report()).parts["database"].age
    assert age is not None
    assert 0.2 <= age < 5


async def test_many_who_ask_at_once_cause_one_look(settings: Settings) -> None:
    looks = []

    async def slow() -> int:
        looks.append(1)
        await asyncio.sleep(0.1)
        return 1

    look = Look(slow)
    await asyncio.gather(*(look.refresh(older_than=60) for _ in range(50)))
    assert (len(looks), look.found) == (1, 1)


async def test_a_look_that_hangs_makes_the_next_ones_wait_no_more(settings: Settings) -> None:
    settings.HEALTH_TIMEOUT = 0.2
    for_ever = asyncio.Event()
    look = Look(for_ever.wait)
    await look.refresh(older_than=0)
    began = time.monotonic()
    await look.refresh(older_than=0)
    assert time.monotonic() - began < 0.1
    assert look.is_stuck
    for_ever.set()
    await look.refresh(older_than=60)
    await asyncio.sleep(0)
    assert not look.is_stuck


async def test_a_database_that_hangs_is_down_and_holds_no_probe_up(settings: Settings) -> None:
    settings.HEALTH_TIMEOUT = 0.2
    own = Health()
    for_ever = asyncio.Event()

    async def hanging() -> None:
        await for_ever.wait()

    own._tables = Look(hanging)
    began = time.monotonic()
    report = await own.report()
    assert time.monotonic() - began < 1
    assert report.parts["database"].state == "down"
    assert not report.is_fit
    for_ever.set()
    await asyncio.sleep(0.01)


async def test_a_mistake_of_ours_is_logged_and_makes_it_unfit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = Health()

    async def broken() -> None:
        raise LookupError("a mistake")

    own._tables = Look(broken)
    report = await own.report()
    assert not report.is_fit
    assert "a mistake" in caplog.text


async def test_the_log_hears_of_changes_alone(
    caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    for _ in range(5):
        await health.report()
    said = [record.getMessage() for record in caplog.records]
    assert said.count("the upstream is down now") == 1


async def test_looking_leaves_no_connection_behind(upstream: ScriptedUpstream) -> None:
    before = {id(one) for one in connections.all(initialized_only=True)}
    await health.report()
    assert {id(one) for one in connections.all(initialized_only=True)} == before
