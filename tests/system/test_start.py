"""`manage.py start` from outside: as a process, over its port, as a newcomer meets it."""

import re
import shutil
import signal
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conversations.localmodel import free_port
from conversations.management.listening import names_of
from tests.certificates import self_signed
from tests.processes import Program, program

# The product's own settings, not the tests'; and no model unless the test is about it.
PLAIN = {
    "DJANGO_SETTINGS_MODULE": "chatweb.settings",
    "LOCAL_MODEL": "off",
    "UPSTREAM_BASE_URL": "",
}


class Start(Protocol):
    def __call__(self, *options: str, **env: str) -> Program: ...


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data as a first start leaves it, before anybody has signed in."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    options = ("manage.py", "start", "--port", str(free_port()))
    with program(*options, env=PLAIN | {"DATA_DIR": str(data)}) as portal:
        ready(portal)
        end(portal)
    return data


@pytest.fixture
def start(tmp_path: Path, prepared: Path) -> Iterator[Start]:
    """Starts portals whose data is one folder of the test's."""
    shutil.copytree(prepared, tmp_path / "data")
    with ExitStack() as running:

        def begin(*options: str, **env: str) -> Program:
            given = PLAIN | {"DATA_DIR": str(tmp_path / "data")} | env
            if "--port" not in options:
                options = ("--port", str(free_port()), *options)
            return running.enter_context(program("manage.py", "start", *options, env=given))

        yield begin


def ready(portal: Program) -> str:
    """The address that it prints, without the last slash."""
    address = portal.line_with("Address").split()[1]
    portal.line_with("Ctrl-C")
    return address.rstrip("/")


def link(portal: Program) -> str | None:
    found = re.search(r"https?://\S+/link/\S+", portal.output)
    return found[0] if found else None


def page(address: str) -> httpx.Response:
    return httpx.get(address, trust_env=False, follow_redirects=True, timeout=30)


def end(portal: Program, number: signal.Signals = signal.SIGTERM) -> None:
    portal.send(number)
    assert portal.ended() == 0
    assert "Traceback" not in portal.output


def sign_in(address: str) -> None:
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True) as browser:
        shown = browser.get(address)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown.text)
        assert token is not None
        used = browser.post(
            address, data={"csrfmiddlewaretoken": token[1]}, headers={"Referer": address}
        )
        assert used.status_code == 200


def test_a_start_serves_pages_and_their_files(start: Start) -> None:
    portal = start()
    address = ready(portal)
    shown = page(address)
    assert shown.status_code == 200
    script = re.search(r'src="(/static/[^"]+\.js)"', shown.text)
    assert script is not None
    assert page(address + script[1]).status_code == 200
    end(portal)


def test_ctrl_c_ends_it_quietly_and_soon(start: Start) -> None:
    portal = start()
    ready(portal)
    asked = time.monotonic()
    end(portal, signal.SIGINT)
    assert time.monotonic() - asked < 8


def test_each_start_prints_a_fresh_link_until_somebody_has_signed_in(start: Start) -> None:
    links = []
    for _ in range(2):
        portal = start()
        ready(portal)
        links.append(link(portal))
        if len(links) == 2:
            sign_in(links[1] or "")
        end(portal)
    assert None not in links
    assert links[0] != links[1]
    later = start()
    ready(later)
    assert link(later) is None


def test_the_link_is_not_in_the_log(start: Start) -> None:
    portal = start(LOG_LEVEL="DEBUG")
    ready(portal)
    token = (link(portal) or "").split("/")[4]
    sign_in(link(portal) or "")
    end(portal)
    assert portal.output.count(token) == 1


def test_a_taken_port_is_named_before_anything_is_made(start: Start, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = start("--port", str(port))
        assert refused.ended(seconds=30) == 1
    assert not list((tmp_path / "data").glob("*.sqlite3"))
    assert f"Port {port} is taken" in refused.output
    assert "--port" in refused.output
    assert "Traceback" not in refused.output


def test_a_port_that_is_none_is_refused_in_words(start: Start) -> None:
    refused = start("--port", "65536")
    assert refused.ended(seconds=30) == 1
    assert "not a port" in refused.output
    assert "Traceback" not in refused.output


def test_a_second_portal_with_the_same_data_is_refused(start: Start) -> None:
    ready(start())
    second = start()
    assert second.ended(seconds=30) == 1
    assert "already runs" in second.output
    assert "Traceback" not in second.output


def test_others_are_not_let_in_by_accident(start: Start) -> None:
    refused = start("--host", "0.0.0.0")
    assert refused.ended(seconds=30) == 1
    assert "--insecure" in refused.output


def test_insecure_lets_others_in_with_a_warning(start: Start) -> None:
    portal = start("--host", "0.0.0.0", "--insecure")
    address = ready(portal)
    port = address.rsplit(":", 1)[1]
    assert "Warning" in portal.output
    assert page(f"http://127.0.0.1:{port}/").status_code == 200
    named = {"Host": socket.gethostname()}
    with httpx.Client(trust_env=False, timeout=30) as browser:
        login = f"http://127.0.0.1:{port}/accounts/login/"
        assert browser.get(login, headers=named).status_code == 200
        assert browser.get(login, headers={"Host": "evil.example"}).status_code == 400


def test_a_named_host_is_a_name_browsers_may_use() -> None:
    assert names_of("Chat.Example") == ["chat.example"]
    assert names_of("2001:db8::1") == ["[2001:db8::1]"]
    assert names_of("127.0.0.1") == []
    assert socket.gethostname().lower() in names_of("0.0.0.0")


def test_over_tls_cookies_are_strict(start: Start, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    portal = start("--tls-cert", str(certificate), "--tls-key", str(key))
    address = ready(portal)
    assert address.startswith("https://")
    context = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(verify=context, trust_env=False, timeout=30) as browser:
        cookie = browser.get(f"{address}/accounts/login/").headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie
    end(portal)


def test_half_a_certificate_is_refused(start: Start, tmp_path: Path) -> None:
    certificate, _key = self_signed(tmp_path)
    refused = start("--tls-cert", str(certificate))
    assert refused.ended(seconds=30) == 1
    assert "belong together" in refused.output


def test_without_a_model_it_starts_and_says_what_to_set(start: Start) -> None:
    portal = start()
    ready(portal)
    assert "UPSTREAM_BASE_URL" in portal.output


def test_the_key_of_an_upstream_is_not_printed(start: Start) -> None:
    portal = start(
        UPSTREAM_BASE_URL="http://127.0.0.1:9/v1",
        UPSTREAM_API_KEY="canary-5d1f",
        LOG_LEVEL="DEBUG",
    )
    ready(portal)
    page(portal.output.split("Address")[1].split()[0])
    end(portal)
    assert "crimson-falcon-4" in portal.output
    assert "canary-5d1f" not in portal.output


def test_a_model_file_that_is_not_there_is_named(start: Start) -> None:
    refused = start(LOCAL_MODEL="/nowhere/model.gguf")
    assert refused.ended(seconds=30) == 1
    assert "/nowhere/model.gguf" in refused.output


def children(portal: Program) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(portal.process.pid).children(recursive=True)
    return found


def until_it_has_a_child(portal: Program) -> psutil.Process:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if found := children(portal):
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no model process")


def test_the_local_model_runs_beside_it_and_ends_with_it(start: Start) -> None:
    portal = start(LOCAL_MODEL="auto")
    ready(portal)
    assert "SmolLM2-135M-Instruct" in portal.output
    model = until_it_has_a_child(portal)
    assert "runmodel" in model.cmdline()
    end(portal)
    model.wait(timeout=5)


def test_a_second_start_keeps_everything_and_prepares_nothing(start: Start, tmp_path: Path) -> None:
    portal = start()
    ready(portal)
    sign_in(link(portal) or "")
    end(portal)
    manifest = tmp_path / "data" / "static" / "staticfiles.json"
    before = manifest.stat().st_mtime_ns
    ready(start())
    assert manifest.stat().st_mtime_ns == before
    database = sqlite3.connect(tmp_path / "data" / "chatweb.sqlite3")
    assert database.execute("SELECT count(*) FROM conversations_user").fetchone() == (1,)
    database.close()


def test_static_files_are_collected_again_when_that_was_interrupted(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "data" / "static.stamp").unlink()
    manifest = tmp_path / "data" / "static" / "staticfiles.json"
    before = manifest.stat().st_mtime_ns
    ready(start())
    assert manifest.stat().st_mtime_ns != before


def test_a_socket_without_a_session_or_from_elsewhere_is_refused(start: Start) -> None:
    address = ready(start()).replace("http", "ws")
    for origin in ("http://evil.example", None):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{address}/ws/", origin=origin, proxy=None)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
