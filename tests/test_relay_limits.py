"""What the operator sets about the relay is what it does."""

import asyncio

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone
from pytest_django import Settings

from conversations import actions, catalogue
from conversations.models import Conversation, Generation, Participant, Role, State, User
from conversations.relay import Relay, learn_models
from tests.dictation import Dictation
from tests.relays import ask, database_locked, db, kept, running, send, settled, when
from tests.upstream import ScriptedUpstream
from tests.viewers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


async def test_a_database_that_stays_away_is_tried_as_often_as_set_and_then_left_to_the_sweep(
    upstream: ScriptedUpstream,
    dictation: Dictation,
    conversation: Conversation,
    alice: User,
    settings: Settings,
    impatient: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.RELAY_SETTLE_TRIES, settings.RELAY_SETTLE_PAUSE = 2, 0.01
    settings.RELAY_LEASE_SECONDS = 1
    relay = Relay()
    async with running(relay):
        generation = await ask(conversation, alice)
        dictation.say("One")
        await kept(generation, "One")
        with database_locked():
            dictation.finish()
            await until(lambda: relay.running == 0)
        assert caplog.text.count(f"putting {generation.public_id} away failed") == 2
        row = await settled(generation)
    assert (row.state, row.error_code) == (State.INTERRUPTED, "relay_gone")


@pytest.mark.parametrize(("seconds", "waits_in_the_queue"), [(0.1, True), (5, False)])
async def test_a_wait_longer_than_set_goes_back_into_the_queue(
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
    seconds: float,
    waits_in_the_queue: bool,
) -> None:
    settings.RELAY_POSTPONE_SECONDS = seconds
    upstream.script("rate_limited", retry_after="0.5")
    row = await settled(await ask(conversation, alice))
    assert (row.state, len(upstream.requests)) == (State.DONE, 2)
    assert bool(row.attempts) is waits_in_the_queue


async def told_to_come_later(relay: Relay, upstream: ScriptedUpstream, *people: User) -> None:
    """Each asked in a conversation of their own and was refused once; all are due again, and the
    relay takes nothing more."""

    def put(person: User, text: str) -> Generation:
        row = Conversation.objects.create(title=text, model="crimson-falcon-4")
        Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
        return send(row, person, text)

    rows = []
    for number, person in enumerate(people, 1):
        upstream.script("rate_limited", retry_after="2")
        rows.append(await db(put, person, f"{person.name} {number}"))
    for row in rows:
        await when(row, lambda row: row.attempts == 1 and row.state == State.QUEUED)
    relay.is_draining = True
    await until(lambda: relay.running == 0)
    async with asyncio.timeout(10):
        while await db(lambda: Generation.objects.due(timezone.now()).count()) < len(rows):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_who_asked_much_holds_up_nobody_after_a_wait_either(
    relay: Relay, upstream: ScriptedUpstream, alice: User, bob: User, settings: Settings
) -> None:
    settings.RELAY_POSTPONE_SECONDS = 0.1
    await told_to_come_later(relay, upstream, alice, alice, alice, bob)
    claimed = []
    for _ in range(4):
        [choice] = await db(actions.generations.claim, worker="another", most=1)
        claimed.append(choice.generation.conversation.title)
    assert claimed == ["Alice 1", "Bob 4", "Alice 2", "Alice 3"]
    assert len(upstream.requests) == 4


async def test_a_conversation_longer_than_set_is_not_sent(
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
    settings: Settings,
) -> None:
    settings.PROMPT_MAX_CHARS = 10
    assert (await settled(await ask(conversation, alice, "x" * 10))).state == State.DONE
    row = await settled(await ask(conversation, alice, "And now?"))
    assert (row.state, row.error_code) == (State.FAILED, "invalid_request")
    assert "longer than this portal sends" in row.error_message
    assert len(upstream.requests) == 1


async def test_a_servers_models_are_asked_for_as_often_as_set(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    settings.UPSTREAM_MODELS, settings.UPSTREAM_MODELS_SECONDS = ["auto"], 0.05
    learning = asyncio.ensure_future(learn_models())
    await until(lambda: len(catalogue.named()["main"]) == 3)
    catalogue.learn([])
    await until(lambda: len(catalogue.named()["main"]) == 3)
    settings.MODELS_LISTED = 2
    await until(lambda: len(catalogue.named()["main"]) == 2)
    learning.cancel()
    await asyncio.wait({learning})
    # Behind what it had begun with the database, which nobody can break off.
    await database_sync_to_async(lambda: None)()
