"""Programs in JavaScript against a served portal: with OpenAI's own package, and with the AI SDK,
which shares no code with it and checks what it reads by schemas of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conversations.actions import keys
from conversations.models import Budget, Period, Scope, Source, Unit, UsageRecord, User
from tests.javascript import clients, run  # noqa: F401  a fixture
from tests.programs import MODEL, UPSTREAM_KEY, served, until
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)

OPENAI, AI_SDK = "openai.js", "aisdk.js"
BOTH = pytest.mark.parametrize("script", [OPENAI, AI_SDK])

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def scripted() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread(key=UPSTREAM_KEY) as upstream:
        yield upstream


@pytest.fixture
def ask(
    transactional_db: None,
    clients: Path,  # noqa: F811
    scripted: ScriptedUpstream,
    alice: User,
) -> Iterator[Ask]:
    """Makes calls with one of the scripts; what became of each."""
    _key, token = keys.make(user=alice, actor=alice, name="Test")
    with served(scripted) as base_url:

        def ask(script: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
            return run(clients / script, base_url, token, calls)

        yield ask


def asking(text: str = "Hello?", **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages} | more


@BOTH
def test_an_answer_is_the_same_in_one_piece_and_in_many(ask: Ask, script: str) -> None:
    # The AI SDK asks for usage by itself.
    usage = {"stream_options": {"include_usage": True}} if script == OPENAI else {}
    whole, streamed = ask(script, asking(), asking(stream=True) | usage)
    assert "> Hello?" in whole["said"][0]
    assert whole["finished"] == ["stop"]
    assert whole["usage"]["prompt_tokens"] == 25
    assert whole["usage"]["total_tokens"] == 25 + whole["usage"]["completion_tokens"]
    assert streamed | {"pieces": 1} == whole
    charged = UsageRecord.objects.values_list("prompt_tokens", "completion_tokens")
    assert list(charged) == [(25, whole["usage"]["completion_tokens"])] * 2


@BOTH
def test_parameters_go_upstream_as_they_were_given(
    ask: Ask, scripted: ScriptedUpstream, script: str
) -> None:
    given: dict[str, Any] = {
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["END", "\n\n"],
    }
    for outcome in ask(script, asking(**given), asking(stream=True, **given)):
        assert outcome["said"]
    for request in scripted.requests:
        assert {name: request.json[name] for name in given} == given


@pytest.mark.parametrize("stream", [False, True])
def test_several_choices(ask: Ask, stream: bool) -> None:
    (outcome,) = ask(OPENAI, asking(n=3, stream=stream))
    assert len(set(outcome["said"])) == 3
    assert outcome["finished"] == ["stop"] * 3


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_each_refusal_is_the_error_that_the_client_knows(
    ask: Ask, script: str, stream: bool
) -> None:
    Budget.objects.create(
        scope=Scope.PORTAL, unit=Unit.TOKENS, period=Period.DAY, limit=100_000, contact="Olga"
    )
    refused = {
        (401, "AuthenticationError", "invalid_api_key"): asking(apiKey="lt_" + "x" * 53),
        (404, "NotFoundError", "model_not_found"): asking() | {"model": "nowhere"},
        (400, "BadRequestError", "invalid_value"): asking(temperature=3),
        (400, "BadRequestError", "context_length_exceeded"): asking("#scenario context_too_long"),
        (429, "RateLimitError", "rate_limit_exceeded"): asking("#scenario rate_limited"),
        (429, "RateLimitError", "insufficient_quota"): asking(max_tokens=100_000),
        (500, "InternalServerError", "upstream_bad_key"): asking("#scenario bad_key"),
    }
    outcomes = ask(script, *(call | {"stream": stream} for call in refused.values()))
    for (status, name, code), outcome in zip(refused, outcomes, strict=True):
        error = outcome["error"]
        assert (error["status"], error["code"]) == (status, code)
        assert error["name"] == (name if script == OPENAI else "AI_APICallError")
        assert error["requestId"]
        assert UPSTREAM_KEY not in str(error)
    assert outcomes[2]["error"]["param"] == "temperature"
    assert "Olga can raise it" in outcomes[5]["error"]["message"]


@BOTH
def test_an_error_midway_is_an_error_and_no_end(ask: Ask, script: str) -> None:
    (outcome,) = ask(script, asking("#scenario error_midway", stream=True))
    assert outcome["error"]["code"] == "upstream_error"


@BOTH
def test_a_stream_that_is_left_closes_the_upstream_and_is_charged_so_far(
    ask: Ask, scripted: ScriptedUpstream, script: str
) -> None:
    slow = asking("#scenario slow tokens=1000 rate=50", stream=True, leaveAfter=5)
    assert ask(script, slow) == [{"left": 5}]
    until(lambda: scripted.open == 0, 5)
    until(UsageRecord.objects.exists, 5)
    record = UsageRecord.objects.get()
    assert (record.reason, record.source) == ("left", Source.ESTIMATED)
    assert 0 < record.completion_tokens < 500
