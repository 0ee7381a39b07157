import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from conversations.upstream import (
    ChatMessage,
    ChatRequest,
    Client,
    Event,
    FinishReason,
    Limits,
    Retrying,
    TextDelta,
    Timeouts,
    Upstream,
    UpstreamError,
    UsageReported,
)
from tests.upstream import ScriptedUpstream
from tests.upstream.answers import echo

KEY = "canary-key-4711"
SECRET_QUESTION = "the merger with Initech"
QUICK = Timeouts(slot=0.05, between_tokens=10, after_end=0.1)


def ask(text: str = "Hi", **options: Any) -> ChatRequest:
    return ChatRequest("crimson-falcon-4", (ChatMessage("user", text),), **options)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(key=KEY) as server:
        yield server


@pytest.fixture
async def client(server: ScriptedUpstream) -> AsyncIterator[Client]:
    async with Client(Upstream("main", server.base_url, KEY, timeouts=QUICK)) as client:
        yield client


async def drain(stream: AsyncIterator[list[Event]]) -> list[Event]:
    return [event async for batch in stream for event in batch]


async def until_failure(stream: AsyncIterator[list[Event]]) -> tuple[list[Event], UpstreamError]:
    events: list[Event] = []
    try:
        async for batch in stream:
            events += batch
    except UpstreamError as error:
        return events, error
    pytest.fail("the stream ended well")


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_stopping_between_two_batches_closes_the_connection_at_once(
    server: ScriptedUpstream, client: Client
) -> None:
    stream = client.stream(ask("#scenario slow tokens=1000 rate=100"))
    await anext(stream)
    begun = time.monotonic()
    await stream.aclose()
    await server.until_idle()
    assert time.monotonic() - begun < 0.1


@pytest.mark.parametrize("name", ["mute", "silent", "stall_midway"])
async def test_stopping_while_waiting_closes_the_connection_at_once(
    server: ScriptedUpstream, client: Client, name: str
) -> None:
    task = asyncio.create_task(drain(client.stream(ask(f"#scenario {name}"))))
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.until_idle()
    assert time.monotonic() - begun < 0.1


async def test_a_slow_caller_gets_everything_that_arrived_in_one_batch(client: Client) -> None:
    stream = client.stream(ask("#scenario slow tokens=20 rate=200"))
    await anext(stream)
    await asyncio.sleep(0.2)
    batch = await anext(stream)
    assert [type(event).__name__ for event in batch] == ["TextDelta", "Finished", "UsageReported"]
    await stream.aclose()


async def test_a_slow_caller_holds_the_server_back(
    server: ScriptedUpstream, client: Client
) -> None:
    stream = client.stream(ask("#scenario endless size=10000"))
    await anext(stream)
    await asyncio.sleep(0.3)
    sent = server.wires[0].bytes_sent
    await asyncio.sleep(0.2)
    assert server.wires[0].bytes_sent == sent
    await stream.aclose()


async def test_a_slow_caller_is_not_the_servers_silence(server: ScriptedUpstream) -> None:
    timeouts = Timeouts(between_tokens=0.3)
    async with Client(Upstream("main", server.base_url, KEY, timeouts=timeouts)) as client:
        stream = client.stream(ask("#scenario slow tokens=12 rate=20"))
        events = await anext(stream)
        await asyncio.sleep(0.4)
        events += await drain(stream)
    assert text(events).endswith("word12 ")


async def test_text_ahead_of_a_reset_is_not_lost_to_a_slow_caller(client: Client) -> None:
    stream = client.stream(ask("#scenario reset_midway"))
    events = await anext(stream)
    await asyncio.sleep(0.1)
    rest, error = await until_failure(stream)
    assert (text(events + rest), error.code) == ("Half an answer", "interrupted")


async def test_a_burst_that_ends_in_a_break_is_not_lost(client: Client) -> None:
    events, _ = await until_failure(client.stream(ask("#scenario cut_midway")))
    assert text(events) == "Half an answer"


async def test_a_whole_answer_comes_word_for_word_with_its_usage(client: Client) -> None:
    events = await drain(client.stream(ask("How?")))
    expected = echo(
        {"model": "crimson-falcon-4", "messages": [{"role": "user", "content": "How?"}]}
    )
    assert text(events) == expected
    assert isinstance(events[-1], UsageReported)


async def test_a_plain_answer_is_asked_for_and_read_in_one_piece(
    server: ScriptedUpstream, client: Client
) -> None:
    completion = await client.complete(ask("How?", n=2))
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert completion.choices[0].finish_reason is FinishReason.STOP
    assert "How?" in completion.choices[1].text
    assert completion.usage is not None
    assert server.requests[0].json["stream"] is False


async def test_a_stream_in_place_of_a_plain_answer_is_read_too(
    server: ScriptedUpstream, client: Client
) -> None:
    server.script("usage_last")
    completion = await client.complete(ask())
    assert completion.choices[0].text == "Hello, world"
    assert completion.usage == UsageReported(7, 3)


async def test_a_plain_answer_without_its_end_is_interrupted(
    server: ScriptedUpstream, client: Client
) -> None:
    server.script("eof_midway")
    with pytest.raises(UpstreamError) as caught:
        await client.complete(ask())
    assert caught.value.code == "interrupted"


async def test_the_models_are_listed_in_the_servers_order(client: Client) -> None:
    assert await client.models() == ["crimson-falcon-4", "indigo-owl-4", "amber-phoenix-4"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": {}}', b"<html>", b"null"])
async def test_a_model_list_in_another_form_is_unreadable(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with Client(Upstream("main", "http://models.example/v1"), transport=transport) as client:
        with pytest.raises(UpstreamError) as caught:
            await client.models()
    assert caught.value.code == "unreadable"


async def test_odd_entries_of_a_model_list_are_left_out() -> None:
    entries = [{"id": "a"}, {"id": 3}, "b", {"id": " "}, {"id": "a"}, {"id": "x" * 999}]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": entries}))
    async with Client(Upstream("main", "http://models.example/v1"), transport=transport) as client:
        assert await client.models() == ["a"]


async def test_a_finished_answer_leaves_its_connection_to_the_next(
    server: ScriptedUpstream, client: Client
) -> None:
    for _ in range(3):
        await drain(client.stream(ask()))
        await client.complete(ask())
    assert server.accepted == 1


async def test_an_idle_connection_is_closed_by_us_first(server: ScriptedUpstream) -> None:
    limits = Limits(keepalive=0.05)
    async with Client(Upstream("main", server.base_url, KEY, limits=limits)) as client:
        await client.complete(ask())
        await asyncio.sleep(0.15)
        await client.complete(ask())
    assert server.accepted == 2


async def test_httpx_own_transport_reads_the_same(server: ScriptedUpstream) -> None:
    upstream = Upstream("main", server.base_url, KEY, timeouts=QUICK)
    async with Client(upstream, transport=httpx.AsyncHTTPTransport()) as client:
        assert text(await drain(client.stream(ask("#scenario comments")))) == "Hello, world"
        with pytest.raises(UpstreamError) as caught:
            await drain(client.stream(ask("#scenario cut_midway")))
    assert caught.value.code == "interrupted"


async def test_a_server_that_refuses_to_count_tokens_is_asked_without(
    server: ScriptedUpstream, client: Client
) -> None:
    for _ in range(3):
        server.script("no_stream_options")
    assert text(await drain(client.stream(ask()))) == "Hello, world"
    assert text(await drain(client.stream(ask()))) == "Hello, world"
    assert ["stream_options" in r.json for r in server.requests] == [True, False, False]


async def test_a_question_of_megabytes_is_sent_whole(
    server: ScriptedUpstream, client: Client
) -> None:
    question = "word " * 300_000
    await client.complete(ask(question, max_tokens=5))
    assert server.requests[0].json["messages"][0]["content"] == question
    assert "content-length" in server.requests[0].headers


async def test_cookies_of_the_server_are_not_kept() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, json={"data": []}, headers={"set-cookie": "who=alice"})

    upstream = Upstream("main", "http://models.example/v1")
    async with Client(upstream, transport=httpx.MockTransport(answer)) as client:
        await client.models()
        await client.models()
    assert seen == [None, None]


async def test_a_name_that_does_not_resolve_is_unreachable_for_the_operator_to_see() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no address") from OSError("[Errno -2]")

    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    upstream = Upstream("main", "http://models.example/v1")
    transport = httpx.MockTransport(fail)
    async with Client(upstream, transport=transport, sleep=wait, jitter=lambda: 1.0) as client:
        stream = client.stream(ask())
        assert await anext(stream) == [
            Retrying("unreachable", 0.375, 2, "The model's server cannot be reached.")
        ]
        with pytest.raises(UpstreamError) as caught:
            await drain(stream)
    assert caught.value.code == "unreachable"
    assert waits == [0.375, 0.75]


@pytest.mark.parametrize(
    "scenario",
    [
        "bad_key",
        "bad_key status=403",
        "error_midway",
        "html_error",
        "redirect",
        "all_garbage",
        "cut_midway",
        "refused status=400 message=canary-key-4711",
        "drop",
        "unknown_model",
    ],
)
async def test_neither_the_key_nor_the_question_leaks(
    server: ScriptedUpstream, caplog: pytest.LogCaptureFixture, scenario: str
) -> None:
    limits = Limits(retries=0)
    upstream = Upstream("main", server.base_url, KEY, timeouts=QUICK, limits=limits)
    with caplog.at_level(logging.DEBUG):
        async with Client(upstream) as client:
            with pytest.raises(UpstreamError) as caught:
                await drain(client.stream(ask(f"#scenario {scenario}\n{SECRET_QUESTION}")))
    error = caught.value
    shown = f"{error!r} {error} {error.message} {error.detail} {client!r} {caplog.text}"
    assert KEY not in shown
    assert SECRET_QUESTION not in shown


@pytest.mark.parametrize(
    "hostile", ["<img src=x onerror=alert(1)>", "&lt;script&gt;", "a\x1b[31m\u202e"]
)
async def test_hostile_words_of_a_server_never_reach_people_as_they_are(hostile: str) -> None:
    chunk = {
        "id": hostile,
        "model": hostile,
        "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": hostile}],
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=chunk))
    async with Client(Upstream("main", "http://models.example/v1"), transport=transport) as client:
        completion = await client.complete(ask())
    choice = completion.choices[0]
    for shown in (completion.upstream_id, completion.model, choice.note):
        assert not set(shown) & set("<>&\x1b\u202e")


async def test_a_hostile_error_message_is_replaced() -> None:
    error = {"error": {"message": "<b>pay</b> here", "type": "x"}}
    transport = httpx.MockTransport(lambda _: httpx.Response(400, json=error))
    async with Client(Upstream("main", "http://models.example/v1"), transport=transport) as client:
        with pytest.raises(UpstreamError) as caught:
            await client.complete(ask())
    assert caught.value.message == "The model's server refused the request."


async def test_many_answers_at_once_keep_their_texts_apart(client: Client) -> None:
    questions = [f"question {number}" for number in range(50)]
    answers = await asyncio.gather(*(drain(client.stream(ask(q))) for q in questions))
    assert all(f"> {q}\n" in text(a) for q, a in zip(questions, answers, strict=True))
