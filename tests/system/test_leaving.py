"""A process of pages and answers that is told to end: what others see of it until it is gone."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from conversations.models import Conversation, State, User
from tests.dictation import Dictation
from tests.house import House, Web, viewer
from tests.relays import ask, settled, text_of
from tests.upstream import ScriptedUpstream
from tests.viewers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(upstream: ScriptedUpstream) -> Iterator[House]:
    with ExitStack() as programs:
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


def probe(web: Web, path: str) -> tuple[int, str]:
    answer = httpx.get(f"{web.address}{path}", timeout=20, trust_env=False)
    return answer.status_code, answer.json()["state"]


async def test_while_it_finishes_an_answer_it_is_alive_and_not_ready(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    """A balancer sends nobody new, and whoever is there sees the answer to its end."""
    web = house.web()
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One ")
        await until(lambda: watching.text(generation.public_id).strip() == "One")
        web.program.send(signal.SIGTERM)
        await until(lambda: probe(web, "/readyz") == (503, "leaving"))
        assert probe(web, "/healthz") == (200, "alive")
        dictation.say("two")
        await until(lambda: watching.text(generation.public_id).strip() == "One two")
        assert watching.code is None
        dictation.finish()
        assert await watching.closed() == 4012
        row = await settled(generation)
    assert (row.state, await text_of(generation)) == (State.DONE, "One two")
    assert web.program.ended() == 0


async def test_an_answer_that_takes_too_long_is_kept_with_that_reason(
    house: House, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    web = house.web(RELAY_DRAIN_SECONDS="1")
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One")
        await until(lambda: watching.text(generation.public_id).strip() == "One")
        web.program.send(signal.SIGTERM)
        row = await settled(generation)
        assert await watching.closed() == 4012
    assert (row.state, row.error_code) == (State.INTERRUPTED, "restarting")
    assert await text_of(generation) == "One"
    assert web.program.ended() == 0
