"""What a call may ask for: each parameter with its range, and nothing that is not known."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from conversations import openapi
from conversations.gateway import body
from conversations.gateway.problems import Problem
from tests.programs import body as asking


def read(**more: Any) -> body.Asked:
    return body.read(json.dumps(asking() | more).encode())


def refused(raw: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        body.read(raw)
    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"
    return caught.value


def refusal(**more: Any) -> Problem:
    return refused(json.dumps(asking() | more).encode())


def test_defaults_are_those_of_the_reference() -> None:
    asked = read().completed({})
    assert (asked.request.temperature, asked.request.top_p, asked.request.n) == (1.0, 1.0, 1)
    assert (asked.request.max_tokens, asked.request.stop) == (None, ())
    assert (asked.stream, asked.include_usage) == (False, False)


def test_a_models_own_parameters_hold_where_the_caller_has_none() -> None:
    own = {"temperature": 0.2, "max_tokens": 50, "stop": ["END"]}
    asked = read(temperature=0.9).completed(own)
    assert (asked.request.temperature, asked.request.top_p) == (0.9, 1.0)
    assert (asked.request.max_tokens, asked.request.stop) == (50, ("END",))
    assert read(stop="X", max_tokens=7).completed(own).request.stop == ("X",)


def test_null_is_the_default() -> None:
    names = ("temperature", "top_p", "max_tokens", "stream", "stop", "n", "stream_options")
    assert read(**dict.fromkeys(names)) == read()


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("temperature", [0, 0.7, 2, 2.0]),
        ("top_p", [0, 0.1, 1]),
        ("max_tokens", [1, 512, openapi.MOST_TOKENS]),
        ("max_completion_tokens", [1, 512]),
        ("n", [1, 2, 8]),
        ("stop", ["END", ["a"], ["a", "b", "c", "d"], []]),
        ("stream", [True, False]),
    ],
)
def test_values_within_the_range_are_taken(name: str, good: list[Any]) -> None:
    for value in good:
        read(**{name: value})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("model", ["", " ", 3, [], True]),
        ("messages", [[], {}, "Hello", 3]),
        ("temperature", [-0.1, 2.1, "1", True, []]),
        ("top_p", [-0.1, 1.1, "1", False, {}]),
        ("max_tokens", [0, -1, 1.5, "5", True, openapi.MOST_TOKENS + 1, 10**30]),
        ("max_completion_tokens", [0, "5"]),
        ("n", [0, 9, 1.5, "2", True]),
        ("stop", ["", [""], ["a"] * 5, 3, {"a": 1}, [3], [None]]),
        ("stream", ["true", 1, 0, []]),
        ("stream_options", ["x", [], {"include_usage": True}]),
    ],
)
def test_values_outside_the_range_are_refused_by_name(name: str, bad: list[Any]) -> None:
    for value in bad:
        problem = refusal(**{name: value})
        assert (problem.param or "").split("[")[0] == name, value
        assert name in problem.message.lower(), value


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Hello", "messages[0]"),
        ({}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "user", "content": 3}, "messages[0].content"),
        ({"role": "user", "content": [{"type": "text", "text": "Hi"}]}, "messages[0].content"),
        ({"role": "developer", "content": "Hi"}, "messages[0].role"),
        ({"role": "tool", "content": "Hi"}, "messages[0].role"),
        ({"role": ["user"], "content": "Hi"}, "messages[0].role"),
        ({"role": "user", "content": "Hi", "tool_calls": [{}]}, "messages[0].tool_calls"),
        ({"role": "user", "content": "Hi", "api_base": "x"}, "messages[0].api_base"),
    ],
)
def test_a_message_that_is_none_is_refused_by_its_place(message: Any, param: str) -> None:
    assert refusal(messages=[message]).param == param


def test_the_roles_of_the_reference_are_taken() -> None:
    messages = [{"role": role, "content": ""} for role in ("system", "user", "assistant")]
    assert [one.role for one in read(messages=messages).request.messages] == [
        "system",
        "user",
        "assistant",
    ]


@pytest.mark.parametrize("name", ["model", "messages"])
def test_what_is_required_is_missed_by_name(name: str) -> None:
    sent = asking()
    del sent[name]
    problem = refused(json.dumps(sent).encode())
    assert (problem.param, problem.code) == (name, "missing_required_parameter")


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b"3", b"{", b'{"model": NaN}', b"\xff", b"{" * 5000, b"[" * 5000]
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    assert refused(raw).code == "invalid_json"


def test_half_a_character_is_refused() -> None:
    refused(rb'{"model": "\ud800", "messages": []}')


@pytest.mark.parametrize(
    "name",
    ["api_base", "base_url", "api_key", "tools_", "seed", "tool_choice", "functions", "x" * 500],
)
def test_an_unknown_field_is_refused_by_name(name: str) -> None:
    problem = refusal(**{name: "http://elsewhere.invalid"})
    assert problem.code == "unknown_parameter"
    assert problem.param == name[:100]
    assert "elsewhere" not in problem.message


@pytest.mark.parametrize("name", sorted(openapi.IGNORED))
def test_a_field_of_the_callers_own_goes_nowhere(name: str) -> None:
    assert read(**{name: "canary"}) == read()


@pytest.mark.parametrize("name", sorted(openapi.NEUTRAL))
def test_a_field_that_would_change_something_is_taken_only_where_it_does_not(name: str) -> None:
    for neutral in (openapi.NEUTRAL[name], None):
        assert read(**{name: neutral}) == read()
    for other in (1.5, True, ["x"], {"type": "json_object"}, "x"):
        problem = refusal(**{name: other})
        assert (problem.param, problem.code) == (name, "unsupported_parameter")


def test_zero_is_not_false() -> None:
    assert refusal(logprobs=0).param == "logprobs"
    assert refusal(frequency_penalty=False).param == "frequency_penalty"


def test_both_names_of_the_longest_answer_must_say_the_same() -> None:
    assert read(max_tokens=5, max_completion_tokens=5).request.max_tokens == 5
    assert refusal(max_tokens=5, max_completion_tokens=6).param == "max_completion_tokens"


def test_usage_is_asked_for_of_streams_alone() -> None:
    wanted = {"include_usage": True, "include_obfuscation": False}
    assert read(stream=True, stream_options=wanted).include_usage
    assert not read(stream=True, stream_options={}).include_usage
    for wrong in ({"include_usage": 1}, {"other": True}, {"include_obfuscation": True}):
        problem = refusal(stream=True, stream_options=wrong)
        assert (problem.param or "").startswith("stream_options")


def test_how_much_may_be_asked_is_as_set(settings: Settings) -> None:
    settings.CALL_MESSAGES, settings.PROMPT_MAX_CHARS, settings.STOP_MAX_CHARS = 2, 10, 5
    one = {"role": "user", "content": "12345"}
    read(messages=[one] * 2, stop=["12345"])
    assert refusal(messages=[one] * 3).param == "messages"
    assert refusal(messages=[one | {"content": "x" * 11}]).code == "context_length_exceeded"
    assert refusal(stop=["123456"]).param == "stop"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*openapi.PARAMETERS, *openapi.IGNORED, *openapi.NEUTRAL]) | st.text()
WIRE = {"model", "messages", "stream", "temperature", "top_p", "max_tokens", "stop", "n"}


@given(st.dictionaries(NAMES, ANYTHING, max_size=4))
def test_whatever_is_sent_is_valid_or_refused_and_never_reaches_the_wire(more: Any) -> None:
    try:
        asked = body.read(json.dumps(asking() | more, allow_nan=False).encode())
    except (Problem, ValueError, UnicodeEncodeError):
        return
    sent = json.loads(asked.request.to_json(stream=asked.stream))
    assert set(sent) <= WIRE
    assert all(set(message) == {"role", "content"} for message in sent["messages"])


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_in_good_order(raw: bytes) -> None:
    refused(raw)
