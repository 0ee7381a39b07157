"""What the operator sets about the upstream is what happens on the wire."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from conversations import catalogue
from conversations.upstream import Client, FinishReason, Retrying
from tests.test_upstream_refusals import certificate
from tests.upstream import ScriptedUpstream
from tests.upstream.scenarios import scenario
from tests.upstream.stage import Outcome, assert_good, heard
from tests.upstream.wire import Request, Wire

CUT = [(0, FinishReason.LENGTH)]
GOOD = [(0, FinishReason.STOP)]


@scenario()
async def refusal_in_pieces(wire: Wire, request: Request, *, after: float) -> None:
    """400, and its reason later."""
    text = b'{"error": {"message": "Bad parameter."}}'
    await wire.head(400, chunked=False, content_length=str(len(text)))
    await asyncio.sleep(after)
    await wire.raw(text)


@pytest.fixture
def waits() -> list[float]:
    """How long the client rested between its tries."""
    return []


@pytest.fixture
def quick(settings: Settings) -> None:
    settings.UPSTREAM_RETRIES = 0


def client(waits: list[float] | None = None) -> Client:
    """As the relay makes it."""
    server = catalogue.upstream()
    assert server is not None

    async def rest(seconds: float) -> None:
        (waits if waits is not None else []).append(seconds)

    return Client(server, sleep=rest, jitter=lambda: 0.0)


async def ask(waits: list[float] | None = None) -> Outcome:
    async with client(waits) as asking:
        return await heard(asking)


# --- Sizes ----------------------------------------------------------------------------------------


async def test_an_event_may_be_as_long_as_set(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    upstream.script("huge_event", size=20_000).script("huge_event", size=20_000)
    assert_good(await ask(), "Hello" + "x" * 20_000 + "!")
    settings.EVENT_MAX_BYTES = 10_000
    catalogue.forget()
    outcome = await ask()
    assert (outcome.text(), outcome.finishes) == ("Hello", CUT)


async def test_an_answer_may_be_as_long_as_set(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    settings.ANSWER_MAX_BYTES = 20_500
    upstream.script("endless")
    outcome = await ask()
    assert (len(outcome.text()), outcome.finishes) == (20_500, CUT)


async def test_a_body_may_be_as_long_as_set(upstream: ScriptedUpstream, settings: Settings) -> None:
    settings.UPSTREAM_BODY_MAX_BYTES = 30_000
    upstream.script("endless")
    outcome = await ask()
    assert 0 < len(outcome.text()) < 30_000
    assert outcome.finishes == CUT


@pytest.mark.parametrize(("most", "code"), [(50, "too_large"), (5_000, None)])
async def test_a_plain_answer_may_be_as_long_as_set(
    upstream: ScriptedUpstream, settings: Settings, most: int, code: str | None
) -> None:
    settings.UPSTREAM_JSON_MAX_BYTES = most
    upstream.script("json_answer")
    assert (await ask()).code == code


@pytest.mark.parametrize(("most", "shown"), [(20, False), (5_000, True)])
async def test_the_reason_of_a_refusal_is_read_as_far_as_set(
    upstream: ScriptedUpstream, settings: Settings, most: int, shown: bool
) -> None:
    settings.UPSTREAM_ERROR_MAX_BYTES = most
    upstream.script("refused", message="Bad parameter.")
    error = (await ask()).error
    assert error is not None
    assert ("Bad parameter." in error.message) is shown


# --- Times ----------------------------------------------------------------------------------------


@contextmanager
def deaf_server() -> Iterator[str]:
    """Its queue of connections is full, so that no other one is taken up."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


async def test_a_connection_is_waited_for_as_long_as_set(quick: None, settings: Settings) -> None:
    settings.UPSTREAM_CONNECT_TIMEOUT = 0.3
    with deaf_server() as settings.UPSTREAM_BASE_URL:
        begun = time.monotonic()
        assert (await ask()).code == "unreachable"
        assert 0.2 < time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("setting", "scenario", "options", "code"),
    [
        ("UPSTREAM_FIRST_TOKEN_TIMEOUT", "mute", {}, "timeout_first_token"),
        ("UPSTREAM_FIRST_TOKEN_TIMEOUT", "silent", {}, "timeout_first_token"),
        ("UPSTREAM_IDLE_TIMEOUT", "stall_midway", {}, "timeout_idle"),
        ("UPSTREAM_TOTAL_TIMEOUT", "endless", {"size": 1, "pause": 0.01}, None),
        ("UPSTREAM_AFTER_END_TIMEOUT", "open_end", {}, None),
        ("UPSTREAM_ERROR_TIMEOUT", "refusal_in_pieces", {"after": 20}, "bad_request"),
    ],
)
async def test_silence_is_borne_as_long_as_set(
    upstream: ScriptedUpstream,
    quick: None,
    settings: Settings,
    setting: str,
    scenario: str,
    options: dict[str, Any],
    code: str | None,
) -> None:
    setattr(settings, setting, 0.3)
    upstream.script(scenario, **options)
    begun = time.monotonic()
    assert (await ask()).code == code
    assert 0.2 < time.monotonic() - begun < 3


async def test_a_free_connection_is_waited_for_as_long_as_set(
    upstream: ScriptedUpstream, settings: Settings
) -> None:
    settings.UPSTREAM_SLOT_TIMEOUT, settings.GENERATIONS_PER_PROCESS = 0.3, 1
    async with client() as asking:
        for _ in range(asking.upstream.limits.connections):
            upstream.script("silent")
        running = [
            asyncio.create_task(heard(asking)) for _ in range(asking.upstream.limits.connections)
        ]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        assert (await heard(asking)).code == "busy"
        assert 0.2 < time.monotonic() - begun < 3
        for task in running:
            task.cancel()
        await asyncio.wait(running)


@pytest.mark.parametrize(("seconds", "connections"), [(0.05, 2), (4, 1)])
async def test_an_idle_connection_is_kept_as_long_as_set(
    upstream: ScriptedUpstream, settings: Settings, seconds: float, connections: int
) -> None:
    settings.UPSTREAM_KEEPALIVE = seconds
    async with client() as asking:
        await heard(asking)
        await asyncio.sleep(0.2)
        await heard(asking)
    assert upstream.accepted == connections


# --- Trying again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_it_is_tried_again_as_often_as_set(
    upstream: ScriptedUpstream, settings: Settings, waits: list[float], retries: int
) -> None:
    settings.UPSTREAM_RETRIES = retries
    for _ in range(retries + 1):
        upstream.script("failing")
    assert (await ask(waits)).code == "upstream_error"
    assert len(upstream.requests) == 1 + retries
    assert len(waits) == retries


@pytest.mark.parametrize(("budget", "finishes"), [(4, []), (6, GOOD)])
async def test_the_wait_that_a_server_asks_for_is_taken_within_the_budget_that_is_set(
    upstream: ScriptedUpstream,
    settings: Settings,
    waits: list[float],
    budget: float,
    finishes: list[Any],
) -> None:
    settings.UPSTREAM_RETRY_BUDGET = budget
    upstream.script("rate_limited", retry_after="5")
    outcome = await ask(waits)
    assert outcome.finishes == finishes
    assert [event.delay for event in outcome.of(Retrying)] == ([5] if finishes else [])


# --- Who it talks with ----------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_authority_that_is_set_is_trusted(
    quick: None, settings: Settings, tmp_path: Path, trusted: bool
) -> None:
    authority, tls = certificate(tmp_path, expired=False)
    settings.UPSTREAM_CA_FILE = authority if trusted else ""
    async with ScriptedUpstream(tls=tls) as server:
        settings.UPSTREAM_BASE_URL = server.base_url
        assert (await ask()).code == (None if trusted else "tls")


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_proxy_of_the_environment_is_used_only_where_set(
    upstream: ScriptedUpstream,
    quick: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
    unused_tcp_port: int,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    settings.UPSTREAM_TRUST_ENV = trusted
    assert (await ask()).code == ("unreachable" if trusted else None)


async def test_the_key_that_is_set_is_sent(upstream: ScriptedUpstream, settings: Settings) -> None:
    settings.UPSTREAM_API_KEY = "canary-key-4711"
    await ask()
    assert upstream.requests[0].headers["authorization"] == "Bearer canary-key-4711"


@pytest.mark.parametrize(("required", "code"), [(True, "interrupted"), (False, None)])
async def test_an_end_without_a_reason_counts_where_set(
    upstream: ScriptedUpstream, settings: Settings, required: bool, code: str | None
) -> None:
    settings.UPSTREAM_SENDS_FINISH_REASON = required
    upstream.script("done_without_finish")
    assert (await ask()).code == code
