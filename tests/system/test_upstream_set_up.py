"""Rows of what model servers really send that are about how the portal is set up."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conversations.models import Conversation, Participant, Role, State, User
from tests.house import House, Web, viewer
from tests.quirks import IMPATIENT, article_of, read_out
from tests.relays import answer_of, ask, db, settled, text_of, when
from tests.test_upstream_refusals import certificate
from tests.upstream import ScriptedUpstream
from tests.viewers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread() as server:
        yield server


@pytest.fixture
def house(server: ScriptedUpstream) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(programs, UPSTREAM_BASE_URL=server.base_url, **IMPATIENT)


async def test_row_12_a_server_known_to_send_no_finish_reason_may_end_with_done(
    house: House, conversation: Conversation, alice: User
) -> None:
    house.web(UPSTREAM_SENDS_FINISH_REASON="off")
    row = await settled(await ask(conversation, alice, "#scenario done_without_finish"))
    assert (row.state, row.finish_reason) == (State.DONE, "stop")
    assert await text_of(row) == "Hello, world"


async def test_row_38_who_finds_no_room_waits_in_line_and_sees_the_place(
    house: House, conversation: Conversation, alice: User
) -> None:
    web = house.web(GENERATIONS_PER_PROCESS="1")
    other = await db(talk_of, alice)
    async with await viewer(web, alice) as watching:
        await watching.watch(other)
        first = await ask(conversation, alice, "#scenario stall_midway")
        await when(first, lambda row: row.state == State.RUNNING)
        waits = await ask(other, alice)
        await until(lambda: any("place 1" in m["html"] for m in watching.all("progress")))
        assert (await settled(waits)).state == State.DONE


async def test_row_39_a_name_that_nobody_knows_is_told_plainly(
    house: House, conversation: Conversation, alice: User
) -> None:
    web = house.web(UPSTREAM_BASE_URL="http://chatweb.invalid/v1")
    await unreachable(web, conversation, alice, "unreachable", "cannot be reached")


async def test_row_39_a_certificate_that_ran_out_is_the_operators_affair(
    house: House, tmp_path: Path, conversation: Conversation, alice: User
) -> None:
    authority, tls = certificate(tmp_path, expired=True)
    with ScriptedUpstream.in_thread(tls=tls) as server:
        web = house.web(UPSTREAM_BASE_URL=server.base_url, UPSTREAM_CA_FILE=authority)
        await unreachable(web, conversation, alice, "tls", "operators have to look")


async def test_row_39_a_proxy_of_the_environment_is_used_where_that_is_asked_for(
    house: House, conversation: Conversation, alice: User
) -> None:
    dead = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    web = house.web(**dead)
    assert (await settled(await ask(conversation, alice))).state == State.DONE
    web.program.send(signal.SIGTERM)
    assert await asyncio.to_thread(web.program.ended) == 0
    web = house.web(UPSTREAM_TRUST_ENV="on", **dead)
    await unreachable(web, conversation, alice, "unreachable", "cannot be reached")


async def unreachable(
    web: Web, conversation: Conversation, user: User, why: str, says: str
) -> None:
    row = await settled(await ask(conversation, user))
    assert (row.state, row.error_code) == (State.FAILED, why)
    name = (await db(answer_of, row)).public_id
    told = read_out(await article_of(web, conversation, user, name))
    assert says in told
    assert "Retry" in told


def talk_of(person: User) -> Conversation:
    row = Conversation.objects.create(title="Another", model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
    return row
