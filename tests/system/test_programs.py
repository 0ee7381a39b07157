"""Programs at a served portal: what the server itself does for their requests."""

import contextlib
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from conversations.actions import keys, people
from conversations.models import User
from tests.bench.meters import memory
from tests.processes import Program, program
from tests.programs import COMPLETIONS, body, port_of
from tests.relays import database_url
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 65_536
Start = Callable[..., "Portal"]


class Portal:
    def __init__(self, running: Program) -> None:
        self.program = running
        self.port = port_of(running)

    @contextlib.contextmanager
    def line(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            yield line

    def asked(self, request: bytes) -> bytes:
        with self.line() as line:
            line.sendall(request)
            return everything_from(line)


def everything_from(line: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65_536):
            answer += piece
    return answer


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread() as upstream:
        yield upstream


@pytest.fixture
def start(transactional_db: None, upstream: ScriptedUpstream) -> Iterator[Start]:
    env = {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATABASE_URL": database_url(),
        "UPSTREAM_BASE_URL": upstream.base_url,
        "BODY_MAX_BYTES": str(LIMIT),
        "RIGHTS_CHECK_SECONDS": "0.5",
    }
    with ExitStack() as running:
        yield lambda **more: Portal(
            running.enter_context(program("-m", "tests.portal_process", env=env | more))
        )


@pytest.fixture
def key(alice: User) -> str:
    return keys.make(user=alice, actor=alice, name="Test")[1]


def request(
    key: str, text: str, *, stream: bool = True, more: str = "", path: str = COMPLETIONS
) -> bytes:
    sent = json.dumps(body(text, stream=stream)).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(sent)}\r\n{more}\r\n"
    )
    return head.encode() + sent


def until(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)
    return time.monotonic() - begun


def error_in(answer: bytes) -> dict[str, str]:
    head, _blank, sent = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    assert b"x-request-id:" in head.lower()
    error: dict[str, str] = json.loads(sent)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


# --- Bodies ---------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_as_json_before_it_is_sent(start: Start, key: str) -> None:
    portal = start()
    with portal.line() as line:
        head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LIMIT + 1}\r\n"
        line.sendall(f"{head}Authorization: Bearer {key}\r\n\r\n".encode())
        answer = everything_from(line)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert error_in(answer)["code"] == "request_too_large"


def test_a_chunked_body_is_cut_at_the_limit(start: Start) -> None:
    portal = start()
    head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answer = portal.asked(head.encode() + chunk * 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert error_in(answer)["code"] == "request_too_large"


# --- Who does not read ----------------------------------------------------------------------------

# 60 MB of answer, in pieces that no limit of an answer's length ends: only the reader does.
FAST = "#scenario benchmark tokens=400000 rate=1000000"


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (COMPLETIONS, ""),
        (COMPLETIONS, "Upgrade: h2c\r\n"),  # as Java's own client offers every server
        (COMPLETIONS.replace("v", "%76"), ""),
    ],
)
def test_a_caller_who_stops_reading_costs_no_memory_and_is_cut_off(
    start: Start, key: str, upstream: ScriptedUpstream, path: str, more: str
) -> None:
    portal = start(CALL_READ_SECONDS="2", ANSWER_MAX_BYTES="50000000")
    portal.asked(request(key, "Warm up"))
    before = memory(portal.program.process.pid)
    with portal.line() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        line.sendall(request(key, FAST, path=path, more=more))
        assert line.recv(1_000).startswith(b"HTTP/1.1 200 ")
        highest = 0.0
        begun = time.monotonic()
        while upstream.open and time.monotonic() - begun < 60:  # far more than it takes
            highest = max(highest, memory(portal.program.process.pid) - before)
            time.sleep(0.05)
        assert not upstream.open
        assert highest < 20
        rest = everything_from(line)
        assert len(rest) < 16_000_000
        assert b"data: [DONE]" not in rest[-100:]


def test_a_whole_answer_that_nobody_reads_is_let_go(
    start: Start, key: str, upstream: ScriptedUpstream
) -> None:
    portal = start(CALL_READ_SECONDS="1", METRICS_TOKEN="canary-metrics-token-1")
    with portal.line() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        # Some 8 MB of JSON.
        line.sendall(request(key, "#scenario long kilobytes=7000 rate=1000000", stream=False))
        time.sleep(6)
        assert len(everything_from(line)) < 7_000_000


def test_a_caller_who_is_slow_to_read_gets_all_of_it(start: Start, key: str) -> None:
    portal = start(CALL_READ_SECONDS="5")
    with portal.line() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        line.sendall(request(key, "#scenario benchmark tokens=150000 rate=1000000"))
        time.sleep(2)
        answer = everything_from(line)
    assert b"data: [DONE]" in answer[-40:]
    assert len(answer) > 2_000_000


# --- Who leaves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_the_upstream_is_closed_within_a_second_of_the_caller_leaving(
    start: Start, key: str, upstream: ScriptedUpstream, stream: bool
) -> None:
    portal = start()
    with portal.line() as line:
        line.sendall(request(key, "#scenario slow tokens=10000 rate=50", stream=stream))
        until(lambda: bool(upstream.requests), 10)
        time.sleep(0.3)
        assert upstream.open == 1
    assert until(lambda: upstream.open == 0, 5) < 1


def test_a_call_may_take_longer_than_a_page(start: Start, key: str) -> None:
    portal = start(PAGE_TIMEOUT="1")
    answer = portal.asked(request(key, "#scenario slow tokens=30 rate=10"))
    assert b"data: [DONE]" in answer[-40:]


# --- Rights and ends ------------------------------------------------------------------------------


def test_a_suspended_persons_call_ends_within_two_seconds(
    start: Start, key: str, alice: User, operator: User, upstream: ScriptedUpstream
) -> None:
    portal = start()
    with portal.line() as line:
        line.sendall(request(key, "#scenario slow tokens=10000 rate=50"))
        line.recv(1_000)
        people.suspend(user=alice, actor=operator)
        begun = time.monotonic()
        answer = everything_from(line)
        assert time.monotonic() - begun < 2
    assert b'"code":"invalid_api_key"' in answer
    assert b"[DONE]" not in answer
    assert until(lambda: upstream.open == 0, 5) < 1
    assert b" 401 " in portal.asked(request(key, "Again"))


def test_a_portal_that_ends_says_so_in_the_stream(
    start: Start, key: str, upstream: ScriptedUpstream
) -> None:
    portal = start()
    with portal.line() as line:
        line.sendall(request(key, "#scenario slow tokens=10000 rate=50"))
        line.recv(1_000)
        portal.program.send(signal.SIGTERM)
        answer = everything_from(line)
    assert b'"code":"restarting"' in answer
    assert b"[DONE]" not in answer
    assert portal.program.ended() == 0
    assert "Traceback" not in portal.program.output


def test_pages_are_served_while_every_place_for_calls_is_taken(start: Start, key: str) -> None:
    portal = start(CALLS_PER_PROCESS="20", CALLS_PER_KEY="30", PAGES_AT_ONCE="2")
    with ExitStack() as lines:
        for _ in range(20):
            line = lines.enter_context(portal.line())
            line.sendall(request(key, "#scenario slow tokens=10000 rate=1"))
            line.recv(100)
        assert b" 503 " in portal.asked(request(key, "One more"))
        page = b"GET /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert portal.asked(page).startswith(b"HTTP/1.1 200 ")
