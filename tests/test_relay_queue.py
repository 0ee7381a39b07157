"""Queues at work: what waits is answered in turn, and all who watch see the same queue."""

import re
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from conversations import actions, fragments
from conversations.models import (
    Conversation,
    Generation,
    Message,
    QueuedTurn,
    State,
    User,
)
from conversations.relay import Relay
from conversations.relay.prompt import WHO_SPEAKS
from tests.dictation import Dictation
from tests.relays import ask, db, running, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dictations(upstream: ScriptedUpstream) -> list[Dictation]:
    made = [Dictation() for _ in range(4)]
    for one in made:
        upstream.script("dictated", by=one)
    return made


async def queue(conversation: Conversation, author: User, text: str) -> Any:
    return await db(
        actions.queue.send,
        conversation=conversation,
        author=author,
        text=text,
        request_id=uuid4(),
    )


def questions() -> list[str]:
    return list(Message.objects.filter(role="user").order_by("pk").values_list("text", flat=True))


def fresh(conversation: Conversation) -> str:
    return fragments.queue(Conversation.objects.get(pk=conversation.pk))


def without_revision(html: str) -> str:
    return re.sub(r'data-revision="\d+"', "", html)


async def until_asked(upstream: ScriptedUpstream, count: int) -> None:
    await until(lambda: len(upstream.asked) >= count)


async def test_what_waits_is_answered_in_turn_and_knows_what_was_said_before(
    relay: Relay,
    upstream: ScriptedUpstream,
    dictations: list[Dictation],
    shared: Conversation,
    alice: User,
    bob: User,
    settings: Settings,
) -> None:
    settings.RELAY_POLL_SECONDS = 30  # nothing is found by looking again
    await ask(shared, alice, "One?")
    await queue(shared, bob, "Two?")
    await queue(shared, alice, "Three?")
    for number, dictation in enumerate(dictations[:3], 1):
        await until_asked(upstream, number)
        dictation.say(f"Answer {number}.")
        dictation.finish()
    generation = await db(Generation.objects.latest, "pk")
    await settled(generation)
    assert await db(questions) == ["One?", "Two?", "Three?"]
    assert not await db(QueuedTurn.objects.exists)
    last = [message["content"] for message in upstream.asked[-1].json["messages"]]
    assert last == [
        WHO_SPEAKS,
        "⟪Alice⟫\nOne?",
        "Answer 1.",
        "⟪Bob⟫\nTwo?",
        "Answer 2.",
        "⟪Alice⟫\nThree?",
    ]


async def test_all_who_watch_see_the_queue_as_a_fresh_page_shows_it(
    relay: Relay,
    upstream: ScriptedUpstream,
    dictations: list[Dictation],
    shared: Conversation,
    alice: User,
    bob: User,
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(shared)
        await ask(shared, alice)
        await until_asked(upstream, 1)

        async def told(count: int) -> str:
            html: str = (await viewer.next("queue", count))["html"]
            assert without_revision(html) == without_revision(await db(fresh, shared))
            return html

        first = await queue(shared, bob, "One <b>")
        assert "One &lt;b&gt;" in await told(1)
        second = await queue(shared, alice, "Two")
        await told(2)
        move = actions.queue.move
        await db(move, turn=second, actor=alice, beside=first.public_id, after=False)
        await told(3)
        await db(actions.queue.edit, turn=first, actor=bob, text="Uno")
        assert "Uno" in await told(4)
        await db(actions.queue.withdraw, turn=second, actor=alice)
        await told(5)
        dictations[0].finish()
        await until_asked(upstream, 2)
        assert "hidden" in await told(7)  # the answer's end, and the turn's going
        revisions = [message["rev"] for message in viewer.received if "rev" in message]
        assert sorted(set(revisions)) == list(range(min(revisions), max(revisions) + 1)), "no gap"
        dictations[1].finish()
        await settled(await db(Generation.objects.latest, "pk"))


async def test_sent_now_it_is_asked_while_the_stopped_answer_is_put_away(
    relay: Relay,
    upstream: ScriptedUpstream,
    dictations: list[Dictation],
    shared: Conversation,
    alice: User,
    bob: User,
) -> None:
    running_one = await ask(shared, alice)
    dictations[0].say("Half of it")
    await until_asked(upstream, 1)
    turn = await queue(shared, bob, "Urgent")
    await db(actions.queue.send_now, turn=turn, actor=bob)
    await until_asked(upstream, 2)
    assert (await settled(running_one)).state == State.STOPPED
    dictations[1].finish()
    await settled(await db(Generation.objects.latest, "pk"))
    assert upstream.asked[-1].json["messages"][-1]["content"] == "⟪Bob⟫\nUrgent"


async def test_a_failed_answer_fails_nothing_that_waits_behind_it(
    relay: Relay, upstream: ScriptedUpstream, shared: Conversation, alice: User, bob: User
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    generation = await ask(shared, alice)
    await until_asked(upstream, 1)
    await queue(shared, bob, "Waits")
    async with Viewer(await db(session_of, bob)) as viewer:
        await viewer.watch(shared)
        await db(Generation.objects.filter(pk=generation.pk).update, worker="gone:1:a")
        await db(actions.generations.give_up, lost={"gone:1:a"})
        assert "Send next" in (await viewer.next("queue"))["html"]
    await db(actions.queue.sweep)
    assert len(upstream.asked) == 1
    assert await db(QueuedTurn.objects.count) == 1
    dictation.finish()


async def test_a_queue_that_was_left_is_found_by_the_next_relay(
    upstream: ScriptedUpstream, shared: Conversation, alice: User, bob: User
) -> None:
    """The process died after it had settled the answer and before it sent the next turn."""
    generation = await ask(shared, alice)
    await queue(shared, bob, "Left")
    row = Generation.objects.filter(pk=generation.pk)
    await db(row.update, state=State.DONE, finish_reason="stop", settled_at=generation.created_at)
    async with running(Relay()):
        await until_asked(upstream, 1)
        await settled(await db(Generation.objects.latest, "pk"))
    assert await db(questions) == ["Why?", "Left"]


async def test_a_relay_that_ends_leaves_the_queue_to_the_others(
    upstream: ScriptedUpstream, shared: Conversation, alice: User, bob: User
) -> None:
    relay = Relay()
    async with running(relay):
        relay.is_draining = True
        generation = await ask(shared, alice)
        await queue(shared, bob, "Later")
        row = Generation.objects.filter(pk=generation.pk)
        done = {"state": State.DONE, "finish_reason": "stop", "settled_at": generation.created_at}
        await db(row.update, **done)
        await relay._send_queued()
        assert await db(QueuedTurn.objects.count) == 1
