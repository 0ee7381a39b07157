"""What `deploy/` says to other programs fits what the portal has: its commands, settings, times and
sizes. Whether it works is tried in tests/system/test_deploy.py, as far as that can be here."""

import http.server
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections import Counter
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from chatweb import env
from conversations.management.commands.serve import ENDING_SECONDS
from tests.processes import ROOT, program
from tests.proxy import ports_in

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
NGINX = (DEPLOY / "nginx.conf").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"] == "chatweb:latest"}


def default(name: str) -> float:
    return float(env.DECLARED[name].default)


# After these seconds what runs has ended by itself, answers last.
PAGES_END = default("GOODBYE_SECONDS") + ENDING_SECONDS
RELAYS_END = default("RELAY_DRAIN_SECONDS") + PAGES_END


class Unit(RawConfigParser):
    """A systemd unit; keys may come twice."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read_string(path.read_text())
        self.environment = dict(
            line.partition("=")[2].split("=", 1)
            for line in path.read_text().splitlines()
            if line.startswith("Environment=")
        )


def instance(path: Path) -> str:
    return path.read_text().replace("%i", "8001")


def command_lines() -> dict[str, list[str]]:
    """By where they stand: what follows manage.py."""
    found = {name: SERVICES[name]["command"] for name in sorted(OURS)}
    found["Dockerfile"] = instruction("CMD")
    for path in UNITS:
        [line] = re.findall(r"^ExecStart=.* manage\.py (.*)$", instance(path), re.MULTILINE)
        found[path.name] = shlex.split(line)
    for number, line in enumerate(re.findall(r"manage\.py ([^\n`]*)", docs().replace("%i", "1"))):
        if line.strip() and "$@" not in line:
            found[f"deploy.md {number}"] = shlex.split(line, comments=True)
    return found


def docs() -> str:
    return (ROOT / "docs" / "deploy.md").read_text()


def instruction(name: str) -> list[str]:
    """The last one of this name, in JSON form."""
    written: list[str] = json.loads(re.findall(rf"\b{name} (\[.*\])", DOCKERFILE)[-1])
    return written


def example() -> dict[str, str]:
    lines = (DEPLOY / "chatweb.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- Commands and settings ------------------------------------------------------------------------


@pytest.mark.parametrize("where", command_lines())
def test_every_command_is_one_of_ours_and_knows_its_options(where: str) -> None:
    name, *options = command_lines()[where]
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(options)


def test_every_variable_is_a_setting() -> None:
    named = set(example())
    for service in OURS:
        named |= set(SERVICES[service]["environment"])
    for path in UNITS:
        named |= set(Unit(path).environment)
    named |= set(
        re.findall(r"(\w+)=(?=\S)", re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)[0])
    )
    assert named - set(env.DECLARED) - {"PATH", "PYTHONUNBUFFERED"} == set()


def test_the_example_is_accepted_as_it_is_but_for_the_secrets(tmp_path: Path) -> None:
    values = example()
    secrets = {name for name, value in values.items() if not value}
    assert secrets == {"SECRET_KEY", "UPSTREAM_API_KEY"}
    values |= {"DATA_DIR": str(tmp_path), "SECRET_KEY": "k" * 40}
    show = "from chatweb import settings as s; print('database', s.DATABASES['default']['HOST'])"
    with program("-c", show, env=values) as reading:
        assert reading.line_with("database").split() == ["database", "/run/postgresql"]


def test_no_secret_is_written_down() -> None:
    """Empty, to be filled in; or taken from elsewhere, and refused without."""
    secret = re.compile(r"(?i)^[ -]*\w*(?:password|secret_key|api_key)\w*[:=] *(.*)$", re.MULTILINE)
    from_elsewhere = "${POSTGRES_PASSWORD:?put one into .env}"
    for path in [*UNITS, *(path for path in DEPLOY.iterdir() if path.is_file())]:
        text = path.read_text()
        assert set(secret.findall(text)) <= {"", from_elsewhere}, path
        assert set(re.findall(r"://\w+:(.*?)@", text)) <= {from_elsewhere}, path


# --- nginx ----------------------------------------------------------------------------------------


def seconds(directive: str, text: str = NGINX) -> list[float]:
    return [float(value) for value in re.findall(rf"\b{directive} (\d+)s;", text)]


def test_nginx_refuses_bodies_where_the_portal_does() -> None:
    assert re.findall(r"client_max_body_size (\d+);", NGINX) == [
        env.DECLARED["BODY_MAX_BYTES"].default
    ]


def test_nginx_waits_longer_than_the_portal_does() -> None:
    pages, sockets, programs = seconds("proxy_read_timeout")
    assert pages > default("PAGE_TIMEOUT")
    assert sockets > 3 * 60  # the longest TICK_SECONDS that the settings allow
    assert programs > default("UPSTREAM_TOTAL_TIMEOUT")


def test_nginx_asks_the_processes_that_the_units_and_containers_are() -> None:
    ports = ports_in((DEPLOY / "upstream.conf").read_text())
    assert all(f"chatweb@{port}" in docs() for port in ports)
    inside = (DEPLOY / "upstream-compose.conf").read_text()
    servers = re.findall(r"^ *server ([\w-]+):(\d+)", inside, re.MULTILINE)
    webs = {name for name in OURS if SERVICES[name]["command"][0] == "serve"}
    assert {name for name, _port in servers} == webs
    for name, port in servers:
        command = SERVICES[name]["command"]
        assert command[command.index("--port") + 1] == port


def test_nginx_adds_no_header_that_the_portal_sends() -> None:
    assert "add_header" not in NGINX


# --- systemd --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_locked_in(path: Path) -> None:
    service = Unit(path)["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == service["ProtectHome"] == "yes"
    assert (service["User"], service["UMask"]) == ("chatweb", "0077")
    assert Unit(path).environment["DATA_DIR"].startswith(f"%S/{service['StateDirectory']}/")


@pytest.mark.parametrize("path", [path for path in UNITS if "@" in path.name], ids=lambda p: p.name)
def test_units_come_back_and_may_finish_what_they_do(path: Path) -> None:
    unit = Unit(path)
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert (service["KillSignal"], service["KillMode"]) == ("SIGTERM", "mixed")
    assert float(service["TimeoutStopSec"]) > RELAYS_END


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed: apt-get install systemd",
)
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_the_units(path: Path, tmp_path: Path) -> None:
    unit = tmp_path / path.name.replace("@", "@8001")
    shutil.copy(path, unit)
    for command in (
        ["verify", str(unit)],
        ["security", "--offline=yes", "--threshold=20", str(unit)],
    ):
        done = subprocess.run(
            ["systemd-analyze", *command], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Unknown key" not in done.stderr


# --- Containers -----------------------------------------------------------------------------------


def test_compose_runs_two_of_each_of_ours_and_one_of_each_engine() -> None:
    ours = Counter(SERVICES[name]["command"][0] for name in OURS)
    assert ours == {"serve": 2, "runrelay": 2, "migrate": 1}
    others = sorted(SERVICES[name]["image"].split(":")[0] for name in SERVICES.keys() - OURS)
    assert others == ["nginx", "postgres", "redis"]
    for service in SERVICES.values():  # all are started, once each
        assert not service.keys() & {"deploy", "profiles", "scale"}
    for name in OURS:
        seen = SERVICES[name]["environment"]
        assert seen["DATABASE_URL"].startswith("postgres://")
        assert "@postgres:5432/" in seen["DATABASE_URL"]
        assert seen["REDIS_URL"].startswith("redis://redis:6379/")


@pytest.mark.parametrize("name", sorted(OURS))
def test_containers_may_finish_what_they_do(name: str) -> None:
    service = SERVICES[name]
    if service["command"][0] in {"serve", "runrelay"}:
        grace = float(service["stop_grace_period"].removesuffix("s"))
        assert grace > (RELAYS_END if service["command"] == ["runrelay"] else PAGES_END)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_everything_is_waited_for_until_it_is_healthy() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            ends = other == "migrate"
            assert how["condition"] == (
                "service_completed_successfully" if ends else "service_healthy"
            ), (name, other)
            from_the_image = other in OURS and "healthcheck" not in SERVICES[other]
            assert ends or from_the_image or SERVICES[other]["healthcheck"]["test"]


def test_what_compose_names_is_declared_or_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            beside = source.startswith(("./tls/",)) or (DEPLOY / source).exists()
            assert beside or source in COMPOSE["volumes"], source
        assert set(service.get("networks", [])) <= {*COMPOSE["networks"], "default"}
    build = SERVICES["migrate"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")


def test_the_image_holds_what_the_portal_is_made_of_and_no_tools() -> None:
    assert "--no-deps --require-hashes" in DOCKERFILE
    copied = set(re.findall(r"^COPY (?!--)(\S+) ", DOCKERFILE, re.MULTILINE))
    assert all((ROOT / name).exists() for name in copied)
    assert {"chatweb", "conversations", "templates", "static", "manage.py"} <= copied
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in let_in if line.startswith("!")} == copied
    assert re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    assert SERVICES["web-1"]["tmpfs"][0].startswith("/data:uid=10001,")
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_of_the_image_tells_well_from_unwell(status: int, code: int) -> None:
    class Portal(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        [check] = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
        _python, flag, script = json.loads(check)
        script = script.replace(":8000", f":{server.server_port}")
        done = subprocess.run(
            [sys.executable, flag, script], check=False, capture_output=True, timeout=30
        )
        server.shutdown()
    assert done.returncode == code
