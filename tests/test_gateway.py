"""The gateway, request by request: what is answered and what is told of failures."""

import time
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from conversations import access, actions
from conversations.counts import counts
from conversations.gateway import app
from conversations.gateway import body as asked_for
from conversations.models import Conversation, Generation, Key, User
from tests.programs import (
    COMPLETIONS,
    MODEL,
    UPSTREAM_KEY,
    Called,
    body,
    call,
    gives_one_choice,
    key_of,
)
from tests.relays import database_locked, db
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)


# --- Models ---------------------------------------------------------------------------------------


async def test_models_are_those_that_the_key_may_use(token: str, bob: User) -> None:
    got = await call(token, method="GET", path="/v1/models")
    assert got.json["object"] == "list"
    assert [one["id"] for one in got.json["data"]] == django_settings.UPSTREAM_MODELS
    assert all(set(one) == {"id", "object", "created", "owned_by"} for one in got.json["data"])
    _key, narrow = await key_of(bob, models=["indigo-owl-4"])
    got = await call(narrow, method="GET", path="/v1/models")
    assert [one["id"] for one in got.json["data"]] == ["indigo-owl-4"]
    for method, path, sent in (
        ("GET", f"/v1/models/{MODEL}", None),
        ("POST", COMPLETIONS, body()),
    ):
        got = await call(narrow, sent, method=method, path=path)
        assert (got.status, got.error["code"]) == (404, "model_not_found")


async def test_a_model_was_made_when_the_portal_first_heard_of_it(token: str) -> None:
    begun = int(time.time())
    before = await call(token, method="GET", path=f"/v1/models/{MODEL}")
    assert before.json["created"] == 0
    await db(actions.catalogue.fill, upstream="main")
    listed = await call(token, method="GET", path="/v1/models")
    assert all(begun <= one["created"] <= time.time() for one in listed.json["data"])


async def test_a_model_with_slashes_in_its_name(token: str, settings: Settings) -> None:
    settings.UPSTREAM_MODELS = ["meta/llama-3"]
    got = await call(token, method="GET", path="/v1/models/meta/llama-3")
    assert got.json["id"] == "meta/llama-3"


# --- Answers --------------------------------------------------------------------------------------


async def test_a_whole_answer_field_by_field(token: str) -> None:
    got = await call(token, body())
    answer = got.json
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", MODEL)
    [choice] = answer["choices"]
    assert set(choice) == {"index", "message", "finish_reason"}
    assert set(choice["message"]) == {"role", "content"}
    assert set(answer["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


async def test_a_stream_chunk_by_chunk(token: str) -> None:
    got = await call(token, body(stream=True))
    *chunks, done = got.events
    assert done == "[DONE]"
    for chunk in chunks:
        assert set(chunk) == {"id", "object", "created", "model", "choices"}
        assert chunk["object"] == "chat.completion.chunk"
        assert set(chunk["choices"][0]) == {"index", "delta", "finish_reason"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    whole = (await call(token, body())).json["choices"][0]["message"]["content"]
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in chunks) == whole


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_of_an_answer_is_kept_on_its_way(token: str, stream: bool) -> None:
    got = await call(token, body(stream=stream))
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-request-id"]
    assert "set-cookie" not in got.headers
    if stream:
        assert got.headers["x-accel-buffering"] == "no"
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "content-length" not in got.headers
    assert not await db(Conversation.objects.exists)
    assert not await db(Generation.objects.exists)


async def test_usage_of_a_stream_comes_when_asked_for_and_once(token: str) -> None:
    *chunks, usage, done = (
        await call(token, body(stream=True, stream_options={"include_usage": True}))
    ).events
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == 25
    assert {str(chunk["usage"]) for chunk in chunks} == {"None"}


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_that_nobody_counted_is_about_right(
    token: str, keyed: ScriptedUpstream, stream: bool
) -> None:
    text = "#scenario no_done" if stream else "#scenario json_answer"
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    got = await call(token, body(text, **(more if stream else {})))
    usage = got.events[-2]["usage"] if stream else got.json["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0


@pytest.mark.parametrize("together", [True, False], ids=["server does n", "server does not"])
@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices_are_interleaved_with_one_usage(
    token: str,
    keyed: ScriptedUpstream,
    stream: bool,
    together: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not together:
        gives_one_choice(monkeypatch)
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
    got = await call(token, body(n=3, stream=stream, **more))
    assert len(keyed.requests) == (1 if together else 3)
    assert all(("n" in one.json) is together for one in keyed.requests)
    if not stream:
        assert [one["index"] for one in got.json["choices"]] == [0, 1, 2]
        assert got.json["usage"]["prompt_tokens"] == 25
        return
    *chunks, usage, _done = got.events
    indexes = [chunk["choices"][0]["index"] for chunk in chunks]
    assert set(indexes) == {0, 1, 2}
    assert indexes != sorted(indexes)
    ends = [one for one in chunks if one["choices"][0]["finish_reason"]]
    assert len(ends) == 3
    assert usage["usage"]["prompt_tokens"] == 25


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("finish reason=length", "length"),
        ("finish reason=content_filter", "content_filter"),
        ("tool_call", "tool_calls"),
        ("finish reason=eos", "other"),
    ],
)
async def test_why_an_answer_ended_is_passed_on(token: str, scenario: str, reason: str) -> None:
    got = await call(token, body(f"#scenario {scenario}", stream=True))
    assert got.events[-1] == "[DONE]"
    assert got.events[-2]["choices"][0]["finish_reason"] == reason


async def test_what_a_model_thinks_is_not_its_answer(token: str) -> None:
    got = await call(token, body("#scenario reasoning", stream=True))
    said = "".join(one["choices"][0]["delta"].get("content", "") for one in got.events[:-1])
    assert said == "Hello, world"
    assert "reasoning" not in got.text


@pytest.mark.parametrize("scenario", ["unicode_separators", "split_characters", "line_ends"])
async def test_text_arrives_as_it_was_sent(token: str, scenario: str) -> None:
    got = await call(token, body(f"#scenario {scenario}", stream=True))
    assert got.events[-1] == "[DONE]"
    assert all(line.startswith("data: ") for line in got.text.split("\n") if line)


async def test_a_model_that_thinks_is_kept_company(token: str, settings: Settings) -> None:
    settings.CALL_HEARTBEAT_SECONDS = 0.2
    called = Called(token, body("#scenario silent", stream=True))
    begun = time.monotonic()
    await called.begin()
    assert called.status == 200
    assert time.monotonic() - begun < 2
    assert [await called.piece() for _ in range(3)] == [b": still here\n\n"] * 3
    await called.leave()


async def test_an_error_after_a_heartbeat_is_an_event(token: str, settings: Settings) -> None:
    settings.CALL_HEARTBEAT_SECONDS, settings.UPSTREAM_FIRST_TOKEN_TIMEOUT = 0.1, 0.5
    got = await call(token, body("#scenario silent", stream=True))
    assert got.status == 200
    [error] = got.events
    assert error["error"]["code"] == "upstream_timeout_first_token"


# --- Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("bad_key", 500, "upstream_bad_key"),
        ("bad_key status=403", 500, "upstream_bad_key"),
        ("rate_limited retry_after=7", 429, "rate_limit_exceeded"),
        ("no_quota", 500, "upstream_no_quota"),
        ("context_too_long", 400, "context_length_exceeded"),
        ("unknown_model", 404, "model_not_found"),
        ("refused status=400", 400, "invalid_value"),
        ("failing status=503", 500, "upstream_error"),
        ("html_error", 500, "upstream_error"),
        ("sign_in_page", 500, "upstream_unreadable"),
        ("redirect", 500, "upstream_redirected"),
        ("drop", 500, "upstream_disconnected"),
    ],
)
async def test_what_an_upstream_refuses_is_told_with_a_status(
    token: str, scenario: str, status: int, code: str, stream: bool
) -> None:
    got = await call(token, body(f"#scenario {scenario}", stream=stream))
    assert (got.status, got.error["code"]) == (status, code)
    assert UPSTREAM_KEY not in got.text
    assert got.error["type"] == ("server_error" if status == 500 else got.error["type"])
    if status == 429:
        assert got.headers["retry-after"] == "7"
    if code in {"upstream_bad_key", "upstream_no_quota"}:
        assert got.headers["x-should-retry"] == "false"
        assert "API key provided" not in got.text


@pytest.mark.parametrize(
    "scenario",
    ["error_midway", "named_error", "eof_midway", "cut_midway", "reset_midway"],
)
async def test_an_error_midway_is_the_last_event_and_no_end(token: str, scenario: str) -> None:
    got = await call(token, body(f"#scenario {scenario}", stream=True))
    assert got.status == 200
    *chunks, error = got.events
    assert set(error) == {"error"}
    assert error["error"]["type"] == "server_error"
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)
    assert "[DONE]" not in got.text


async def test_an_upstream_that_nobody_set_up(alice: User, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL = ""
    _key, token = await key_of(alice)
    got = await call(token, body())
    assert (got.status, got.error["code"]) == (404, "model_not_found")


async def test_a_database_that_is_away_is_told(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(*_arguments: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(access, "authorise", away)
    got = await call(token, body())
    assert (got.status, got.error["code"]) == (503, "overloaded")
    assert got.headers["retry-after"] == "5"


async def test_a_last_use_that_cannot_be_noted_fails_nobody(token: str, impatient: None) -> None:
    with database_locked():
        assert (await call(token, method="GET", path="/v1/models")).status == 200


async def test_a_mistake_of_ours_is_an_error_object(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("canary detail")

    monkeypatch.setattr(asked_for, "read", broken)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    authorization = (b"authorization", f"Bearer {token}".encode())
    scope = {"method": "POST", "path": COMPLETIONS, "scheme": "http", "headers": [authorization]}
    with pytest.raises(RuntimeError):
        await app.Gateway(Called)(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 500
    assert b"internal_error" in sent[1]["body"]
    assert b"canary" not in sent[1]["body"]


async def test_a_body_that_is_too_large_is_refused(token: str, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    got = await call(token, body("x" * 100))
    assert (got.status, got.error["code"]) == (413, "request_too_large")


# --- What is told of it ---------------------------------------------------------------------------


async def test_calls_are_counted_by_how_they_ended(token: str) -> None:
    before = counts.calls.copy()
    await call(token, body())
    await call(token, body("#scenario no_quota"))
    left = Called(token, body("#scenario slow tokens=1000 rate=20", stream=True))
    await left.begin()
    assert counts.calls_running == 1
    await left.leave()
    grown = {name: n - before[name] for name, n in counts.calls.items() if n != before[name]}
    assert grown == {"done": 1, "no_quota": 1, "left": 1}
    assert counts.calls_running == 0


async def test_the_last_use_of_a_key_is_noted(token: str) -> None:
    assert (await call(token, method="GET", path="/v1/models")).status == 200
    assert (await db(Key.objects.get)).last_used_at is not None
