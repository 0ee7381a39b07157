"""A served portal that is watched: probes, metrics, and all that it logs."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest

from conversations.actions import people
from conversations.localmodel import free_port
from conversations.models import Generation, Purpose, User
from tests.processes import Program, program
from tests.relays import database_locked, database_url
from tests.upstream import ScriptedUpstream
from tests.viewers import session_of

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "canary-metrics-token-7120"
KEY = "canary-upstream-key-7121"
WORDS = "canary words that Alice wrote"
PASSWORD = "correct horse battery"
Serve = Callable[..., tuple[Program, httpx.Client]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running, ScriptedUpstream.in_thread() as upstream:
        env = {
            "DJANGO_SETTINGS_MODULE": "chatweb.settings",
            "DATABASE_URL": database_url(),
            "UPSTREAM_BASE_URL": upstream.base_url,
            "RELAY_POLL_SECONDS": "0.1",
            "METRICS_TOKEN": TOKEN,
        }

        def serve(**more: str) -> tuple[Program, httpx.Client]:
            portal = running.enter_context(program("-m", "tests.portal_process", env=env | more))
            port = portal.line_with("port ").split()[-1]
            address = f"http://127.0.0.1:{port}"
            return portal, running.enter_context(httpx.Client(base_url=address, trust_env=False))

        yield serve


def metrics(http: httpx.Client, address: str = "/metrics") -> str:
    got = http.get(address, headers={"Authorization": f"Bearer {TOKEN}"})
    assert got.status_code == 200
    return got.text


def signed_in(http: httpx.Client, user: User) -> dict[str, str]:
    """The headers with which a page of this person sends forms."""
    http.cookies["sessionid"] = session_of(user)
    token = re.search(r'csrf-token" content="([^"]+)"', http.get("/").text)
    assert token is not None
    return {"X-CSRFToken": token[1], "Origin": str(http.base_url).rstrip("/")}


def question(text: str) -> dict[str, str]:
    return {"text": text, "request_id": str(uuid4()), "model": "crimson-falcon-4"}


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- Probes ---------------------------------------------------------------------------------------


def test_a_served_portal_becomes_ready(serve: Serve) -> None:
    _portal, http = serve(HEALTH_SECONDS="0.2", RELAY_LEASE_SECONDS="1")
    assert http.get("/healthz").json() == {"state": "alive"}
    until(lambda: bool(http.get("/readyz").json()["state"] == "ready"))
    assert http.get("/readyz").status_code == 200


def test_with_tls_in_front_probes_come_in_plain_text_by_any_name(serve: Serve) -> None:
    _portal, http = serve(SECURE="on", ALLOWED_HOSTS="chat.example")
    for path in ("/healthz", "/readyz"):
        assert http.get(path, headers={"Host": "10.9.8.7"}).status_code == 200
    assert http.get("/", headers={"Host": "chat.example"}).status_code == 301


def test_while_everybody_waits_for_the_database_the_process_says_that_it_lives(
    serve: Serve, alice: User
) -> None:
    _portal, http = serve()
    headers = signed_in(http, alice)
    http.timeout = httpx.Timeout(60)

    def send(number: int) -> int:
        return http.post("/conversations/", data=question(str(number)), headers=headers).status_code

    with ThreadPoolExecutor(20) as many:
        with database_locked():
            waiting = [many.submit(send, number) for number in range(20)]
            time.sleep(3)
            assert not any(one.done() for one in waiting)
            began = time.monotonic()
            assert http.get("/healthz").status_code == 200
            assert http.get("/readyz").status_code in {200, 503}
            assert time.monotonic() - began < 3
        assert {one.result() for one in waiting} <= {200, 409}


# --- Metrics --------------------------------------------------------------------------------------


def test_metrics_are_for_who_has_the_token(serve: Serve) -> None:
    port = free_port()
    portal, http = serve(METRICS_PORT=str(port))
    assert http.get("/metrics").status_code == 404
    text = metrics(http)
    assert "chatweb_generations_running 0.0" in text
    assert "process_resident_memory_bytes" in text
    own = f"http://127.0.0.1:{port}"
    assert "chatweb_sockets_open 0.0" in metrics(http, f"{own}/metrics")
    assert http.get(f"{own}/healthz").status_code == 200
    portal.send(signal.SIGTERM)
    assert portal.ended() == 0
    assert "Traceback" not in portal.output


# --- The log --------------------------------------------------------------------------------------


def test_at_debug_the_log_holds_no_word_no_key_no_link_and_no_token(
    serve: Serve, alice: User
) -> None:
    portal, http = serve(LOG_FORMAT="json", LOG_LEVEL="DEBUG", UPSTREAM_API_KEY=KEY)
    link = people.make_link(
        user=alice, purpose=Purpose.SIGN_IN, actor=None, lifetime=timedelta(hours=1)
    )
    http.get(f"/link/{link}/")
    headers = signed_in(http, alice)
    http.post("/accounts/login/", data={"login": "x@y.example", "password": PASSWORD})
    for scenario in ("quoting", "bad_key", "drop", "answer"):
        form = question(f"#scenario {scenario}\n{WORDS}")
        sent = http.post("/conversations/", data=form, headers=headers)
        assert sent.status_code == 200
        until(lambda: not Generation.objects.filter(settled_at=None).exists())
    for generation in Generation.objects.all():
        thread = http.get(f"/c/{generation.conversation.public_id}/")
        assert WORDS in thread.text
    refused = http.post("/conversations/", data={"text": WORDS})  # without the page's token
    lost = http.get(f"/c/nowhere/?q={WORDS}")
    http.get("/readyz")
    metrics(http)
    portal.send(signal.SIGTERM)
    assert portal.ended() == 0

    for canary in (WORDS, "canary words", KEY, TOKEN, link, PASSWORD, http.cookies["sessionid"]):
        assert canary not in portal.output, canary
    records = [*told_in(portal)]
    assert [one for one in records if not {"time", "level", "logger", "message"} <= set(one)] == []
    names = {one.get("request_id") for one in records}
    assert {refused.headers["x-request-id"], lost.headers["x-request-id"]} <= names
    assert {one.get("person") for one in records} == {None, alice.public_id}
    failed = set(Generation.objects.exclude(state="done").values_list("public_id", flat=True))
    assert failed <= {one.get("generation") for one in records}


def told_in(portal: Program) -> Iterator[dict[str, Any]]:
    """Every line but the ones that the process prints for its test."""
    for line in portal.output.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
        else:
            assert line.startswith("port "), line


# --- Traces ---------------------------------------------------------------------------------------


class Collector(BaseHTTPRequestHandler):
    received: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None: ...


def test_a_collector_gets_the_spans_of_a_question_and_its_answer(serve: Serve, alice: User) -> None:
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        portal, http = serve(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
            OTEL_BSP_SCHEDULE_DELAY="100",
        )
        headers = signed_in(http, alice)
        assert http.post("/conversations/", data=question(WORDS), headers=headers).is_success
        until(lambda: not Generation.objects.filter(settled_at=None).exists())
        portal.send(signal.SIGTERM)
        assert portal.ended() == 0
        server.shutdown()
    sent = b"".join(Collector.received)
    names = (b"request", b"generation", b"upstream", b"conversations", b"chatweb")
    assert [name for name in names if name not in sent] == []
    assert Generation.objects.get().public_id.encode() in sent
    assert b"canary" not in sent
