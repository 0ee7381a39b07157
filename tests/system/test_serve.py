"""`manage.py serve` as a whole: several processes on one port, their supervisor, their end."""

import fcntl
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.engines import RedisServer
from tests.house import House, Web
from tests.processes import Program, program
from tests.upstream import ScriptedUpstream

PROXIED = {"BEHIND_PROXY": "on"}
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as programs, ScriptedUpstream.in_thread() as upstream:
        yield House(programs, UPSTREAM_BASE_URL=upstream.base_url)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(of: Program) -> list[psutil.Process]:
    return psutil.Process(of.process.pid).children(recursive=True)


def test_several_processes_share_a_port_and_one_that_dies_is_replaced(
    house: House, redis: RedisServer
) -> None:
    web = house.web("--processes", "2", REDIS_URL=redis.url)
    web.program.line_with(" serves Chatweb at ")
    before = {child.pid for child in children(web.program)}
    assert len(before) == 2
    psutil.Process(min(before)).kill()
    web.program.line_with("is started again")
    web.program.line_with(" serves Chatweb at ")
    after = {child.pid for child in children(web.program)}
    assert len(after) == 2
    assert min(before) not in after
    for _request in range(4):
        assert httpx.get(f"{web.address}/accounts/login/").status_code == 200
    web.program.send(signal.SIGTERM)
    assert web.program.ended() == 0
    assert not [pid for pid in after if psutil.pid_exists(pid)]


def test_a_killed_supervisor_leaves_nobody_on_its_port(house: House, redis: RedisServer) -> None:
    web = house.web("--processes", "2", REDIS_URL=redis.url)
    web.program.line_with(" serves Chatweb at ")
    left = {child.pid for child in children(web.program)}
    web.program.send(signal.SIGKILL)
    until(lambda: not [pid for pid in left if psutil.pid_exists(pid)])


def test_two_that_start_at_once_with_one_folder_both_have_its_files(
    house: House, redis: RedisServer, tmp_path: Path
) -> None:
    env = {"REDIS_URL": redis.url, "DATA_DIR": str(tmp_path)}
    started = [house.start("serve", "--port", "0", "--relay", "outside", **env) for _ in range(2)]
    for web in map(Web, started):
        page = httpx.get(f"{web.address}/accounts/login/").text
        [script, *_] = re.findall(r'src="(/static/[^"]+\.js)"', page)
        assert httpx.get(web.address + script).status_code == 200


def test_a_process_that_starts_while_another_version_collects_its_files_waits_for_them(
    house: House, redis: RedisServer, tmp_path: Path
) -> None:
    """Else it would find no names of files, and answer each page with 500 for as long as it ran."""
    web = house.web("--processes", "2", REDIS_URL=redis.url, DATA_DIR=str(tmp_path))
    web.program.line_with(" serves Chatweb at ")
    names = tmp_path / "static" / "staticfiles.json"
    with (tmp_path / "static.lock").open("w") as collecting:
        fcntl.flock(collecting, fcntl.LOCK_EX)
        names.rename(tmp_path / "kept.json")
        children(web.program)[0].kill()
        web.program.line_with("is started again")
        with pytest.raises(AssertionError, match="no line"):
            web.program.line_with(" serves Chatweb at ", seconds=8)
        (tmp_path / "kept.json").rename(names)
    web.program.line_with(" serves Chatweb at ")
    for _request in range(8):
        assert httpx.get(f"{web.address}/accounts/login/").status_code == 200


def test_a_second_portal_that_would_not_hear_of_the_first_is_refused(house: House) -> None:
    house.web()
    second = house.start("serve", "--port", "0")
    assert second.ended() == 1
    assert "already runs" in second.output


def test_what_would_lose_messages_is_said_at_once_and_all_of_it(house: House) -> None:
    second = house.start("serve", "--processes", "2", SECRET_KEY="short")
    assert second.ended() == 1
    assert "REDIS_URL" in second.output
    assert "SECRET_KEY" in second.output


def test_a_relay_alone_is_refused_without_redis(house: House) -> None:
    relay = house.start("runrelay")
    assert relay.ended() == 1
    assert "REDIS_URL" in relay.output


def test_serving_is_strict_unless_told_otherwise(house: House) -> None:
    """Behind a proxy that ends TLS: what comes in plain is sent to https, cookies stay there."""
    del house.env["SECURE"]
    with program("manage.py", "serve", "--port", "0", env=house.env | PROXIED) as strict:
        port = strict.line_with(" serves Chatweb at ").rpartition(":")[2].strip()
        address = f"http://127.0.0.1:{port}/accounts/login/"
        assert httpx.get(address).headers["location"].startswith("https://")
        page = httpx.get(address, headers={"X-Forwarded-Proto": "https"})
        assert page.status_code == 200
        assert "__Host-csrf" in page.headers["set-cookie"]
        assert "max-age" in page.headers["strict-transport-security"]
