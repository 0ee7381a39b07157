"""Somebody else holds SQLite's lock for half a minute, as a backup or a shell left open may do."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from django.db import connection

from conversations.models import Conversation, Message, Participant, Role, State, User
from tests.dictation import Dictation
from tests.engines import RedisServer
from tests.house import House, person, viewer
from tests.relays import ask, database_locked, db, kept, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="about a lock of SQLite's"),
]
LOCKED_SECONDS = 30


@pytest.fixture
def house(upstream: ScriptedUpstream, redis: RedisServer) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url, REDIS_URL=redis.url)


async def test_an_answer_outlives_half_a_minute_and_nothing_is_taken_that_cannot_be_kept(
    house: House, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    """With the settings that operators have: longer than SQLite is waited for, and than a lease;
    another relay looks on."""
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    own = await db(talk_of, alice)
    web = house.web()
    house.relay()
    async with await viewer(web, alice) as watching, await person(web, alice) as page:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await kept(generation, "One ")
        question = {"text": "And this?", "request_id": str(uuid4())}
        address = f"/c/{own.public_id}/messages/"
        with database_locked():
            began = time.monotonic()
            sending = asyncio.ensure_future(page.post(address, **question))
            dictation.say("two ")
            await until(lambda: watching.text(generation.public_id).strip() == "One two", 5)
            assert (await page.get(f"/c/{conversation.public_id}/")).status_code == 200
            refused = await sending
            assert time.monotonic() - began < 28, "waited twice"
            assert (refused.status_code, "try again" in refused.text) == (503, True)
            await asyncio.sleep(LOCKED_SECONDS - (time.monotonic() - began))
        dictation.say("three")
        dictation.finish()
        row = await settled(generation)
        assert (row.state, await text_of(generation)) == (State.DONE, "One two three")
        assert "One two three" in (await watching.next("settled"))["html"]
        assert watching.code is None
        assert (await page.post(address, **question)).status_code == 200
    asked = Message.objects.filter(conversation=own, role="user")
    assert await db(asked.count) == 1


def talk_of(person: User) -> Conversation:
    row = Conversation.objects.create(title="Another", model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
    return row
