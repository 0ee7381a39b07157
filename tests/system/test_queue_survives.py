"""A relay that is killed while turns wait behind its answer: none is lost, none is sent twice."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from conversations import actions
from conversations.models import Conversation, Generation, Message, QueuedTurn, State, User
from tests.dictation import Dictation
from tests.processes import Program, program
from tests.relays import ask, database_url, db, kept, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import until

Start = Callable[[], Program]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(upstream: ScriptedUpstream) -> Iterator[Start]:
    env = {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATABASE_URL": database_url(),
        "UPSTREAM_BASE_URL": upstream.base_url,
        "RELAY_POLL_SECONDS": "0.1",
    }
    with ExitStack() as programs:
        yield lambda: programs.enter_context(program("-m", "tests.relay_process", env=env))


async def queue(conversation: Conversation, author: User, *texts: str) -> None:
    for text in texts:
        turn = await db(
            actions.queue.send,
            conversation=conversation,
            author=author,
            text=text,
            request_id=uuid4(),
        )
        assert isinstance(turn, QueuedTurn)


def line() -> list[str]:
    return list(QueuedTurn.objects.in_line().values_list("text", flat=True))


def questions() -> list[str]:
    asked = Message.objects.filter(role="user").order_by("depth")
    return list(asked.values_list("text", flat=True))


async def test_a_killed_relay_leaves_the_queue_and_the_next_one_goes_on_when_told(
    start: Start, upstream: ScriptedUpstream, shared: Conversation, alice: User, bob: User
) -> None:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    relay = start()
    generation = await ask(shared, alice, "One?")
    dictation.say("Half of it. ")
    await kept(generation, "Half of it. ", seconds=20)
    await queue(shared, bob, "Two?", "Three?")
    relay.send(signal.SIGKILL)
    await until(dictation.left.is_set)
    relay.ended()
    assert await db(line) == ["Two?", "Three?"]

    start()
    assert (await settled(generation, seconds=20)).state == State.INTERRUPTED
    assert await db(line) == ["Two?", "Three?"], "it waits for somebody"
    await db(actions.queue.send_next, conversation=shared, actor=alice)
    await until(lambda: len(upstream.asked) == 3)
    last = await db(Generation.objects.select_related("question").latest, "pk")
    assert (await settled(last)).state == State.DONE
    assert await db(line) == []
    assert await db(questions) == ["One?", "Two?", "Three?"]


async def test_killed_after_the_answer_and_before_the_next_turn_another_sends_it_once(
    start: Start, upstream: ScriptedUpstream, shared: Conversation, alice: User, bob: User
) -> None:
    relay = start()
    generation = await ask(shared, alice, "One?")
    await settled(generation, seconds=20)
    relay.send(signal.SIGKILL)
    relay.ended()
    # As it stands in the tables when it dies between the two.
    row = Generation.objects.filter(pk=generation.pk)
    await db(row.update, state=State.RUNNING, settled_at=None)
    await queue(shared, bob, "Two?", "Three?")
    await db(row.update, state=State.DONE, settled_at=generation.created_at)

    start()
    start()
    await until(lambda: len(upstream.asked) == 3)
    last = await db(Generation.objects.latest, "pk")
    await settled(last, seconds=20)
    assert await db(questions) == ["One?", "Two?", "Three?"]
    assert await db(Generation.objects.count) == 3
    assert len(upstream.asked) == 3
