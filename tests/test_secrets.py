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
from conversations import catalogue
from conversations.actions import people
from conversations.models import (
    Conversation,
    Purpose,
    State,
    User,
)
from conversations.relay import Relay
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
    settings.UPSTREAM_API_KEY = KEY
    settings.UPSTREAM_RETRIES = 0
    catalogue.forget()
    return upstream


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "scenario",
    [
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
    ],
)
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
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert token not in str(cursor.fetchall()), table


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x1b[2J", "\x85", "\u2028", "\x00"])
def test_nobody_writes_lines_of_their_own_into_the_log(end: str, log: Callable[[], str]) -> None:
    logging.getLogger("tests").warning("model %s", f"a{end}CRITICAL forged")
    assert log().splitlines() == [log().rstrip("\n")]
    assert "\x1b" not in log()
