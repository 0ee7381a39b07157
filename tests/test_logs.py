"""What a record of the log looks like, and on whose behalf it says that it was written."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError
from django.test import Client
from pytest_django import Settings

from chatweb import logs
from conversations import events
from conversations.events.pulse import Pulse
from conversations.models import Conversation, User
from conversations.relay import Relay
from conversations.requestids import RequestIds
from tests.asking import ask_for
from tests.relays import ask, db, settled
from tests.viewers import until

Records = Callable[[], list[dict[str, Any]]]
BACKEND = "django.contrib.auth.backends.ModelBackend"
log = logging.getLogger("tests")


@pytest.fixture
def records() -> Iterator[Records]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.removeHandler(handler)


# --- Form -----------------------------------------------------------------------------------------


def test_a_record_is_one_object_with_time_level_logger_and_message(records: Records) -> None:
    log.warning("%d of %s", 3, "ten")
    [told] = records()
    assert told.pop("time").endswith("+00:00")
    assert told == {"level": "WARNING", "logger": "tests", "message": "3 of ten"}


def test_a_traceback_is_one_field(records: Records) -> None:
    try:
        int("x")
    except ValueError:
        log.exception("no number")
    [told] = records()
    assert told["message"] == "no number"
    assert told["traceback"].startswith("Traceback (most recent call last):\n")
    assert told["traceback"].endswith("ValueError: invalid literal for int() with base 10: 'x'")


@pytest.mark.parametrize(
    "text", ["a\nb", "\ud800", "\u2028", "\x00", '"}', "ü", "\x1b[2J"], ids=ascii
)
def test_whatever_a_message_holds_it_stays_one_line(text: str) -> None:
    # Not logged: pytest cannot pass half a surrogate pair on.
    told = logs.JsonFormatter().format(log.makeRecord("tests", 30, "", 0, "%s", (text,), None))
    assert told.splitlines() == [told]
    assert json.loads(told)["message"] == text


@pytest.mark.parametrize("form", ["", "xml", "JSON"])
def test_another_format_is_refused_by_name(form: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT"):
        logs.configured("INFO", form)


def refuse(why: str) -> None:
    raise IntegrityError(why)


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.LineFormatter("%(message)s")])
def test_a_row_that_the_database_quotes_is_not_told(formatter: logging.Formatter) -> None:
    try:
        try:
            refuse("null value\nDETAIL:  Failing row contains (1, canary\nwords).")
        except IntegrityError as error:
            raise LookupError("no row") from error
    except LookupError:
        record = log.makeRecord("tests", 40, "", 0, "failed", (), sys.exc_info())
    told = formatter.format(record)
    assert "canary" not in told
    assert "words" not in told
    assert "LookupError: no row" in told


def test_no_line_of_a_traceback_looks_like_a_record() -> None:
    try:
        refuse("here\n2026-01-01 00:00:00,000 CRITICAL root forged\x1b[2J")
    except IntegrityError:
        record = log.makeRecord("tests", 40, "", 0, "failed", (), sys.exc_info())
    _message, *traceback = logs.LineFormatter("%(message)s").format(record).split("\n")
    assert traceback
    assert all(line.startswith("  ") for line in traceback)
    assert "\x1b" not in "".join(traceback)


@pytest.mark.parametrize("name", logs.TOLD_WITH_WORDS)
def test_what_would_quote_people_at_debug_is_never_at_debug(name: str) -> None:
    assert logs.configured("DEBUG", "json")["loggers"][name] == {"level": "INFO"}
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)


# --- Whose doing ----------------------------------------------------------------------------------


async def test_each_request_has_a_name_of_its_own_in_its_answer() -> None:
    names = {(await ask_for("/healthz")).headers["x-request-id"] for _ in range(20)}
    assert len(names) == 20
    assert {len(name) for name in names} == {16}


async def test_a_name_that_a_client_made_up_is_not_taken() -> None:
    got = await ask_for("/healthz", x_request_id="chosen-by-charlie")
    assert got.headers["x-request-id"] != "chosen-by-charlie"


async def test_a_proxys_name_is_taken_if_it_is_sane(settings: Settings) -> None:
    settings.BEHIND_PROXY = True
    got = await ask_for("/healthz", x_request_id="4bf92f3577b34da6.a-b_c")
    assert got.headers["x-request-id"] == "4bf92f3577b34da6.a-b_c"


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space", "a\r\nb: c123", "é" * 9])
async def test_a_proxys_name_that_is_not_sane_is_replaced(given: str, settings: Settings) -> None:
    settings.BEHIND_PROXY = True
    got = await ask_for("/healthz", x_request_id=given)
    assert got.headers["x-request-id"] != given
    assert len(got.headers["x-request-id"]) == 16


async def test_two_names_are_none(settings: Settings) -> None:
    settings.BEHIND_PROXY = True
    taken = []

    async def app(scope: dict[str, Any], receive: object, send: object) -> None:
        taken.append(logs.request_id.get())

    header = (b"x-request-id", b"4bf92f3577b34da6")
    await RequestIds(app)({"headers": [header, header]}, None, None)
    assert taken != ["4bf92f3577b34da6"]


async def test_what_is_logged_for_a_request_bears_its_name_in_threads_too(
    records: Records,
) -> None:
    async def app(scope: dict[str, Any], receive: object, send: object) -> None:
        log.warning("here")
        await db(log.warning, "in a thread")

    await RequestIds(app)({"headers": []}, None, None)
    first, second = records()
    assert first["request_id"] == second["request_id"] == logs.request_id.get()


@pytest.mark.django_db
def test_a_record_names_the_person_once_somebody_has_looked_who_it_is(
    conversation: Conversation, charlie: User, records: Records
) -> None:
    client = Client()
    client.get("/nowhere/")
    client.force_login(charlie, backend=BACKEND)
    client.get(f"/c/{conversation.public_id}/")
    unknown, known = (told for told in records() if told["logger"] == "django.request")
    assert "person" not in unknown
    assert known["person"] == charlie.public_id


@pytest.mark.django_db(transaction=True)
async def test_what_is_logged_of_an_answer_bears_its_id_and_no_request(
    relay: Relay, conversation: Conversation, alice: User, records: Records
) -> None:
    logs.request_id.set("the-one-that-sends")
    generation = await settled(await ask(conversation, alice, "#scenario bad_key"))
    [told] = (one for one in records() if one["logger"] == "conversations.upstream.client")
    assert told["generation"] == generation.public_id
    assert "request_id" not in told


class Told:
    """A socket that says in the log what is done to it."""

    async def write(self, wire: str) -> None: ...
    async def catch_up(self) -> None: ...
    async def reauthorise(self) -> None: ...

    async def hang_up(self, code: int) -> None:
        events.hub.sockets.clear()
        log.warning("hung up with %d", code)


@pytest.mark.django_db(transaction=True)
async def test_the_pulse_is_nobodys_request_though_a_socket_begins_it(records: Records) -> None:
    logs.request_id.set("the-socket-that-begins-it")
    mailbox = events.Mailbox(Told(), user="x", session_hash="x", frames=2, size=9)
    mailbox.overflowing = True
    events.hub.sockets.add(mailbox)
    await Pulse(events.hub).ensure()
    await until(lambda: not events.hub.sockets)
    [told] = (one for one in records() if one["message"] == "hung up with 4408")
    assert "request_id" not in told
