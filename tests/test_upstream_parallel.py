"""Several choices from a server that gives one at a time."""

import asyncio
import time

import pytest
from pytest_django import Settings

from conversations import catalogue
from conversations.upstream import (
    ChatMessage,
    ChatRequest,
    Client,
    FinishReason,
    Started,
    UsageReported,
)
from tests.upstream import ScriptedUpstream
from tests.upstream.stage import Stage, heard

ONE_BY_ONE = {"gives_choices": False}


async def test_so_many_choices_are_so_many_requests_without_n(stage: Stage) -> None:
    for _ in range(3):
        stage.server.script("usage_last")
    outcome = await stage.ask(n=3, **ONE_BY_ONE)
    assert outcome.error is None
    assert [outcome.text(index) for index in range(3)] == ["Hello, world"] * 3
    assert sorted(outcome.finishes) == [(index, FinishReason.STOP) for index in range(3)]
    assert ["n" in request.json for request in stage.server.requests] == [False] * 3


async def test_the_question_is_counted_once_and_the_answers_together(stage: Stage) -> None:
    for _ in range(3):
        stage.server.script("usage_last")
    outcome = await stage.ask(n=3, **ONE_BY_ONE)
    assert outcome.of(UsageReported) == [UsageReported(7, 9, read_again=14)]


async def test_tokens_are_unknown_until_all_have_counted_theirs(stage: Stage) -> None:
    stage.server.script("usage_last").script("cut_midway")
    outcome = await stage.ask(n=2, **ONE_BY_ONE)
    assert outcome.code == "interrupted"
    assert outcome.of(UsageReported) == []


async def test_they_begin_once_and_are_written_at_the_same_time(stage: Stage) -> None:
    for _ in range(4):
        stage.server.script("slow", tokens=5, rate=10)
    begun = time.monotonic()
    outcome = await stage.ask(n=4, **ONE_BY_ONE)
    assert time.monotonic() - begun < 1.5
    assert len(outcome.of(Started)) == 1
    assert len(outcome.finishes) == 4


async def test_one_choice_is_an_ordinary_request(stage: Stage) -> None:
    assert (await stage.ask(n=1, **ONE_BY_ONE)).finishes == [(0, FinishReason.STOP)]
    assert len(stage.server.requests) == 1


async def test_a_failure_of_one_ends_all_and_hangs_up(stage: Stage) -> None:
    stage.server.script("stall_midway").script("bad_key")
    outcome = await stage.ask(n=2, **ONE_BY_ONE)
    assert outcome.code == "bad_key"
    await stage.server.until_idle()


async def test_stopping_hangs_up_on_all_of_them(stage: Stage) -> None:
    stage.server.script("stall_midway").script("stall_midway").script("silent")
    async with Client(stage.upstream(**ONE_BY_ONE)) as client:
        task = asyncio.create_task(heard(client, n=3))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stage.server.until_idle()


async def test_a_plain_answer_has_them_all(stage: Stage) -> None:
    request = ChatRequest("crimson-falcon-4", (ChatMessage("user", "How?"),), n=2)
    async with Client(stage.upstream(**ONE_BY_ONE)) as client:
        completion = await client.complete(request)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert len(stage.server.requests) == 2


async def test_a_server_that_hangs_is_not_waited_for_beyond_its_time(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    """As the local model does when it is asked for two choices at once."""
    settings.LOCAL_MODEL_URL, settings.UPSTREAM_BASE_URL = upstream.base_url, ""
    settings.UPSTREAM_FIRST_TOKEN_TIMEOUT = 0.3
    server = catalogue.upstream()
    assert server is not None
    assert not server.gives_choices
    upstream.script("silent").script("silent")
    async with Client(server) as client:
        assert (await heard(client, n=2)).code == "timeout_first_token"
