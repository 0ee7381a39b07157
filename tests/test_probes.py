"""/healthz, /readyz and /metrics as balancers and collectors ask for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from django.test import Client
from pytest_django import Settings

from conversations import health, probes
from conversations.models import Conversation, User
from tests.asking import ask_for

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "canary-metrics-token-5512"
KEY = "canary-upstream-key-5513"
ADDRESSES = ("/healthz", "/readyz", "/metrics")


@pytest.fixture(autouse=True)
def _token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.HEALTH_TIMEOUT = 5


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Where a process without pages answers."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(probes.serve(0, found.set_result))
    yield await found
    task.cancel()
    await asyncio.wait({task})


# --- Who gets what --------------------------------------------------------------------------------


async def test_a_process_says_that_it_lives() -> None:
    got = await ask_for("/healthz")
    assert (got.status, got.json) == (200, {"state": "alive"})


async def test_it_lives_while_its_database_is_away_and_its_model_server_too(
    settings: Settings,
) -> None:
    settings.HEALTH_TIMEOUT = 0
    assert (await ask_for("/healthz")).status == 200
    assert (await ask_for("/readyz")).status == 503  # nothing is known yet


async def test_a_ready_process_says_how_its_parts_are_and_since_when() -> None:
    got = await ask_for("/readyz")
    assert got.status == 200
    assert set(got.json) == {"state", "parts"}
    assert set(got.json["parts"]) == {"database", "layer", "relay", "upstream"}
    for part in got.json["parts"].values():
        assert set(part) == {"state", "age"}
    assert got.json["parts"]["database"]["age"] < 5


async def test_a_process_that_leaves_says_so_with_503() -> None:
    health.leave()
    got = await ask_for("/readyz")
    assert (got.status, got.json["state"]) == (503, "leaving")
    assert (await ask_for("/healthz")).status == 200


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "elsewhere.example", ""])
async def test_a_probe_by_address_over_plain_http_is_answered_and_not_redirected(
    path: str, host: str, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["chat.example"]
    settings.SECURE_SSL_REDIRECT = True
    got = await ask_for(path, host=host, authorization=f"Bearer {TOKEN}")
    assert got.status == 200


@pytest.mark.parametrize("path", ADDRESSES)
async def test_no_answer_is_kept_by_a_cache_or_sets_a_cookie(path: str) -> None:
    got = await ask_for(path, authorization=f"Bearer {TOKEN}")
    assert got.headers["cache-control"] == "no-store"
    assert "set-cookie" not in got.headers
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ADDRESSES)
async def test_only_reading_is_offered(path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await ask_for(path, method)).status == 405
    got = await ask_for(path, "HEAD", authorization=f"Bearer {TOKEN}")
    assert (got.status, got.body) == (200, b"")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
async def test_without_the_token_there_are_no_metrics(authorization: str) -> None:
    got = await ask_for("/metrics", authorization=authorization)
    assert (got.status, got.body) == (404, b"Not found.\n")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer "])
async def test_where_no_token_is_set_nobody_gets_metrics(
    authorization: str, settings: Settings
) -> None:
    settings.METRICS_TOKEN = ""
    assert (await ask_for("/metrics", authorization=authorization)).status == 404


async def test_charlie_learns_of_no_secret_host_person_or_word(
    conversation: Conversation, alice: User, charlie: User, settings: Settings
) -> None:
    settings.UPSTREAM_API_KEY = KEY
    settings.UPSTREAM_BASE_URL = "http://models.internal.example/v1"
    shown = [await ask_for(path) for path in ADDRESSES]
    shown.append(await ask_for("/metrics", authorization=f"Bearer {TOKEN}"))
    secret = [KEY, TOKEN, settings.SECRET_KEY, "internal.example", "alice", "Slow export"]
    secret += [alice.public_id, conversation.public_id, "5.2", "sqlite", "Daphne"]
    for got in shown:
        assert [one for one in secret if one in str(got.headers) + got.body.decode()] == []


def test_behind_the_probes_these_addresses_are_no_pages(client: Client) -> None:
    for path in ADDRESSES:
        assert client.get(path).status_code == 404


async def test_what_only_looks_like_a_probe_is_left_to_the_pages() -> None:
    left = []

    async def pages(scope: dict[str, Any], receive: object, send: object) -> None:
        left.append(scope["path"])

    for path in ("/healthz/", "/readyz/x", "/metrics.txt", "//metrics", "/"):
        await probes.Probes(pages)({"path": path}, None, None)
    assert left == ["/healthz/", "/readyz/x", "/metrics.txt", "//metrics", "/"]


# --- On a port of its own -------------------------------------------------------------------------


async def test_a_process_without_pages_answers_on_its_own_port(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        assert (await http.get("/healthz")).json() == {"state": "alive"}
        assert (await http.get("/readyz?from=balancer")).status_code == 200
        assert (await http.get("/metrics")).status_code == 404
        got = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "chatweb_ready 1.0" in got.text
        head = await http.head("/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/healthz")).status_code == 405


@pytest.mark.parametrize("sent", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"\xff\x00 \xfe\r\n\r\n"])
async def test_nonsense_on_that_port_is_refused(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("sent", [b"GET /healthz HTTP/1.1\r\n" + b"x" * 100_000, b"GET /he"])
async def test_whoever_breaks_off_or_sends_without_end_is_left(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    writer.write_eof()
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


@pytest.mark.parametrize(("base", "number", "names"), [(0, 3, []), (9100, 0, ["metrics"])])
def test_the_port_is_off_until_it_is_set(
    base: int, number: int, names: list[str], settings: Settings
) -> None:
    settings.METRICS_PORT = base
    jobs: dict[str, Callable[..., object]] = dict(probes.beside(number))
    assert list(jobs) == names
