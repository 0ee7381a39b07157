"""OpenAI's own client against a served portal: what programs use today works unchanged."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk

from conversations.actions import keys
from conversations.models import User
from tests.programs import MODEL, UPSTREAM_KEY, served, until
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)

Messages = list[Any]


class Portal:
    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def client(self, key: str, **options: Any) -> OpenAI:
        return OpenAI(base_url=self._base_url, api_key=key, **{"max_retries": 0} | options)

    def async_client(self, key: str, **options: Any) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self._base_url, api_key=key, **{"max_retries": 0} | options)


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread(key=UPSTREAM_KEY) as upstream:
        yield upstream


@pytest.fixture
def portal(transactional_db: None, upstream: ScriptedUpstream) -> Iterator[Portal]:
    with served(upstream, UPSTREAM_IDLE_TIMEOUT="2", CALL_HEARTBEAT_SECONDS="0.5") as base_url:
        yield Portal(base_url)


@pytest.fixture
def key(alice: User) -> str:
    return keys.make(user=alice, actor=alice, name="Test")[1]


@pytest.fixture
def client(portal: Portal, key: str) -> Iterator[OpenAI]:
    with portal.client(key) as client:
        yield client


def asking(text: str = "Hello?") -> Messages:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def ask(client: OpenAI, text: str = "Hello?", **more: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=asking(text), **more)


def texts(chunks: Any) -> dict[int, str]:
    """What each choice says in the end."""
    said: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            said[choice.index] = said.get(choice.index, "") + (choice.delta.content or "")
    return said


# --- Answers --------------------------------------------------------------------------------------


def test_a_whole_answer(client: OpenAI) -> None:
    answer = ask(client)
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert abs(answer.created - time.time()) < 60
    [choice] = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert choice.message.role == "assistant"
    assert "> Hello?" in choice.message.content
    assert answer.usage.prompt_tokens == 25
    assert answer.usage.total_tokens == 25 + answer.usage.completion_tokens
    assert answer._request_id


def test_a_streamed_answer_says_the_same(client: OpenAI) -> None:
    chunks: list[ChatCompletionChunk] = list(ask(client, stream=True))
    assert texts(chunks) == {0: ask(client).choices[0].message.content}
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [one.choices[0].finish_reason for one in chunks][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_at_the_end_when_it_is_asked_for(client: OpenAI) -> None:
    *rest, last = ask(client, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(chunk.choices for chunk in rest)


def test_the_streaming_helper_of_the_client_works(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=asking()) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert "content.delta" in kinds
    assert "> Hello?" in str(answer.choices[0].message.content)


async def test_the_asynchronous_client(portal: Portal, key: str) -> None:
    async with portal.async_client(key) as client:
        whole = await client.chat.completions.create(model=MODEL, messages=asking())
        stream = await client.chat.completions.create(model=MODEL, messages=asking(), stream=True)
        said = texts([chunk async for chunk in stream])
    assert said == {0: whole.choices[0].message.content}


async def test_twenty_at_once_each_get_their_own(portal: Portal, key: str) -> None:
    async with portal.async_client(key) as client:

        async def one(number: int) -> str:
            stream = await client.chat.completions.create(
                model=MODEL, messages=asking(f"Number {number}?"), stream=True
            )
            return texts([chunk async for chunk in stream])[0]

        answers = await asyncio.gather(*(one(number) for number in range(20)))
    assert all(f"> Number {number}?" in text for number, text in enumerate(answers))


@pytest.mark.parametrize("stream", [False, True])
def test_several_choices(client: OpenAI, stream: bool) -> None:
    answer = ask(client, n=3, stream=stream)
    said = texts(answer) if stream else {c.index: c.message.content for c in answer.choices}
    assert sorted(said) == [0, 1, 2]
    assert len(set(said.values())) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_parameters_go_upstream_as_they_were_given(
    client: OpenAI, upstream: ScriptedUpstream, stream: bool
) -> None:
    given: dict[str, Any] = {
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["END", "\n\n"],
    }
    answer = ask(client, stream=stream, user="alice-42", **given)
    assert list(answer)
    sent = upstream.requests[-1].json
    more = {"stream_options": {"include_usage": True}} if stream else {}
    assert sent == {"model": MODEL, "messages": asking(), "stream": stream} | given | more


def test_defaults_are_those_of_the_reference(client: OpenAI, upstream: ScriptedUpstream) -> None:
    ask(client)
    sent = upstream.requests[-1].json
    assert sent == {
        "model": MODEL,
        "messages": asking(),
        "stream": False,
        "temperature": 1.0,
        "top_p": 1.0,
    }


def test_a_stop_may_be_a_string(client: OpenAI, upstream: ScriptedUpstream) -> None:
    ask(client, stop="END")
    assert upstream.requests[-1].json["stop"] == ["END"]


def test_an_answer_given_back_as_the_client_has_it(client: OpenAI) -> None:
    message = ask(client).choices[0].message
    again = client.chat.completions.create(
        model=MODEL,
        messages=[*asking(), message.model_dump(), {"role": "user", "content": "And?"}],
    )
    assert "> And?" in str(again.choices[0].message.content)


def test_models(client: OpenAI, portal: Portal, alice: User) -> None:
    assert next(iter(client.models.list())).id == MODEL
    assert client.models.retrieve("indigo-owl-4").object == "model"
    _key, token = keys.make(user=alice, actor=alice, name="One", models=["indigo-owl-4"])
    with portal.client(token) as narrow:
        assert [one.id for one in narrow.models.list()] == ["indigo-owl-4"]
        with pytest.raises(openai.NotFoundError):
            narrow.models.retrieve(MODEL)
        with pytest.raises(openai.NotFoundError):
            ask(narrow)


# --- Refusals -------------------------------------------------------------------------------------


def test_each_error_is_the_one_that_the_client_knows(portal: Portal, client: OpenAI) -> None:
    with portal.client("lt_" + "x" * 53) as stranger, pytest.raises(openai.AuthenticationError):
        ask(stranger)
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nowhere", messages=asking())
    assert missing.value.code == "model_not_found"
    assert missing.value.request_id
    with pytest.raises(openai.BadRequestError) as bad:
        ask(client, temperature=3)
    assert bad.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as unknown:
        ask(client, extra_body={"api_base": "http://elsewhere.invalid"})
    assert "api_base" in str(unknown.value)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scenario", "error", "status"),
    [
        ("bad_key", openai.InternalServerError, 500),
        ("rate_limited retry_after=3", openai.RateLimitError, 429),
        ("no_quota", openai.InternalServerError, 500),
        ("context_too_long", openai.BadRequestError, 400),
        ("unknown_model", openai.NotFoundError, 404),
        ("html_error", openai.InternalServerError, 500),
        ("sign_in_page", openai.InternalServerError, 500),
        ("redirect", openai.InternalServerError, 500),
        ("drop", openai.InternalServerError, 500),
    ],
)
def test_what_an_upstream_refuses(
    client: OpenAI, scenario: str, error: type[openai.APIStatusError], status: int, stream: bool
) -> None:
    with pytest.raises(error) as refused:
        list(ask(client, f"#scenario {scenario}", stream=stream))
    assert refused.value.status_code == status
    assert UPSTREAM_KEY not in str(refused.value.body)
    if status == 429:
        assert refused.value.response.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    "scenario", ["error_midway", "eof_midway", "cut_midway", "reset_midway", "stall_midway"]
)
def test_an_error_midway_is_an_error_and_no_end(client: OpenAI, scenario: str) -> None:
    heard: list[ChatCompletionChunk] = []
    stream = ask(client, f"#scenario {scenario}", stream=True)
    with pytest.raises(openai.APIError):
        heard.extend(stream)
    assert heard
    assert all(choice.finish_reason is None for chunk in heard for choice in chunk.choices)


def test_a_client_that_tries_again_gets_past_a_refusal(
    portal: Portal, key: str, upstream: ScriptedUpstream
) -> None:
    upstream.script("failing", status=503).script("rate_limited")
    with portal.client(key, max_retries=2) as client:
        assert "> Hello?" in str(ask(client).choices[0].message.content)


def test_a_client_does_not_try_again_what_cannot_succeed(
    portal: Portal, key: str, upstream: ScriptedUpstream
) -> None:
    with (
        portal.client(key, max_retries=2) as client,
        pytest.raises(openai.InternalServerError),
    ):
        ask(client, "#scenario no_quota")
    assert len(upstream.requests) == 1


def test_a_timeout_of_the_client_closes_the_upstream(
    portal: Portal, key: str, upstream: ScriptedUpstream
) -> None:
    with portal.client(key, timeout=0.5) as client, pytest.raises(openai.APITimeoutError):
        ask(client, "#scenario silent")
    assert until(lambda: upstream.open == 0, 3) < 1


def test_a_stream_that_is_closed_early_closes_the_upstream(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    stream = ask(client, "#scenario slow tokens=1000 rate=20", stream=True)
    for _chunk in zip(range(3), stream, strict=False):
        assert upstream.open == 1
    stream.close()
    assert until(lambda: upstream.open == 0, 3) < 1
