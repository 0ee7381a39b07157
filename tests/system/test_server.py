"""The server with real connections, in a process of its own: a reactor runs once per process."""

import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.certificates import self_signed
from tests.processes import Program, program

BODY_MAX = 65_536
MESSAGE_MAX = 1_024


class Start(Protocol):
    def __call__(self, *options: str, **env: str) -> "Portal": ...


class Portal:
    def __init__(self, running: Program) -> None:
        self.program = running
        self.port = int(running.line_with("port ").split()[1])

    def line(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def socket(self) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/ws/"
        return connect(address, proxy=None, open_timeout=10, max_size=None)

    def ask(self, request: bytes) -> bytes:
        """The whole answer; of a refusal what comes first, for the connection is held open."""
        with self.line() as line:
            line.sendall(request)
            first = line.recv(65_536)
            return first if b" 413 " in first else first + everything_from(line)


def everything_from(line: socket.socket) -> bytes:
    answer = b""
    while chunk := line.recv(65_536):
        answer += chunk
    return answer


@contextmanager
def starter(data: Path) -> Iterator[Start]:
    env = {
        "DATA_DIR": str(data),
        "BODY_MAX_BYTES": str(BODY_MAX),
        "SOCKET_MESSAGE_MAX_BYTES": str(MESSAGE_MAX),
    }
    with ExitStack() as running:
        yield lambda *options, **more: Portal(
            running.enter_context(program("-m", "tests.small_portal", *options, env=env | more))
        )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """One for all tests that leave it running."""
    with starter(tmp_path_factory.mktemp("portal")) as start:
        yield start()


def post(length: int, more: str = "") -> bytes:
    return (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Length: {length}\r\n{more}\r\n"
    ).encode()


UPGRADE = (
    b"GET /ws/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def masked(text: bytes) -> bytes:
    """A text frame as browsers send it, with a mask of zeros."""
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


def ask_for_200_megabytes(connection: socket.socket) -> None:
    for _ in range(200):
        connection.sendall(masked(b"say 1000000"))
        time.sleep(0.02)


def close_code(connection: ClientConnection) -> int | None:
    try:
        while True:
            connection.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_it_runs_on_uvloop(portal: Portal) -> None:
    assert b"x-loop: uvloop" in portal.ask(post(0)).lower()


def test_it_does_not_say_what_it_is(portal: Portal) -> None:
    assert b"server:" not in portal.ask(post(0)).lower()


def test_a_body_at_the_limit_is_taken(portal: Portal) -> None:
    answer = portal.ask(post(BODY_MAX) + b"x" * BODY_MAX)
    assert b"%d bytes" % BODY_MAX in answer


def test_a_body_over_the_limit_is_refused_before_it_is_sent(portal: Portal) -> None:
    with portal.line() as line:
        line.sendall(post(BODY_MAX + 1))
        assert line.recv(1_000).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_it_all_the_same_can_read_why_not(portal: Portal) -> None:
    answer = portal.ask(post(8 * BODY_MAX) + b"x" * 8 * BODY_MAX)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"too large" in answer


def test_a_refused_client_is_not_told_to_go_on(portal: Portal) -> None:
    answer = portal.ask(post(BODY_MAX + 1, "Expect: 100-continue\r\n"))
    assert b"100 Continue" not in answer


def test_a_chunked_body_is_cut_at_the_limit(portal: Portal) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answer = portal.ask(head + chunk * 5)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_within_the_limit_is_taken(portal: Portal) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answer = portal.ask(head + chunk * 4 + b"0\r\n\r\n")
    assert b"%d bytes" % BODY_MAX in answer


def test_a_refused_connection_is_ended(portal: Portal) -> None:
    with portal.line() as line:
        line.sendall(post(BODY_MAX + 1))
        everything_from(line)  # it comes to an end


def test_the_next_request_of_somebody_else_is_served(portal: Portal) -> None:
    portal.ask(post(BODY_MAX + 1))
    assert b"3 bytes" in portal.ask(post(3) + b"abc")


def test_a_socket_message_at_the_limit_is_taken(portal: Portal) -> None:
    with portal.socket() as connection:
        connection.send("x" * MESSAGE_MAX)
        assert connection.recv(timeout=10) == "x" * MESSAGE_MAX


def test_a_longer_socket_message_closes_with_1009(portal: Portal) -> None:
    with portal.socket() as connection:
        connection.send("x" * (MESSAGE_MAX + 1))
        assert close_code(connection) == 1009


def test_a_message_in_many_frames_counts_as_a_whole(portal: Portal) -> None:
    with portal.socket() as connection:
        connection.send("x" * 1_000 for _ in range(3))
        assert close_code(connection) == 1009


def test_who_floods_a_busy_socket_is_closed(portal: Portal) -> None:
    with portal.socket() as connection:
        connection.send("sleep")
        for _ in range(200):
            connection.send("x")
        assert close_code(connection) == 4429


def test_the_limit_is_for_what_pages_send_and_not_for_answers(portal: Portal) -> None:
    with portal.socket() as connection:
        connection.send("say 3000000")
        assert len(connection.recv(timeout=10)) == 3_000_000


def test_who_makes_us_send_and_reads_nothing_is_cut_off(portal: Portal) -> None:
    with portal.line() as connection:
        connection.sendall(UPGRADE)
        connection.recv(1_024)
        with pytest.raises(ConnectionError):
            ask_for_200_megabytes(connection)


def test_who_is_slow_to_read_gets_all_of_it(portal: Portal) -> None:
    with portal.socket() as connection:
        for _ in range(6):
            connection.send("say 1000000")
        time.sleep(0.5)
        assert [len(connection.recv(timeout=10)) for _ in range(6)] == [1_000_000] * 6


def test_compression_is_not_taken_up(portal: Portal) -> None:
    with portal.socket() as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


def test_an_error_in_the_application_closes_with_1011(portal: Portal) -> None:
    with portal.socket() as connection:
        connection.send("fall over")
        assert close_code(connection) == 1011


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sockets_are_told_to_come_back(start: Start, number: signal.Signals) -> None:
    portal = start()
    with portal.socket() as connection:
        portal.program.send(number)
        assert close_code(connection) == 4012
    assert portal.program.ended() == 0
    assert "Traceback" not in portal.program.output


def test_the_application_hears_of_the_end(start: Start) -> None:
    portal = start()
    with portal.socket() as connection:
        portal.program.send(signal.SIGTERM)
        close_code(connection)
        portal.program.line_with("left with", seconds=10)


def test_jobs_put_their_work_away_before_the_end(start: Start) -> None:
    portal = start("--job", "settling")
    portal.program.send(signal.SIGTERM)
    portal.program.line_with("settled", seconds=10)
    assert portal.program.ended() == 0


def test_a_running_request_is_answered_before_the_end(start: Start) -> None:
    portal = start()
    with portal.line() as line:
        line.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        portal.program.send(signal.SIGTERM)
        assert b"200 OK" in everything_from(line)


def test_nobody_new_is_let_in_after_the_signal(start: Start) -> None:
    portal = start("--job", "settling")
    portal.program.send(signal.SIGTERM)
    portal.program.line_with("settled", seconds=10)
    with pytest.raises(ConnectionRefusedError):
        portal.line().close()


def test_an_application_that_hangs_does_not_hold_up_the_end(start: Start) -> None:
    portal = start()
    with portal.socket() as connection:
        connection.send("sleep")
        time.sleep(0.2)
        portal.program.send(signal.SIGTERM)
        assert portal.program.ended(seconds=9) == 0
    assert "Traceback" not in portal.program.output


def test_a_goodbye_takes_as_long_as_set(start: Start) -> None:
    portal = start("--job", "stubborn", GOODBYE_SECONDS="0.1")
    told = time.monotonic()
    portal.program.send(signal.SIGTERM)
    portal.program.ended()
    assert time.monotonic() - told < 2.5  # 3 by default


def test_a_job_that_will_not_end_does_not_hold_up_the_end(start: Start) -> None:
    portal = start("--job", "stubborn")
    portal.program.send(signal.SIGTERM)
    assert portal.program.ended(seconds=9) == 0


def test_a_thread_that_will_not_end_does_not_hold_up_the_end(start: Start) -> None:
    portal = start("--job", "blocking", GOODBYE_SECONDS="1")
    portal.program.send(signal.SIGTERM)
    assert portal.program.ended(seconds=9) == 0


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    portal = start("--job", "stubborn")
    portal.program.send(signal.SIGTERM)
    portal.program.line_with("not yet", seconds=10)
    asked = time.monotonic()
    portal.program.send(signal.SIGTERM)
    portal.program.ended()
    assert time.monotonic() - asked < 3


def test_a_job_that_fails_is_started_again_and_spoken_of(start: Start) -> None:
    portal = start("--job", "failing")
    portal.program.line_with("start 2", seconds=10)
    assert "The failing ended and is started again." in portal.program.output
    assert "the first time it fails" in portal.program.output


def test_the_limits_of_a_connection_are_as_set(start: Start) -> None:
    portal = start(REFUSAL_SECONDS="0", SOCKET_UNREAD_MESSAGES="8")
    with portal.line() as refused, portal.socket() as busy:
        asked = time.monotonic()
        refused.sendall(post(BODY_MAX + 1))
        everything_from(refused)
        assert time.monotonic() - asked < 1
        busy.send("sleep")
        for _ in range(20):
            busy.send("x")
        assert close_code(busy) == 4429


def test_a_handshake_takes_no_longer_than_set(start: Start) -> None:
    portal = start(SOCKET_HANDSHAKE_TIMEOUT="1")
    with portal.line() as line:
        line.sendall(UPGRADE.replace(b"/ws/", b"/never/"))
        asked = time.monotonic()
        with suppress(ConnectionError):
            everything_from(line)  # it comes to an end
        assert time.monotonic() - asked < 8  # 20 by default


def test_how_much_may_wait_for_a_page_that_reads_nothing_is_as_set(start: Start) -> None:
    portal = start(SOCKET_UNSENT_MAX_BYTES="500000000")
    with portal.socket() as connection:
        for _ in range(40):
            connection.send("say 1000000")
        time.sleep(0.5)
        assert sum(len(connection.recv(timeout=10)) for _ in range(40)) == 40_000_000


def test_how_soon_a_job_is_started_again_is_as_set(start: Start) -> None:
    portal = start("--job", "failing", RESTART_SECONDS="3")
    portal.program.line_with("is started again", seconds=10)
    failed = time.monotonic()
    portal.program.line_with("start 2", seconds=10)
    assert time.monotonic() - failed > 2


def test_a_page_takes_no_longer_than_set(start: Start) -> None:
    portal = start(PAGE_TIMEOUT="1")
    assert b" 503 " in portal.ask(
        b"GET /stuck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )


def test_a_client_that_stays_connected_does_not_hold_up_the_end(start: Start) -> None:
    portal = start()
    with portal.line() as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        portal.program.send(signal.SIGTERM)
        assert portal.program.ended(seconds=9) == 0
    assert "Traceback" not in portal.program.output


def test_over_tls_pages_know_that_they_are_secure(start: Start, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    portal = start("--certificate", str(certificate), "--key", str(key))
    context = ssl.create_default_context(cafile=str(certificate))
    with context.wrap_socket(portal.line(), server_hostname="localhost") as line:
        line.sendall(post(0))
        assert b"x-scheme: https" in everything_from(line).lower()


def test_over_tls_sockets_are_told_to_come_back(start: Start, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    portal = start("--certificate", str(certificate), "--key", str(key))
    context = ssl.create_default_context(cafile=str(certificate))
    with connect(f"wss://localhost:{portal.port}/ws/", ssl=context, proxy=None) as connection:
        connection.send("hello")
        assert connection.recv(timeout=10) == "hello"
        portal.program.send(signal.SIGTERM)
        assert close_code(connection) == 4012


def test_nothing_installs_a_slower_loop_before_it() -> None:
    """An app that imports Daphne when Django is set up would: `daphne` itself does."""
    ask = (
        "import django; django.setup(); from chatweb import server;"
        "print(type(server.reactor._asyncioEventloop).__module__)"
    )
    env = {"DJANGO_SETTINGS_MODULE": "chatweb.settings"}
    with program("-c", ask, env=env) as asked:
        assert asked.ended(seconds=30) == 0
        assert asked.output.strip() == "uvloop"
