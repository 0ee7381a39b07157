"""What is counted, and that it is told in words of ours alone."""

import asyncio
import re
import time
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from conversations import actions, events, metrics
from conversations.counts import LABELS_AT_MOST, Counts, Histogram
from conversations.models import Conversation, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.relays import ask, db, load, settled, when
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)

ENDED = "chatweb_generations_ended_total"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped() -> Samples:
    text = (await metrics.page()).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Growth:
    """What was counted since; a process counts from its beginning and tests share one."""

    def __init__(self, before: Samples) -> None:
        self._before = before

    async def of(self, name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return (await scraped()).get(key, 0.0) - self._before.get(key, 0.0)

    async def reaches(self, value: float, name: str, **labels: str) -> bool:
        """What happens in other threads is counted a moment after it is in the table."""
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await self.of(name, **labels) != value:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                return True
        return False


@pytest.fixture
async def growth() -> Growth:
    return Growth(await scraped())


# --- Answers --------------------------------------------------------------------------------------


async def test_an_answer_is_counted_with_its_times(
    growth: Growth, relay: Relay, conversation: Conversation, alice: User
) -> None:
    await settled(await ask(conversation, alice))
    assert await growth.reaches(1, ENDED, state="done", outcome="stop")
    assert await growth.of("chatweb_first_token_seconds_count") == 1
    assert await growth.of("chatweb_generation_seconds_count") == 1
    assert await growth.of("chatweb_generation_seconds_bucket", le="10.0") == 1
    assert await growth.of("chatweb_frame_delay_seconds_count") >= 1
    assert await growth.of("chatweb_frame_delay_seconds_sum") < 1


async def test_a_failed_answer_is_counted_under_its_code(
    growth: Growth, relay: Relay, conversation: Conversation, alice: User
) -> None:
    await settled(await ask(conversation, alice, "#scenario bad_key"))
    assert await growth.reaches(1, ENDED, state="failed", outcome="bad_key")
    assert await growth.of("chatweb_upstream_errors_total", code="bad_key") == 1
    assert await growth.of("chatweb_first_token_seconds_count") == 0


async def test_each_failed_try_is_counted(
    growth: Growth, relay: Relay, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_POSTPONE_SECONDS = 10
    await settled(await ask(conversation, alice, "#scenario refused status=503"), seconds=30)
    assert await growth.reaches(3, "chatweb_upstream_errors_total", code="upstream_error")


async def test_a_stopped_answer_is_counted_once_and_as_stopped(
    growth: Growth,
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    generation = await ask(conversation, alice)
    dictation.say("Some words.")
    await when(generation, lambda row: row.state == "running")
    await until(dictation.asked.is_set)
    assert (await scraped())["chatweb_generations_running", frozenset()] == 1
    await db(actions.generations.stop, generation=await db(load, generation), actor=alice)
    await settled(generation)
    assert await growth.reaches(1, ENDED, state="stopped", outcome="")
    assert (await scraped())["chatweb_generations_running", frozenset()] == 0


async def test_an_answer_that_is_stopped_in_the_queue_or_given_up_is_counted(
    growth: Growth, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice)
    await db(actions.generations.stop, generation=generation, actor=alice)
    assert await growth.reaches(1, ENDED, state="stopped", outcome="")
    await ask(conversation, alice)
    [_claimed] = await db(actions.generations.claim, worker="elsewhere:1:a", most=1)
    await db(actions.generations.give_up, lost={"elsewhere:1:a"})
    assert await growth.reaches(1, ENDED, state="interrupted", outcome="relay_gone")


async def test_who_waits_is_told_as_the_length_of_the_queue(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.HEALTH_SECONDS = 0
    assert (await scraped())["chatweb_queue_length", frozenset()] == 0
    await ask(conversation, alice)
    assert (await scraped())["chatweb_queue_length", frozenset()] == 1


# --- Sockets --------------------------------------------------------------------------------------


async def test_open_sockets_and_keyframes_are_counted(
    growth: Growth,
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    generation = await ask(conversation, alice)
    dictation.say("Some words.")
    await when(generation, lambda row: row.state == "running")
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        await viewer.next("key")
        assert (await scraped())["chatweb_sockets_open", frozenset()] == 1
        assert await growth.of("chatweb_keyframes_total") == 1
    await until(lambda: not events.hub.sockets)
    assert (await scraped())["chatweb_sockets_open", frozenset()] == 0
    dictation.finish()
    await settled(generation)


class Unread:
    async def write(self, wire: str) -> None: ...
    async def hang_up(self, code: int) -> None: ...
    async def catch_up(self) -> None: ...
    async def reauthorise(self) -> None: ...


async def test_frames_that_a_slow_page_did_not_get_are_counted(growth: Growth) -> None:
    mailbox = events.Mailbox(Unread(), user="x", session_hash="x", frames=2, size=1000)
    events.hub.sockets.add(mailbox)
    for _ in range(5):
        await mailbox.put("{}", skippable=True)
    assert await growth.of("chatweb_mailbox_skipped_total") == 3
    assert (await scraped())["chatweb_sockets_behind", frozenset()] == 1
    events.hub.sockets.discard(mailbox)


# --- Requests and the database --------------------------------------------------------------------


async def test_requests_are_counted_by_view_and_never_by_address(growth: Growth) -> None:
    def browse() -> None:
        client = Client()
        for path in ("/c/somethinglong/", "/c/anotherone/", "/nowhere/canary-path/", "/brand.css"):
            client.get(path)

    await db(browse)
    assert await growth.of("chatweb_http_requests_total", view="thread", status="3xx") == 2
    assert await growth.of("chatweb_http_requests_total", view="brand", status="2xx") == 1
    assert await growth.of("chatweb_http_requests_total", view="", status="4xx") == 1
    assert "canary" not in (await metrics.page()).decode()


async def test_work_that_the_database_refuses_is_counted(
    growth: Growth, alice: User, settings: Settings
) -> None:
    def browse() -> None:
        client = Client(raise_request_exception=False)
        client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
        with connection.execute_wrapper(refusing):
            assert client.get("/account/").status_code == 503

    def refusing(*_arguments: Any) -> None:
        raise OperationalError("the disk is full")

    await db(browse)
    assert await growth.of("chatweb_database_errors_total") == 1


# --- Labels and cost ------------------------------------------------------------------------------


def test_labels_that_nobody_thought_of_end_somewhere() -> None:
    own = Counts()
    for number in range(10 * LABELS_AT_MOST):
        own.upstream_error(f"code-{number}")
        own.request(f"view-{number}", 200, 0.1)
    assert len(own.upstream_errors) == len(own.requests) == LABELS_AT_MOST


def test_a_value_on_a_bound_is_below_it() -> None:
    histogram = Histogram(0.1, 1)
    for seconds in (0.1, 0.5, 1, 7):
        histogram.observe(seconds)
    assert histogram.counts == [1, 2, 1]
    assert histogram.sum == pytest.approx(8.6)


def test_counting_from_many_threads_loses_nothing() -> None:
    from concurrent.futures import ThreadPoolExecutor

    own = Counts()

    def count() -> None:
        for _ in range(1_000):
            own.request("new", 200, 0.1)
            own.generation_ended("done", "stop", timezone.now())

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(count)
    assert own.requests["new", "2xx"] == own.ended["done", "stop"] == 8_000


def test_a_frame_costs_next_to_nothing() -> None:
    """A frame costs some hundred times as much elsewhere."""
    own = Counts()
    began = time.process_time()
    for _ in range(10_000):
        own.frame(0.0, "main")
    assert (time.process_time() - began) / 10_000 < 20e-6


async def test_every_metric_is_ours_or_the_processes_and_says_what_it_is() -> None:
    text = (await metrics.page()).decode()
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if not name.startswith(("chatweb_", "process_"))] == []
    assert len(re.findall(r"^# HELP \S+ \S", text, re.MULTILINE)) == len(names)
