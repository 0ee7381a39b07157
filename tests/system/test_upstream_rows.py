"""Each row of what model servers really send, through a served portal: what the table holds, what
grew on the page, and what stays there."""

from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from conversations import markdown
from conversations.models import Conversation, State, UsageSource, User
from tests.house import House, Web, viewer
from tests.markdown_page import parse
from tests.quirks import IMPATIENT, Quirk, article_of, every, read_out
from tests.relays import answer_of, ask, db, settled
from tests.upstream import ScriptedUpstream
from tests.upstream.scenarios import everything
from tests.viewers import tree_of_article, until

pytestmark = pytest.mark.django_db(transaction=True)
QUIRKS = list(every())
SET_UP_OTHERWISE = {38, 39}
FLAT_MB = 60


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def web(django_db_setup: None, server: ScriptedUpstream) -> Iterator[Web]:
    """One for all rows."""
    with ExitStack() as programs:
        house = House(programs, UPSTREAM_BASE_URL=server.base_url, **IMPATIENT)
        yield house.web()


def test_no_row_is_left_out() -> None:
    rows = {scenario.row for scenario in everything()} - {0}
    assert rows | set(range(1, 41)) == {quirk.row for quirk in QUIRKS} | SET_UP_OTHERWISE
    played = {name for quirk in QUIRKS for name, _options in quirk.played}
    left = {scenario.name for scenario in everything() if scenario.row} - played
    # What they do to a request or to the log shows nowhere on a page.
    assert left == {"quoting", "no_stream_options"}


@pytest.mark.parametrize("quirk", QUIRKS, ids=str)
async def test_row(
    quirk: Quirk, web: Web, server: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    server.forget()
    for name, options in quirk.played:
        server.script(name, **options)
    before = len(server.asked)
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        row = await settled(generation, seconds=20)
        final = (await watching.next("settled"))["html"]
        grown = watching.answers.get(generation.public_id)
    message = await db(answer_of, generation)
    requests = server.asked[before:]

    assert (row.state, row.finish_reason or row.error_code) == (quirk.state, quirk.why)
    assert (row.prompt_tokens, row.completion_tokens)[: 2 * bool(quirk.tokens[0])] in (
        quirk.tokens,
        (),
    )
    assert len(requests) == quirk.requests
    assert {request.version for request in requests} == {"HTTP/1.1"}
    if quirk.text or not message.text:
        assert message.text == quirk.text
    assert message.reasoning == quirk.reasoning

    # On the page: the same however one came by it, with what it means in words.
    assert await article_of(web, conversation, alice, message.public_id) == final.strip()
    shown = tree_of_article(final)
    assert shown.shape() == parse(str(markdown.render(message.text))).shape()
    if grown is not None:
        assert grown.shape == shown.shape()
    told = read_out(final)
    assert quirk.says in told
    assert "<h1>" not in final
    assert ("Retry" in told) == (quirk.state in {State.FAILED, State.INTERRUPTED})


# --- What one row alone asks ----------------------------------------------------------------------


async def test_row_5_usage_that_nobody_reported_is_unknown_and_not_nothing(
    web: Web, server: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    server.forget()
    server.script("cut_midway")
    row = await settled(await ask(conversation, alice))
    assert (row.usage_source, row.completion_tokens) == (UsageSource.UNKNOWN, None)
    name = (await db(answer_of, row)).public_id
    assert "token" not in read_out(await article_of(web, conversation, alice, name))


@pytest.mark.parametrize(
    ("name", "options"), [("bomb", {"megabytes": 300}), ("endless", {"size": 20_000})]
)
async def test_rows_21_and_23_memory_stays_flat_and_the_server_is_hung_up_on(
    name: str,
    options: dict[str, int],
    web: Web,
    server: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
) -> None:
    process = psutil.Process(web.program.process.pid)
    server.forget()
    await settled(await ask(conversation, alice))
    before = process.memory_info().rss
    server.script(name, **options)
    row = await settled(await ask(conversation, alice))
    assert row.finish_reason == "length"
    assert process.memory_info().rss - before < FLAT_MB * 1e6
    await until(lambda: not server.open, seconds=10)


async def test_row_31_how_long_it_will_take_is_counted_down_in_sight(
    web: Web, server: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    server.forget()
    server.script("rate_limited", retry_after="2")
    async with await viewer(web, alice) as watching:
        await watching.watch(conversation)
        generation = await ask(conversation, alice)
        await until(lambda: any('data-time="until"' in m["html"] for m in watching.all("progress")))
        told = read_out(watching.all("progress")[-1]["html"])
        assert "too many requests" in told
        assert "Trying again" in told
        row = await settled(generation)
    assert (row.state, row.attempts) == (State.DONE, 1)


async def test_row_31_a_wait_that_nobody_wants_is_named(
    web: Web, server: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    server.forget()
    server.script("rate_limited", retry_after="86400")
    row = await settled(await ask(conversation, alice))
    assert row.retry_at is not None
    name = (await db(answer_of, row)).public_id
    assert row.retry_at.isoformat()[:19] in await article_of(web, conversation, alice, name)
