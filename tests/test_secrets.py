"""What must be nowhere: the upstream's key, the signing key, links, and people's words in a log."""

import io
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from chatweb.logs import JsonFormatter, LineFormatter
from conversations import catalogue, ledger, metrics
from conversations.actions import people
from conversations.models import (
    KEY_PREFIX_CHARACTERS,
    Conversation,
    Key,
    Purpose,
    State,
    User,
)
from conversations.relay import Relay
from tests.programs import Called, body, call
from tests.relays import ask, db, settled
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db

BACKEND = "django.contrib.auth.backends.ModelBackend"
KEY = "canary-upstream-key-84417"
WORDS = "canary words that Alice wrote"


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, backend=BACKEND)
    return client


FORMATS = {
    "line": LineFormatter(fmt="{levelname} {name} {message}", style="{"),
    "json": JsonFormatter(),
}


@pytest.fixture(params=FORMATS)
def log(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """All that the log would say, in each of its formats."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(FORMATS[request.param])
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written.getvalue
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def keyed(upstream: ScriptedUpstream, settings: Settings) -> ScriptedUpstream:
    upstream.key = settings.UPSTREAM_API_KEY = KEY
    settings.UPSTREAM_RETRIES = 0
    catalogue.forget()
    return upstream


FAILURES = [
    "bad_key",
    "bad_key status=403",
    f"refused status=400 message={KEY}",
    f"refused status=500 message=Bearer%20{KEY}",
    "html_error",
    "sign_in_page",
    "redirect",
    "bad_head",
    "error_midway",
    "named_error",
    "drop",
    "all_garbage",
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scenario", FAILURES)
async def test_the_key_is_in_no_log_page_or_row_whatever_an_upstream_says(
    scenario: str,
    keyed: ScriptedUpstream,
    relay: Relay,
    conversation: Conversation,
    alice: User,
    log: Callable[[], str],
) -> None:
    def page() -> str:
        return signed_in(alice).get(f"/c/{conversation.public_id}/").content.decode()

    asked = f"#scenario {scenario}"
    generation = await settled(await ask(conversation, alice, asked))
    assert generation.state in {State.FAILED, State.INTERRUPTED}
    assert KEY not in log() + str(generation.__dict__)
    # What Alice typed herself stands there as she typed it.
    assert (await db(page)).count(KEY) <= 4 * asked.count(KEY)


@pytest.mark.django_db(transaction=True)
async def test_what_people_write_is_not_in_the_log_even_when_a_server_quotes_it(
    keyed: ScriptedUpstream,
    relay: Relay,
    conversation: Conversation,
    alice: User,
    log: Callable[[], str],
) -> None:
    generation = await ask(conversation, alice, f"#scenario quoting\n{WORDS}")
    assert (await settled(generation)).state == State.FAILED
    assert "HTTP 422" in log()
    assert WORDS not in log()


@pytest.mark.django_db(transaction=True)
async def test_what_a_program_says_and_its_key_are_nowhere_whatever_becomes_of_the_call(
    token: str, keyed: ScriptedUpstream, alice: User, log: Callable[[], str], settings: Settings
) -> None:
    """Not in the log, the metrics or a table; and the answer to a failure quotes neither."""
    key = await db(Key.objects.get)
    shown = []
    for scenario in [*FAILURES, "quoting", "tool_call", "cut_midway"]:
        for stream in (False, True):
            got = await call(token, body(f"#scenario {scenario}\n{WORDS}", stream=stream))
            shown.append(got.text)
            shown.append((await call(f"{token[:-1]}!", body(WORDS))).text)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(ledger, "reserve", fails)
        failing = Called(token, body(WORDS))
        with pytest.raises(RuntimeError):
            await failing.all()
    shown.append(failing.text)
    answered = await call(token, body(WORDS))
    left = Called(token, body(f"#scenario slow tokens=1000 rate=50\n{WORDS}", stream=True))
    await left.begin()
    await left.leave()
    assert WORDS in answered.text, "the model server repeats it"
    assert "HTTP 422" in log()
    metered = (await metrics.page()).decode()
    rows = await db(all_rows)
    for secret in (KEY, token, token[KEY_PREFIX_CHARACTERS:], WORDS):
        for place in (log(), metered, "".join(shown), rows):
            assert secret not in place
    for place in (log(), metered, "".join(shown), answered.text):
        assert key.key_hash not in place
        assert settings.SECRET_KEY not in place


def fails(*_arguments: object, **_named: object) -> None:
    raise RuntimeError("a mistake of ours")


def all_rows() -> str:
    with connection.cursor() as cursor:
        said = []
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            said.append(str(cursor.fetchall()))
    return "".join(said)


def test_pages_and_errors_hold_no_settings(
    alice: User, settings: Settings, log: Callable[[], str]
) -> None:
    settings.UPSTREAM_API_KEY = KEY
    client = signed_in(alice, raise_request_exception=False)
    shown = b"".join(client.get(path).content for path in ("/", "/account/", "/nothing/"))
    assert KEY.encode() not in shown
    assert django_settings.SECRET_KEY.encode() not in shown
    assert KEY not in log()
    assert django_settings.SECRET_KEY not in log()


def test_a_links_token_is_in_no_log_and_no_row(alice: User, log: Callable[[], str]) -> None:
    token = people.make_link(
        user=alice, purpose=Purpose.SIGN_IN, actor=None, lifetime=timedelta(hours=1)
    )
    for method in ("get", "post", "put", "get"):
        getattr(Client(), method)(reverse("link", args=[token]))
    assert re.search(r"/link/(…|\\u2026)", log())
    assert token not in log()
    assert token not in all_rows()


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x1b[2J", "\x85", "\u2028", "\x00"])
def test_nobody_writes_lines_of_their_own_into_the_log(end: str, log: Callable[[], str]) -> None:
    logging.getLogger("tests").warning("model %s", f"a{end}CRITICAL forged")
    assert log().splitlines() == [log().rstrip("\n")]
    assert "\x1b" not in log()
