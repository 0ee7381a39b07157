"""The scripted upstream itself: a strict and honest server until it is told otherwise."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.upstream import ScriptedUpstream
from tests.upstream.scenarios import everything

GOOD: dict[str, Any] = {
    "model": "indigo-owl-4",
    "messages": [{"role": "user", "content": "Hi"}],
}


@pytest.fixture
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread(key="test-key") as server:
        yield server


# Usage that never comes is any answer that breaks off; HTTP/2, our own pool and names that do not
# resolve are no server's to play.
NOT_PLAYED = {5, 37, 38, 39}


def test_there_is_a_scenario_for_every_row_of_upstream_oddities() -> None:
    assert {scenario.row for scenario in everything()} - {0} == set(range(1, 41)) - NOT_PLAYED


def post(server: ScriptedUpstream, body: Any, key: str = "test-key") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{server.base_url}/chat/completions", json=body, headers=headers)


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line for line in response.text.split("\n") if line.startswith("data: {")]
    return [orjson.loads(line.removeprefix("data: ")) for line in lines]


def test_a_plain_answer_has_the_form_of_the_reference(server: ScriptedUpstream) -> None:
    answer = post(server, GOOD).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert "> Hi" in answer["choices"][0]["message"]["content"]


def test_a_stream_says_the_same_as_a_plain_answer(server: ScriptedUpstream) -> None:
    streamed = chunks(post(server, GOOD | {"stream": True}))
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in streamed)
    assert text == post(server, GOOD).json()["choices"][0]["message"]["content"]


def test_usage_is_streamed_only_when_asked_for(server: ScriptedUpstream) -> None:
    asked = GOOD | {"stream": True, "stream_options": {"include_usage": True}}
    assert chunks(post(server, asked))[-1]["usage"]["prompt_tokens"] == 25
    assert "usage" not in chunks(post(server, GOOD | {"stream": True}))[-1]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"model": "gpt-9"}, 404),
        ({"messages": []}, 400),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, 400),
        ({"messages": [{"role": "user"}]}, 400),
        ({"temperature": 2.5}, 400),
        ({"top_p": -1}, 400),
        ({"max_tokens": 0}, 400),
        ({"n": "2"}, 400),
        ({"stream": "yes"}, 400),
    ],
)
def test_a_bad_request_is_refused_with_an_error_object(
    server: ScriptedUpstream, wrong: dict[str, Any], status: int
) -> None:
    response = post(server, GOOD | wrong)
    assert (response.status_code, "message" in response.json()["error"]) == (status, True)


def test_a_wrong_key_is_refused(server: ScriptedUpstream) -> None:
    assert post(server, GOOD, key="other").status_code == 401


def test_a_scenario_can_be_chosen_in_the_message(server: ScriptedUpstream) -> None:
    body = GOOD | {"messages": [{"role": "user", "content": "#scenario failing status=503 please"}]}
    assert post(server, body).status_code == 503


def test_an_unknown_scenario_is_answered_with_the_known_ones(server: ScriptedUpstream) -> None:
    body = GOOD | {"messages": [{"role": "user", "content": "#scenario nonsense"}]}
    assert "cut_midway" in post(server, body).json()["error"]["message"]


def test_a_benchmark_token_says_when_it_was_written(server: ScriptedUpstream) -> None:
    before = time.monotonic_ns()
    server.script("benchmark", tokens=3, rate=1000)
    tokens = [c for c in chunks(post(server, GOOD | {"stream": True})) if "written_ns" in c]
    assert [int(c["choices"][0]["delta"]["content"]) for c in tokens] == [
        c["written_ns"] for c in tokens
    ]
    assert before < tokens[0]["written_ns"] < tokens[2]["written_ns"] < time.monotonic_ns()


def test_every_request_is_recorded(server: ScriptedUpstream) -> None:
    post(server, GOOD)
    assert server.requests[0].json == GOOD
    assert server.requests[0].headers["authorization"] == "Bearer test-key"


def test_the_command_lists_every_scenario() -> None:
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "tests.upstream", "--help"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    ours = [one for one in everything() if one.play.__module__.startswith("tests.upstream.")]
    assert ours
    assert all(scenario.name in shown for scenario in ours)
