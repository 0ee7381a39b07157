import math
from typing import Any

import orjson
import pytest

from conversations.upstream import ChatMessage, ChatRequest, InvalidRequest, Upstream

HELLO = (ChatMessage("user", "Hello"),)


def request(**options: Any) -> ChatRequest:
    return ChatRequest(**{"model": "crimson-falcon-4", "messages": HELLO, **options})


def body(request: ChatRequest, **options: Any) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(request.to_json(**{"stream": True, **options}))
    return value


def test_only_what_was_asked_for_is_sent() -> None:
    assert body(request()) == {
        "model": "crimson-falcon-4",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }


def test_every_parameter_is_sent_as_it_is() -> None:
    sent = body(request(temperature=0.7, top_p=0.9, max_tokens=512, stop=("END",), n=2))
    assert sent | {"model": 0, "messages": 0, "stream": 0} == {
        "model": 0,
        "messages": 0,
        "stream": 0,
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 512,
        "stop": ["END"],
        "n": 2,
    }


def test_zero_is_a_temperature_and_is_sent() -> None:
    assert body(request(temperature=0))["temperature"] == 0


def test_usage_is_asked_for_in_streams_only() -> None:
    assert body(request(), usage=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body(request(), stream=False, usage=True)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        *(("temperature", v) for v in (-0.1, 2.01, math.nan, math.inf, True, "1")),
        *(("top_p", v) for v in (-0.1, 1.01, math.nan, False, "1")),
        *(("max_tokens", v) for v in (0, -1, 1.5, True, "1")),
        *(("n", v) for v in (0, 9, 1.0, True, None)),
        *(("stop", v) for v in (("a",) * 5, ("",), (1,), ["a"], "a")),
        *(("model", v) for v in ("", "  ", None, 3, "\ud800")),
        ("messages", ()),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(param: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(**{param: value})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("param", "value"),
    [
        *(("temperature", v) for v in (0.0, 2)),
        *(("top_p", v) for v in (0, 1)),
        ("max_tokens", 1),
        ("n", 8),
        ("stop", ("a", "b", "c", "d")),
    ],
)
def test_the_edges_of_the_ranges_are_allowed(param: str, value: Any) -> None:
    assert body(request(**{param: value}))[param] == (list(value) if param == "stop" else value)


@pytest.mark.parametrize(("role", "content"), [("tool", "x"), ("user", None), ("user", "\ud83d")])
def test_a_message_has_a_known_role_and_whole_characters(role: Any, content: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChatMessage(role, content)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "models.example/v1",
        "ftp://models.example",
        "https://me:pw@models.example/v1",
        "https://models.example/v1?key=1",
        "https:///v1",
    ],
)
def test_a_base_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        Upstream("main", url)


def test_a_slash_at_the_end_of_the_base_url_does_not_matter() -> None:
    assert Upstream("main", "https://models.example/v1/").base_url == "https://models.example/v1"


def test_a_key_that_would_break_the_header_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="key") as caught:
        Upstream("main", "https://models.example/v1", "canary\r\nX-Evil: 1")
    assert "canary" not in str(caught.value)


def test_an_upstream_does_not_show_its_key() -> None:
    assert "canary" not in repr(Upstream("main", "https://models.example/v1", "canary"))
