"""How answers end when they do not simply end: state, sentence and text in the table."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from conversations import actions
from conversations.models import Conversation, Generation, Participant, Role, State, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.relays import (
    answer_of,
    ask,
    database_locked,
    db,
    kept,
    load,
    running,
    settled,
    text_of,
    when,
)
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)

# Scenario and options; state, code, a part of the sentence, and the text that is kept.
ENDS = [
    ("no_done", {}, State.DONE, "", "", "Hello, world"),
    ("eof_midway", {}, State.INTERRUPTED, "interrupted", "interrupted", "Half an answer"),
    ("done_without_finish", {}, State.INTERRUPTED, "interrupted", "interrupted", "Hello, world"),
    ("cut_midway", {}, State.INTERRUPTED, "interrupted", "interrupted", "Half an answer"),
    ("reset_midway", {}, State.INTERRUPTED, "interrupted", "interrupted", "Half an answer"),
    ("error_first", {}, State.FAILED, "upstream_error", "The model crashed.", ""),
    ("error_midway", {}, State.FAILED, "upstream_error", "The model crashed.", "Half an answer"),
    ("finish", {"reason": "error"}, State.FAILED, "upstream_error", "", "Hello, world"),
    ("all_garbage", {}, State.FAILED, "unreadable", "unreadable", ""),
    ("sign_in_page", {}, State.FAILED, "unreadable", "web page", ""),
    ("html_error", {"status": 501}, State.FAILED, "upstream_error", "501", ""),
    ("context_too_long", {}, State.FAILED, "context_too_long", "longer than", ""),
    ("bad_key", {}, State.FAILED, "bad_key", "operators", ""),
    ("unknown_model", {}, State.FAILED, "model_not_found", "", ""),
    ("no_quota", {}, State.FAILED, "no_quota", "quota", ""),
    ("redirect", {}, State.FAILED, "redirected", "redirects", ""),
    ("silent", {}, State.FAILED, "timeout_first_token", "did not begin", ""),
    ("stall_midway", {}, State.INTERRUPTED, "timeout_idle", "fell silent", "Half an answer"),
]


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


@pytest.mark.parametrize(("name", "options", "state", "code", "sentence", "text"), ENDS)
async def test_every_outcome_has_a_state_a_sentence_and_the_text(
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
    name: Any,
    options: Any,
    state: Any,
    code: Any,
    sentence: Any,
    text: Any,
) -> None:
    settings.UPSTREAM_FIRST_TOKEN_TIMEOUT = settings.UPSTREAM_IDLE_TIMEOUT = 0.3
    settings.UPSTREAM_RETRIES = 0
    upstream.script(name, **options)
    generation = await ask(conversation, alice)
    row = await settled(generation)
    assert (row.state, row.error_code) == (state, code)
    assert sentence in row.error_message
    assert bool(row.error_message) == (state != State.DONE)
    assert bool(row.finish_reason) == (state == State.DONE)
    assert await text_of(generation) == text


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls"])
async def test_the_finish_reason_is_kept(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User, reason: str
) -> None:
    upstream.script("finish", reason=reason)
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.finish_reason) == (State.DONE, reason)


async def test_an_unknown_finish_reason_is_done_with_a_note(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("finish", reason="<b>bored</b>")
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.finish_reason) == (State.DONE, "other")
    assert "<b>" not in row.error_message


async def test_an_answer_that_grows_too_long_is_cut_and_the_upstream_closed(
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
) -> None:
    settings.ANSWER_MAX_BYTES = 5_000
    upstream.script("endless")
    generation = await ask(conversation, alice)
    row = await settled(generation)
    assert (row.state, row.finish_reason) == (State.DONE, "length")
    assert len((await text_of(generation)).encode()) <= 5_000
    await upstream.until_idle()


async def test_an_upstream_that_is_not_there_is_named_so(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.UPSTREAM_RETRIES = 0  # nobody listens on port 9
    async with running(Relay()):
        row = await settled(await ask(conversation, alice))
    assert (row.state, row.error_code) == (State.FAILED, "unreachable")


async def test_a_server_error_is_tried_again_for_one_answer(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("failing", status=503)
    row = await settled(await ask(conversation, alice))
    assert row.state == State.DONE
    assert len(upstream.requests) == 2
    assert await db(conversation.messages.count) == 2


async def test_a_stored_parameter_out_of_range_fails_with_its_name(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    conversation.parameters = {"temperature": 9}
    await conversation.asave()
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.error_code) == (State.FAILED, "invalid_request")
    assert "temperature" in row.error_message
    assert not upstream.requests


async def test_our_own_mistake_fails_the_answer_and_not_the_relay(
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conversation.parameters = {"no_such_parameter": 1}
    await conversation.asave()
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.error_code) == (State.FAILED, "internal")
    assert "no_such_parameter" in caplog.text
    assert "no_such_parameter" not in row.error_message
    conversation.parameters = {}
    await conversation.asave()
    assert (await settled(await ask(conversation, alice))).state == State.DONE


async def test_an_answer_for_a_server_that_is_gone_fails_with_a_reason(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    generation = await ask(conversation, alice)
    settings.UPSTREAM_BASE_URL = ""
    async with running(Relay()):
        row = await settled(generation)
    assert row.state == State.FAILED
    assert row.error_message


# --- The portal ends ------------------------------------------------------------------------------


async def test_when_the_portal_ends_an_answer_is_interrupted_with_its_text(
    upstream: ScriptedUpstream, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with running(Relay()), Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("Said before ", "the end")
        await until(lambda: viewer.text(generation.public_id) == "Said before the end")
    row = await db(load, generation)
    assert (row.state, row.error_code) == (State.INTERRUPTED, "restarting")
    assert row.settled_at
    assert "restarted" in row.error_message
    assert await text_of(generation) == "Said before the end"
    await until(dictation.left.is_set)


@pytest.mark.parametrize("pause", [0, 0.002, 0.005, 0.01, 0.02])
async def test_the_portal_can_end_at_any_moment(
    dictation: Dictation, conversation: Conversation, alice: User, pause: int
) -> None:
    async with asyncio.timeout(5):
        async with running(Relay()):
            generation = await ask(conversation, alice)
            await asyncio.sleep(pause)
    assert (await db(load, generation)).state in {State.QUEUED, State.RUNNING, State.INTERRUPTED}
    dictation.finish()  # for the next portal, where the first had not yet asked
    async with running(Relay()):
        row = await settled(generation)
    assert row.state in {State.DONE, State.INTERRUPTED}


async def test_a_queued_answer_outlives_the_portals_end(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice)
    async with running(Relay()):
        row = await settled(generation)
    assert row.state == State.DONE


# --- Another relay takes over ---------------------------------------------------------------------


async def test_a_relay_whose_lease_was_taken_writes_no_more(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice)
    dictation.say("Mine")
    await kept(generation, "Mine")
    mine = Generation.objects.filter(pk=generation.pk)
    now = timezone.now()
    await db(mine.update, state=State.INTERRUPTED, settled_at=now, error_code="relay_gone")
    dictation.say(" and more")
    await until(dictation.left.is_set)
    await until(lambda: relay.running == 0)
    row = await db(load, generation)
    assert (row.state, row.error_code, row.settled_at) == (State.INTERRUPTED, "relay_gone", now)
    assert await text_of(generation) == "Mine"


async def test_neither_keeping_nor_settling_touches_what_another_relay_holds(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice)
    dictation.say("Mine")
    await kept(generation, "Mine")
    message = await db(answer_of, generation)
    theirs = actions.generations.Kept(
        generation_id=generation.pk, message_id=message.pk, text="Theirs", reasoning=""
    )
    done = actions.generations.Settlement(state=State.DONE, finish_reason="stop")
    gone = await db(
        actions.generations.keep, worker="other", kept=[theirs], running=[generation.pk]
    )
    won = await db(
        actions.generations.settle,
        generation=generation,
        worker="other",
        kept=theirs,
        outcome=done,
    )
    assert (gone, won) == ({generation.pk}, False)
    row = await db(load, generation)
    assert (row.state, await text_of(generation)) == (State.RUNNING, "Mine")


async def test_a_silent_relays_answers_are_given_up_after_its_lease(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_LEASE_SECONDS = 1
    generation = await ask(conversation, alice)
    await db(actions.workers.beat, name="elsewhere:1:abc", running=1)
    [claimed] = await db(actions.generations.claim, worker="elsewhere:1:abc", most=1)
    assert claimed.generation == generation
    began = timezone.now()
    async with running(Relay()):
        row = await settled(generation)
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")
    assert row.settled_at is not None
    assert timedelta(seconds=1) <= row.settled_at - began < timedelta(seconds=5)
    assert "elsewhere:1:abc" not in await db(actions.workers.census)


async def test_a_relay_that_beats_is_left_alone(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_LEASE_SECONDS = 1
    generation = await ask(conversation, alice)
    await db(actions.generations.claim, worker="elsewhere:1:abc", most=1)
    async with running(Relay()):
        for _beat in range(10):
            await db(actions.workers.beat, name="elsewhere:1:abc", running=1)
            await asyncio.sleep(0.25)
        assert (await db(load, generation)).state == State.RUNNING


async def test_a_stop_that_nobody_put_away_is_settled_as_stopped(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_LEASE_SECONDS = 1
    generation = await ask(conversation, alice)
    await db(actions.generations.claim, worker="elsewhere:1:abc", most=1)
    await db(actions.generations.stop, generation=generation, actor=alice)
    async with running(Relay()):
        row = await settled(generation)
    assert (row.state, row.stopped_by) == (State.STOPPED, alice)


async def test_a_working_relay_keeps_its_lease(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_LEASE_SECONDS = 1
    generation = await ask(conversation, alice)
    dictation.say("One")
    await kept(generation, "One")
    await asyncio.sleep(1.5)
    dictation.finish()
    assert (await settled(generation)).state == State.DONE


# --- The database is away -------------------------------------------------------------------------


async def test_a_locked_database_delays_and_loses_nothing(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    generation = await ask(conversation, alice)
    dictation.say("One")
    await kept(generation, "One")
    with database_locked():
        dictation.say(" two")
        dictation.finish()
        await asyncio.sleep(0.6)
        assert await text_of(generation) == "One"
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two")


async def test_a_database_that_refuses_for_a_while_is_asked_again(
    impatient: None,
    relay: Relay,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    generation = await ask(conversation, alice)
    dictation.say("One")
    await kept(generation, "One")
    with database_locked():
        dictation.say(" two")
        await until(lambda: "keeping answers failed" in caplog.text)
        dictation.finish()
        await until(lambda: f"putting {generation.public_id} away failed" in caplog.text)
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two")


# --- "Later", and waiting in line -----------------------------------------------------------------


async def test_an_upstream_that_says_later_is_asked_again_then(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("rate_limited", retry_after="1")
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        row = await when(generation, lambda row: row.not_before)
        assert (row.state, row.attempts, row.worker) == (State.QUEUED, 1, "")
        await until(lambda: any("Trying again" in m["html"] for m in viewer.all("progress")))
        assert row.error_message == "The model's server has too many requests at the moment."
        row = await settled(generation)
    assert row.state == State.DONE
    assert row.error_message == ""
    assert len(upstream.requests) == 2
    assert await db(conversation.messages.count) == 2


async def test_an_answer_that_waits_can_be_stopped(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("rate_limited", retry_after="20")
    generation = await ask(conversation, alice)
    await when(generation, lambda row: row.not_before)
    await db(actions.generations.stop, generation=generation, actor=alice)
    row = await settled(generation)
    assert (row.state, row.stopped_by) == (State.STOPPED, alice)
    assert len(upstream.requests) == 1


async def test_later_than_anybody_waits_fails_with_the_time(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("rate_limited", retry_after="3600")
    before = timezone.now()
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.error_code) == (State.FAILED, "rate_limited")
    assert row.retry_at is not None
    assert timedelta(minutes=59) < row.retry_at - before < timedelta(minutes=61)


def conversations_of(person: User, count: int) -> list[Conversation]:
    rows = []
    for _ in range(count):
        row = Conversation.objects.create(model="crimson-falcon-4")
        Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
        rows.append(row)
    return rows


async def test_no_more_answers_are_written_at_once_than_allowed(
    upstream: ScriptedUpstream, alice: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_PROCESS, settings.GENERATIONS_PER_USER = 2, 10
    dictations = [Dictation() for _ in range(5)]
    for dictation in dictations:
        upstream.script("dictated", by=dictation)
    async with running(Relay()):
        generations = [await ask(one, alice) for one in await db(conversations_of, alice, 5)]
        for number, dictation in enumerate(dictations):
            await dictation.asked.wait()
            await asyncio.sleep(0.05)
            assert sum(one.asked.is_set() for one in dictations) <= number + 2
            dictation.finish()
        for generation in generations:
            assert (await settled(generation)).state == State.DONE


async def test_who_waits_in_line_is_told_the_place(
    upstream: ScriptedUpstream, alice: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_PROCESS, settings.GENERATIONS_PER_USER = 1, 10
    dictations = [Dictation() for _ in range(3)]
    for dictation in dictations:
        upstream.script("dictated", by=dictation)
    first, second, third = await db(conversations_of, alice, 3)
    async with running(Relay()), Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(third)
        await viewer.next("watching")
        await ask(first, alice)
        await dictations[0].asked.wait()
        await ask(second, alice)
        generation = await ask(third, alice)
        await until(lambda: any("place 2" in m["html"] for m in viewer.all("progress")))
        dictations[0].finish()
        await until(lambda: any("place 1" in m["html"] for m in viewer.all("progress")))
        dictations[1].finish()
        dictations[2].finish()
        assert (await settled(generation)).state == State.DONE
