"""Both databases are copied while the portal runs, put back, and served: as docs/deploy.md says."""

import asyncio
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.dictation import Dictation
from tests.engines import PostgresServer, _program, migrate
from tests.house import House, Web
from tests.processes import ROOT
from tests.upstream import ScriptedUpstream

DOCS = (ROOT / "docs" / "deploy.md").read_text()
INTERRUPTED = ("What arrived is kept.", "Retry")
Copy = Callable[[], str]  # copies the database; the address of the copy, put back


def documented(program: str) -> str:
    """The line of the docs that begins with it."""
    [line] = re.findall(rf"^{program} .*$", DOCS, re.MULTILINE)
    return str(line)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Copy]]:
    """Its address, and how it is copied and put back."""
    if request.param == "sqlite":
        yield of_sqlite(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    original = server.new_database()
    yield server.url(original), of_postgresql(server, original, tmp_path)
    for name in (original, "restored"):
        server.drop(name)


def of_sqlite(folder: Path) -> tuple[str, Copy]:
    url = f"sqlite:///{folder / 'chatweb.sqlite3'}"
    migrate(url)
    [statement] = re.findall(r'"(VACUUM INTO .*)"', documented("sqlite3"))

    def copy() -> str:
        # The documented program is not everywhere; the statement is what matters.
        copied = folder / "copy.sqlite3"
        with closing(sqlite3.connect(folder / "chatweb.sqlite3")) as running:
            running.execute(statement.replace("chatweb-copy.sqlite3", str(copied)))
        return f"sqlite:///{copied}"

    return url, copy


def of_postgresql(server: PostgresServer, original: str, folder: Path) -> Copy:
    bin_folder = Path(_program("initdb")).resolve().parent
    env = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "chatweb",
    }

    def copy() -> str:
        for line in map(documented, ("pg_dump", "createdb", "pg_restore")):
            command = re.sub(r"\bchatweb >", f"{original} >", line)
            subprocess.run(command, shell=True, check=True, cwd=folder, env=env, timeout=60)
        return server.url("restored")

    return copy


@pytest.fixture
def house(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[House]:
    """Each portal alone with its data, and answers of its own."""
    with ExitStack() as programs:
        yield House(
            programs,
            UPSTREAM_BASE_URL=upstream.base_url,
            REDIS_URL="",
            RELAY_LEASE_SECONDS="2",
            RELAY_KEEP_SECONDS="0.2",
        )


def portal(house: House, url: str, data: Path) -> Web:
    return house.web(DATABASE_URL=url, DATA_DIR=str(data))


async def sign_in(house: House, url: str, browser: httpx.AsyncClient) -> None:
    options = ("alice@example.com", "--create", "--base-url", str(browser.base_url))
    made = house.start("signinlink", *options, DATABASE_URL=url)
    link = (await asyncio.to_thread(made.line_with, "/link/")).strip()
    assert (await post(browser, link, link)).status_code == 302


async def post(browser: httpx.AsyncClient, page: str, to: str, **form: str) -> httpx.Response:
    shown = await browser.get(page)
    [token, *_] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', shown.text)
    return await browser.post(to, data={"csrfmiddlewaretoken": token, **form})


async def shows(browser: httpx.AsyncClient, address: str, *texts: str) -> None:
    async with asyncio.timeout(20):
        while True:
            page = (await browser.get(address)).text
            if all(text in page for text in texts):
                return
            await asyncio.sleep(0.1)


async def test_a_copy_that_was_made_while_an_answer_was_written_serves_all_that_was_there(
    house: House, upstream: ScriptedUpstream, database: tuple[str, Copy], tmp_path: Path
) -> None:
    url, copy = database
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    running = await asyncio.to_thread(portal, house, url, tmp_path / "one")
    async with httpx.AsyncClient(base_url=running.address, timeout=30) as browser:
        await sign_in(house, url, browser)
        form = {"text": "Where is it?", "request_id": str(uuid4()), "model": "crimson-falcon-4"}
        started = await post(browser, "/", "/conversations/", **form)
        address = started.headers["HX-Push-Url"]
        dictation.say("In the **backup**. ")
        await shows(browser, address, "<strong>backup</strong>")
        copied = await asyncio.to_thread(copy)
        dictation.say("Nowhere else.")
        dictation.finish()
        await shows(browser, address, "Nowhere else.")
        session = browser.cookies["sessionid"]

    restored = await asyncio.to_thread(portal, house, copied, tmp_path / "two")
    cookies = {"sessionid": session}
    async with httpx.AsyncClient(base_url=restored.address, timeout=30, cookies=cookies) as browser:
        await shows(
            browser, address, "Where is it?", "<strong>backup</strong>", "interrupted", "Retry"
        )
        assert "Nowhere else." not in (await browser.get(address)).text
        assert (await browser.get("/account/")).status_code == 200
