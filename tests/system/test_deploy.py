"""Journeys through nginx, over TLS, to two processes of pages and two that write answers, on
PostgreSQL and Redis: as `deploy/` sets them up, without the containers."""

import asyncio
import re
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.dictation import Dictation
from tests.engines import PostgresServer, RedisServer, _free_port, _started
from tests.house import House, Web
from tests.processes import Program
from tests.programs import COMPLETIONS, body
from tests.proxy import Nginx
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, until

COOKIE = "__Host-session"
BODY_MAX_BYTES = 2_621_440


@dataclass
class Deployed:
    house: House
    nginx: Nginx
    upstream_port: int
    webs: dict[int, Program]

    def begin(self, port: int) -> None:
        options = ("--port", str(port), "--relay", "outside")
        self.webs[port] = Web(self.house.start("serve", *options)).program

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.nginx.certificate))

    def browser(self, *, source: str = "127.0.0.1", **options: Any) -> httpx.AsyncClient:
        """`source` is the address it comes from; all of 127.0.0.0/8 is this machine."""
        transport = httpx.AsyncHTTPTransport(verify=self.tls, local_address=source)
        return httpx.AsyncClient(
            base_url=self.nginx.address, transport=transport, timeout=30, **options
        )

    def link(self, email: str) -> str:
        """A new one-time link of somebody who may be new as well; its path."""
        made = self.house.start("signinlink", email, "--create", "--base-url", self.nginx.address)
        address = made.line_with("/link/").strip()
        assert made.ended() == 0
        return address.removeprefix(self.nginx.address)


@pytest.fixture(scope="module")
def deployed(postgres_server: PostgresServer, redis_server: RedisServer) -> Iterator[Deployed]:
    """One for all tests: each has people of its own, and leaves everything running."""
    database = postgres_server.new_database()
    *ports, upstream_port = (_free_port() for _ in range(3))
    with _started(lambda: Nginx(ports)) as nginx, ExitStack() as programs:
        house = House(
            programs,
            DATABASE_URL=postgres_server.url(database),
            REDIS_URL=redis_server.url,
            UPSTREAM_BASE_URL=f"http://127.0.0.1:{upstream_port}/v1",
            SECURE="on",
            BEHIND_PROXY="on",
            ALLOWED_HOSTS="localhost",
            TRUSTED_ORIGINS="",
            FAILED_SIGNINS_PER_ADDRESS="2",
        )
        house.relay()
        house.relay()
        running = Deployed(house, nginx, upstream_port, {})
        for port in ports:
            running.begin(port)
        yield running
    postgres_server.drop(database)


class Wire:
    """What `Viewer` asks of a socket, through nginx."""

    def __init__(self, deployed: Deployed, cookie: str, origin: str = "") -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._deployed = deployed
        self._origin = origin or deployed.nginx.address
        self._cookie = cookie
        self._socket: ClientConnection | None = None

    async def connect(self, *, path: str = "/ws/", **_limits: float) -> tuple[bool, None]:
        self._socket = await connect(
            self._deployed.nginx.address.replace("https", "wss") + path,
            origin=Origin(self._origin),
            additional_headers={"Cookie": f"{COOKIE}={self._cookie}"},
            ssl=self._deployed.tls,
            proxy=None,
            max_size=None,
        )
        return True, None

    async def send_to(self, *, text_data: str) -> None:
        assert self._socket is not None
        with suppress(ConnectionClosed):
            await self._socket.send(text_data)

    async def receive_output(self, **_limits: float) -> dict[str, Any]:
        assert self._socket is not None
        try:
            return {"type": "websocket.send", "text": await self._socket.recv()}
        except ConnectionClosed:
            return {"type": "websocket.close", "code": self._socket.close_code}

    async def disconnect(self, **_limits: float) -> None:
        if self._socket is not None:
            await self._socket.close()


class Person:
    """Signed in through nginx with a one-time link."""

    def __init__(self, deployed: Deployed, browser: httpx.AsyncClient, link: str) -> None:
        self.deployed, self.browser, self.link = deployed, browser, link

    async def sign_in(self) -> Self:
        offered = await self.browser.get(self.link)
        assert offered.status_code == 200, offered.text
        used = await self.post(self.link, page=offered)
        assert used.status_code == 302, used.text
        return self

    @property
    def cookie(self) -> str:
        return self.browser.cookies[COOKIE]

    async def post(self, path: str, *, page: httpx.Response, **fields: str) -> httpx.Response:
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
        return await self.browser.post(
            path,
            data={"csrfmiddlewaretoken": token, **fields},
            headers={"Origin": self.deployed.nginx.address},
        )

    async def ask(self, text: str = "Why is it slow?") -> tuple[str, str]:
        """Starts a conversation; its id and that of the generation that answers."""
        page = await self.browser.get("/")
        fields = {"text": text, "request_id": str(uuid4()), "model": "crimson-falcon-4"}
        started = await self.post("/conversations/", page=page, **fields)
        assert started.status_code == 200, started.text
        generation = re.findall(r'data-generation="([\w-]+)"', started.text)[0]
        return started.headers["HX-Push-Url"].split("/")[2], generation

    def viewer(self, origin: str = "") -> Viewer:
        return Viewer(self.cookie, socket=Wire(self.deployed, self.cookie, origin))


@asynccontextmanager
async def person(deployed: Deployed, name: str) -> AsyncIterator[Person]:
    link = await asyncio.to_thread(deployed.link, f"{name}-{uuid4().hex[:8]}@example.com")
    async with deployed.browser() as browser:
        yield await Person(deployed, browser, link).sign_in()


@pytest.fixture
async def dictation(deployed: Deployed) -> AsyncIterator[Dictation]:
    """What the next answer says; the model server is there for this test alone."""
    dictation = Dictation()
    async with ScriptedUpstream(port=deployed.upstream_port) as upstream:
        upstream.script("dictated", by=dictation)
        yield dictation


async def raw(browser: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    """Asks for exactly this path, which httpx would make tidy."""
    request = browser.build_request("GET", "/", headers=headers)
    request.url = request.url.copy_with(raw_path=path.encode())
    return await browser.send(request)


async def shows(viewer: Viewer, generation: str, text: str) -> None:
    await until(lambda: viewer.text(generation).strip() == text, 20)


def last_line(deployed: Deployed, mark: str) -> str:
    """What nginx logged last about an address with `mark` in it; it writes when it has answered."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if lines := [line for line in deployed.nginx.access_log.splitlines() if mark in line]:
            return lines[-1]
        time.sleep(0.05)
    raise AssertionError(f"nothing with {mark!r} was logged")


# --- People ---------------------------------------------------------------------------------------


async def test_somebody_signs_in_asks_watches_and_stops(
    deployed: Deployed, dictation: Dictation
) -> None:
    async with person(deployed, "alice") as alice:
        conversation, generation = await alice.ask()
        async with alice.viewer() as watching:
            await watching.watch(conversation)
            dictation.say("As far **as** here")
            await shows(watching, generation, "As far as here")
            page = await alice.browser.get(f"/c/{conversation}/")
            stopped = await alice.post(f"/g/{generation}/stop/", page=page)
            assert stopped.status_code == 204
            await watching.next("settled")
        page = await alice.browser.get(f"/c/{conversation}/")
    assert "As far <strong>as</strong> here" in page.text
    assert page.headers["strict-transport-security"].count("max-age") == 1
    assert len(page.headers.get_list("content-security-policy")) == 1
    assert "nginx/" not in page.headers.get("server", "")


async def test_while_a_process_of_pages_is_started_again_whoever_watches_misses_nothing(
    deployed: Deployed, dictation: Dictation
) -> None:
    async with person(deployed, "alice") as alice:
        conversation, generation = await alice.ask()
        dictation.say("One ")
        for port in list(deployed.webs):
            # Each of the two has somebody who watches, whichever is ended.
            async with alice.viewer() as first, alice.viewer() as second:
                for one in (first, second):
                    await one.watch(conversation)
                program = deployed.webs[port]
                program.send(signal.SIGTERM)
                await until(lambda: 4012 in (first.code, second.code), 20)
                dictation.say("and more ")
                async with alice.viewer() as back:  # through the other one
                    await back.watch(conversation)
                    told = first if second.code == 4012 else second
                    await until(lambda: "more" in back.text(generation))
                    assert await asyncio.to_thread(program.ended) == 0
                    pages = [await alice.browser.get(f"/c/{conversation}/") for _ in range(6)]
                    assert {page.status_code for page in pages} == {200}
                    await until(lambda: back.text(generation) == told.text(generation))  # noqa: B023
            await asyncio.to_thread(deployed.begin, port)
        async with alice.viewer() as late:
            await late.watch(conversation)
            await shows(late, generation, "One and more and more")
            dictation.finish()
            await late.next("settled")


async def test_what_changes_something_reaches_the_process_that_is_there(
    deployed: Deployed,
) -> None:
    port, program = next(iter(deployed.webs.items()))
    async with person(deployed, "alice") as alice:
        page = await alice.browser.get("/account/")
        program.send(signal.SIGTERM)
        assert await asyncio.to_thread(program.ended) == 0
        for number in range(4):
            saved = await alice.post("/account/", page=page, name=f"Alice {number}")
            assert saved.status_code == 302, saved.text
        await asyncio.to_thread(deployed.begin, port)
        account = await alice.browser.get("/account/")
    assert "Alice 3" in account.text


# --- Programs -------------------------------------------------------------------------------------


async def test_a_program_hears_words_as_they_are_written_and_refusals_as_json(
    deployed: Deployed,
) -> None:
    deployed.link("programmer@example.com")
    made = deployed.house.start("apikey", "create", "programmer@example.com", "--name", "Test")
    key = made.line_with("lt_").strip()
    headers = {"Authorization": f"Bearer {key}"}
    asked = body("#scenario slow tokens=5 rate=5", stream=True)
    async with (
        ScriptedUpstream(port=deployed.upstream_port),
        deployed.browser(headers=headers) as program,
    ):
        came: list[float] = []
        heard = b""
        async with program.stream("POST", COMPLETIONS, json=asked) as answer:
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-remaining-requests"]
            async for piece in answer.aiter_raw():
                came.append(time.monotonic())
                heard += piece
        assert heard.endswith(b"data: [DONE]\n\n")
        assert came[-1] - came[0] > 0.6
        refused = await program.post(COMPLETIONS, content=b"x" * (BODY_MAX_BYTES + 1))
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "request_too_large"
        unknown = await program.get("/v1/nothing", headers={"Authorization": ""})
        assert unknown.json()["error"]["code"] == "unknown_url"
        assert key not in deployed.nginx.said()


# --- Limits ---------------------------------------------------------------------------------------


async def test_a_body_over_the_limit_is_refused_in_plain_words(deployed: Deployed) -> None:
    async with deployed.browser() as browser:
        refused = await browser.post("/conversations/", content=b"x" * (BODY_MAX_BYTES + 1))
        assert refused.status_code == 413
        assert refused.text == "What you sent is too large.\n"
        assert refused.headers["content-type"].startswith("text/plain")
        assert '"-" "-"' in last_line(deployed, " 413 ")
        # What nginx lets through the portal does too: 403 is about the missing token.
        largest = await browser.post("/conversations/", content=b"x" * BODY_MAX_BYTES)
        assert largest.status_code == 403


async def test_files_keep_for_ever_and_what_one_process_lacks_the_other_is_asked_for(
    deployed: Deployed,
) -> None:
    async with deployed.browser() as browser:
        page = await browser.get("/accounts/login/")
        script = re.findall(r'src="(/static/[^"]+\.js)"', page.text)[0]
        file = await browser.get(script, headers={"Accept-Encoding": "gzip"})
        assert file.headers["cache-control"] == "max-age=315360000, public, immutable"
        assert file.headers["content-encoding"] == "gzip"
        assert (await browser.get("/static/of-another-version.js")).status_code == 404
    both = last_line(deployed, "of-another-version")
    assert all(f"127.0.0.1:{port}" in both for port in deployed.webs)


# --- Who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["http", "port", "elsewhere"])
async def test_a_page_of_another_origin_gets_no_socket(deployed: Deployed, change: str) -> None:
    here = deployed.nginx.address
    origin = {
        "http": here.replace("https", "http"),
        "port": here.rpartition(":")[0],
        "elsewhere": "https://evil.example",
    }[change]
    async with person(deployed, "alice") as alice:
        with pytest.raises(InvalidStatus) as refused:
            await Wire(deployed, alice.cookie, origin).connect()
    assert refused.value.response.status_code == 403


async def test_only_the_address_of_the_socket_becomes_one(deployed: Deployed) -> None:
    wire = Wire(deployed, cookie="")
    with pytest.raises(InvalidStatus) as refused:
        await wire.connect(path="/account/")
    assert b"Sign in" in refused.value.response.body  # a page, as without it


async def test_a_form_of_another_origin_is_refused(deployed: Deployed) -> None:
    async with person(deployed, "alice") as alice:
        page = await alice.browser.get("/account/")
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
        for origin in (deployed.nginx.address.rpartition(":")[0], "null"):
            form = {"csrfmiddlewaretoken": token, "name": "Mallory"}
            refused = await alice.browser.post("/account/", data=form, headers={"Origin": origin})
            assert refused.status_code == 403


async def test_a_foreign_host_is_refused(deployed: Deployed) -> None:
    async with deployed.browser() as browser:
        foreign = {"Host": "evil.example"}
        forwarded = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
        assert (await browser.get("/accounts/login/", headers=foreign)).status_code == 400
        page = await browser.get("/accounts/login/", headers=forwarded)
    assert page.status_code == 200
    assert "evil.example" not in page.text


async def test_plain_http_is_sent_to_the_portals_own_name(deployed: Deployed) -> None:
    plain = f"http://127.0.0.1:{deployed.nginx.plain_port}/c/x/?a=b"
    async with httpx.AsyncClient() as browser:
        sent = await browser.get(plain, headers={"Host": "evil.example"})
    assert sent.status_code == 301
    assert sent.headers["location"] == "https://localhost/c/x/?a=b"


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/readyz", "/metrics", "/metrics/", "/%6detrics", "//metrics", "/x/../metrics"],
)
async def test_what_is_for_machines_is_not_for_the_outside(deployed: Deployed, path: str) -> None:
    mark = f"?{uuid4().hex}"
    async with deployed.browser() as browser:
        answer = await raw(browser, path + mark, Authorization="Bearer anything")
    assert answer.status_code == 404
    assert '"-" "-"' in last_line(deployed, mark)  # no process was asked


async def failed(browser: httpx.AsyncClient, **headers: str) -> httpx.Response:
    """Somebody tries a wrong password, each time another person's."""
    page = await browser.get("/accounts/login/")
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
    form = {"csrfmiddlewaretoken": token, "login": f"{uuid4().hex}@example.com", "password": "no"}
    origin = {"Origin": str(browser.base_url).rstrip("/")}
    return await browser.post("/accounts/login/", data=form, headers=origin | headers)


def is_throttled(page: httpx.Response) -> bool:
    return page.status_code == 429 or "Too many" in page.text


async def test_wrong_passwords_count_for_the_real_address_whatever_the_client_says(
    deployed: Deployed,
) -> None:
    async with deployed.browser(source="127.0.0.2") as mallory:
        # Each of the two processes counts for itself.
        pages = [
            await failed(
                mallory,
                **{"X-Forwarded-For": f"192.0.2.{number}", "X_Forwarded_For": "192.0.2.9"},
            )
            for number in range(8)
        ]
    assert [is_throttled(page) for page in pages[-2:]] == [True, True]
    async with deployed.browser(source="127.0.0.3") as bob:
        assert not is_throttled(await failed(bob, **{"X-Forwarded-For": "127.0.0.2"}))


# --- What is written down -------------------------------------------------------------------------


async def test_one_time_links_are_in_no_log(deployed: Deployed) -> None:
    async with person(deployed, "alice") as alice:
        token = alice.link.split("/")[2]
        odd = [
            alice.link.replace("/link/", "//link/"),
            alice.link.replace("/link/", "/%6cink/"),
            f"/accounts/login/?next={alice.link.replace('/', '%2F')}",
        ]
        for path in odd:
            await raw(alice.browser, path, Referer=deployed.nginx.address + alice.link)
        await alice.browser.post(alice.link, content=b"x" * (BODY_MAX_BYTES + 1))
        await alice.browser.get(f"/?{(mark := uuid4().hex)}")
    async with httpx.AsyncClient() as plain:
        await plain.get(f"http://127.0.0.1:{deployed.nginx.plain_port}{alice.link}")
    last_line(deployed, mark)
    assert deployed.nginx.access_log.count("/link/***") >= 7
    assert token not in deployed.nginx.access_log
    for text in (deployed.nginx.error_log, deployed.nginx.said()):
        assert token not in text


async def test_browsers_may_speak_http_2(deployed: Deployed) -> None:
    context = deployed.tls
    context.set_alpn_protocols(["h2", "http/1.1"])
    _reader, writer = await asyncio.open_connection("localhost", deployed.nginx.port, ssl=context)
    chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.close()
    with suppress(ssl.SSLError):
        await writer.wait_closed()
    assert chosen == "h2"
