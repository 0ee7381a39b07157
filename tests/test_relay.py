"""An answer's way from the upstream into the table and to the viewers."""

import asyncio

import pytest
from pytest_django import Settings

from conversations import actions, events
from conversations.models import (
    Conversation,
    Generation,
    Participant,
    Role,
    State,
    UsageSource,
    User,
)
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.relays import answer_of, ask, db, kept, running, settled, text_of, when
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


# --- Done -----------------------------------------------------------------------------------------


async def test_an_answer_is_written_and_done(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice, "Why is it slow?")
    row = await settled(generation)
    message = await db(answer_of, generation)
    assert (row.state, row.finish_reason) == (State.DONE, "stop")
    assert message.text.endswith("That is all.")
    assert "<h2>" in message.html
    assert row.upstream_id == "chatcmpl-abc123"
    times = [row.created_at, row.started_at, row.first_token_at, row.settled_at]
    assert times == sorted(times)  # type: ignore[type-var]  # None would not be comparable


async def test_the_upstream_is_asked_what_the_table_says(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    conversation.system_prompt = "Be brief."
    conversation.parameters = {"temperature": 0.5, "stop": ["END"], "max_tokens": 9}
    await conversation.asave()
    await settled(await ask(conversation, alice, "First?"))
    await settled(await ask(conversation, alice, "Second?"))
    body = upstream.requests[-1].json
    first_answer = body["messages"][2].pop("content")
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First?"},
        {"role": "assistant"},
        {"role": "user", "content": "Second?"},
    ]
    assert first_answer.startswith("## An answer")
    assert (body["temperature"], body["stop"], body["max_tokens"]) == (0.5, ["END"], 9)


async def test_usage_is_kept_as_reported(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("usage_last")
    row = await settled(await ask(conversation, alice))
    assert row.usage_source == UsageSource.REPORTED
    assert row.completion_tokens is not None


async def test_usage_that_never_came_is_unknown_and_not_zero(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("Hello")
    dictation.finish()
    row = await settled(await ask(conversation, alice))
    assert row.usage_source == UsageSource.UNKNOWN
    assert (row.prompt_tokens, row.completion_tokens) == (None, None)


async def test_reasoning_is_kept_apart_and_not_sent_back(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    upstream.script("reasoning")
    generation = await ask(conversation, alice)
    await settled(generation)
    message = await db(answer_of, generation)
    assert message.reasoning
    assert message.reasoning not in message.text
    await settled(await ask(conversation, alice, "And now?"))
    assert message.reasoning not in upstream.requests[-1].body.decode()


async def test_words_reach_the_table_while_the_answer_grows(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("Half an ", "answer")
    generation = await ask(conversation, alice)
    await kept(generation, "Half an answer")
    assert (await when(generation, lambda row: True)).state == State.RUNNING


async def test_a_nul_is_shown_as_unreadable_since_no_column_takes_it(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("be\0fore")
    generation = await ask(conversation, alice)
    await kept(generation, "be\ufffdfore")


async def test_a_kept_text_is_what_a_fresh_page_shows(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("Some **words**")
    generation = await ask(conversation, alice)
    await kept(generation, "Some **words**")
    message = await db(answer_of, generation)
    assert "<strong>words</strong>" in message.rendered


# --- Claiming -------------------------------------------------------------------------------------


async def test_two_relays_claim_an_answer_once(
    upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    async with running(Relay()), running(Relay()):
        for number in range(5):
            await settled(await ask(conversation, alice, f"Question {number}"))
    assert len(upstream.requests) == 5


async def test_a_lost_wake_up_delays_an_answer_only(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    await events.hub.listen_as_relay(None)
    row = await settled(await ask(conversation, alice))
    assert row.state == State.DONE


# --- Stopping -------------------------------------------------------------------------------------


async def test_stop_closes_the_upstream_and_keeps_the_text(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("As far as this")
    generation = await ask(conversation, alice)
    await kept(generation, "As far as this")
    await db(actions.generations.stop, generation=generation, actor=alice)
    await until(dictation.left.is_set)
    row = await settled(generation)
    assert (row.state, row.stopped_by, row.error_code) == (State.STOPPED, alice, "")
    assert await text_of(generation) == "As far as this"


async def test_words_that_were_shown_before_a_stop_are_kept(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_KEEP_SECONDS = 10  # the table is brought up to date by the stop alone
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        dictation.say("Not in the table yet")
        generation = await ask(conversation, alice)
        await viewer.next("frame")
        assert await text_of(generation) == ""
        await db(actions.generations.stop, generation=generation, actor=alice)
    await settled(generation)
    assert await text_of(generation) == "Not in the table yet"


async def test_a_stop_is_final(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("One")
    generation = await ask(conversation, alice)
    await kept(generation, "One")
    await db(actions.generations.stop, generation=generation, actor=alice)
    dictation.say(" two")
    dictation.finish()
    await settled(generation)
    await asyncio.sleep(0.3)
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.STOPPED, "One")


async def test_the_relay_hears_of_a_stop_from_the_table_too(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    dictation.say("One")
    generation = await ask(conversation, alice)
    await kept(generation, "One")
    mine = Generation.objects.filter(pk=generation.pk)
    await db(mine.update, state=State.STOPPED, stopped_by=alice)
    await settled(generation)
    await until(dictation.left.is_set)


async def test_a_stop_before_the_first_word_leaves_an_empty_answer(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice)
    await dictation.asked.wait()
    await db(actions.generations.stop, generation=generation, actor=alice)
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.STOPPED, "")


@pytest.mark.parametrize("pause", [0, 0.001, 0.003, 0.01, 0.03])
async def test_a_stop_at_any_moment_ends_the_answer(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User, pause: int
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    generation = await ask(conversation, alice)
    await asyncio.sleep(pause)
    await db(actions.generations.stop, generation=generation, actor=alice)
    row = await settled(generation)
    assert row.state == State.STOPPED
    await until(lambda: relay.running == 0)


async def test_after_a_stop_the_next_question_is_answered(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice, "First?")
    await dictation.asked.wait()
    await db(actions.generations.stop, generation=generation, actor=alice)
    row = await settled(await ask(conversation, alice, "Second?"))
    assert row.state == State.DONE


# --- Viewers do not matter ------------------------------------------------------------------------


async def test_closing_every_socket_changes_nothing(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as one, Viewer(cookie) as other:
        await one.watch(conversation)
        await other.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One")
        await one.next("frame")
    dictation.say(" two")
    dictation.finish()
    row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two")


class Broken:
    """A connection that fails at everything."""

    async def write(self, wire: str) -> None:
        raise ConnectionResetError

    async def hang_up(self, code: int) -> None:
        raise ConnectionResetError

    async def catch_up(self) -> None:
        raise ConnectionResetError

    async def reauthorise(self) -> None:
        raise ConnectionResetError


async def test_a_failed_publish_fails_no_answer(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    mailbox = events.Mailbox(
        Broken(), user=alice.public_id, session_hash="", frames=64, size=100_000
    )
    topic = events.conversation_topic(conversation.public_id)
    await events.hub.join(topic, mailbox)
    try:
        generation = await ask(conversation, alice)
        dictation.say("One", " two")
        await kept(generation, "One two")
        dictation.finish()
        row = await settled(generation)
    finally:
        events.hub.leave(topic, mailbox)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two")


async def test_a_deleted_conversations_answer_is_finished_unseen(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, bob: User
) -> None:
    await db(Participant.objects.create, conversation=conversation, user=bob, role=Role.VIEWER)
    async with Viewer(await db(session_of, bob)) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One")
        await viewer.next("frame")
        await db(actions.conversations.delete, conversation=conversation, actor=alice)
        assert await viewer.closed() == 4403
        seen = len(viewer.all("frame"))
        dictation.say(" secret")
        dictation.finish()
        row = await settled(generation)
        assert (row.state, await text_of(generation)) == (State.DONE, "One secret")
        assert len(viewer.all("frame")) == seen
