"""Attacks that belong to no single part: forged requests, headers, secrets, hostile strings."""

import random
import re
import string
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from conversations import actions, catalogue
from conversations.actions import people
from conversations.models import (
    AuditEntry,
    Author,
    Conversation,
    Generation,
    Message,
    Outcome,
    State,
    User,
)
from conversations.relay import Relay
from tests.relays import ask, db, load, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of

pytestmark = pytest.mark.django_db

BACKEND = "django.contrib.auth.backends.ModelBackend"


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, backend=BACKEND)
    return client


# --- Requests that another site makes a browser send ----------------------------------------------

CHANGES: list[tuple[str, str, list[str]]] = [
    ("post", "conversations", []),
    ("post", "messages", ["conversation"]),
    ("post", "title", ["conversation"]),
    ("post", "settings", ["conversation"]),
    ("post", "deletion", ["conversation"]),
    ("delete", "deletion", ["conversation"]),
    ("post", "alternatives", ["answer"]),
    ("post", "continuations", ["answer"]),
    ("post", "head", ["answer"]),
    ("post", "stop", ["generation"]),
    ("post", "account", []),
    ("post", "people", []),
    ("post", "links", ["person"]),
    ("post", "suspension", ["person"]),
    ("post", "reactivation", ["person"]),
    ("post", "account_login", []),
    ("post", "account_logout", []),
    ("post", "account_change_password", []),
    ("post", "account_set_password", []),
    ("post", "admin:logout", []),
]


@pytest.mark.parametrize(("verb", "name", "of"), CHANGES)
def test_nothing_is_changed_without_the_pages_token(
    sent: actions.messages.Sent,
    alice: User,
    verb: str,
    name: str,
    of: list[str],
) -> None:
    ids = {
        "conversation": sent.question.conversation.public_id,
        "answer": sent.answer.public_id,
        "generation": sent.answer.choices.get().generation.public_id,
        "person": alice.public_id,
    }
    client = signed_in(alice, enforce_csrf_checks=True)
    client.get("/")
    address = reverse(name, args=[ids[part] for part in of])
    for headers in ({}, {"HX-Request": "true"}, {"X-CSRFToken": "x" * 32}):
        response = getattr(client, verb)(address, headers=headers)
        assert response.status_code == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("origin", ["http://testserver:9999", "https://testserver", "null"])
def test_the_token_does_not_help_a_page_of_another_origin(alice: User, origin: str) -> None:
    client = signed_in(alice, enforce_csrf_checks=True)
    page = client.get("/").content.decode()
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token is not None
    headers = {"X-CSRFToken": token[1], "Origin": origin}
    refused = client.post("/account/", {"name": "Mallory"}, headers=headers)
    assert refused.status_code == HTTPStatus.FORBIDDEN
    headers["Origin"] = "http://testserver"
    assert client.post("/account/", {"name": "Alice K"}, headers=headers).status_code == 302


def test_looking_at_an_address_that_changes_something_changes_nothing(
    sent: actions.messages.Sent, alice: User
) -> None:
    conversation = sent.question.conversation
    for name in ("title", "settings", "deletion"):
        address = reverse(name, args=[conversation.public_id])
        assert signed_in(alice).get(address).status_code == HTTPStatus.METHOD_NOT_ALLOWED


# --- Headers, cookies, settings -------------------------------------------------------------------


@pytest.fixture
def pages(alice: User, conversation: Conversation) -> dict[str, Any]:
    client = signed_in(alice)
    return {
        "new": client.get("/"),
        "thread": client.get(f"/c/{conversation.public_id}/"),
        "account": client.get("/account/"),
        "not found": client.get("/nothing/"),
        "refused": Client(enforce_csrf_checks=True).post("/account/"),
        "wrong host": Client(headers={"Host": "elsewhere.example"}).get("/"),
        "sign-in": Client().get("/accounts/login/"),
        "brand": Client().get("/brand.css"),
    }


def test_every_answer_carries_the_whole_policy(pages: dict[str, Any]) -> None:
    for name, page in pages.items():
        policy = dict(
            part.strip().partition(" ")[::2] for part in page["Content-Security-Policy"].split(";")
        )
        assert policy.pop("default-src") == "'none'", name
        assert policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'", name
        assert policy.pop("img-src") == "'self' data:", name
        assert {"script-src", "style-src", "connect-src", "form-action"} <= set(policy), name
        assert set(policy.values()) == {"'self'"}, name
        assert page["X-Content-Type-Options"] == "nosniff", name
        assert page["Referrer-Policy"] == "same-origin", name
        assert page["Cross-Origin-Opener-Policy"] == "same-origin", name


def test_pages_ask_for_no_device_and_lend_themselves_to_no_other_site(
    pages: dict[str, Any],
) -> None:
    for name in ("new", "thread", "account", "not found", "sign-in"):
        assert "camera=()" in pages[name]["Permissions-Policy"]
        assert pages[name]["Cross-Origin-Resource-Policy"] == "same-origin"
        assert pages[name]["X-Frame-Options"] == "DENY"
        assert "no-store" in pages[name]["Cache-Control"]


def test_a_page_for_everybody_hangs_on_no_cookie(pages: dict[str, Any]) -> None:
    assert "Cookie" not in pages["brand"].get("Vary", "")
    assert not pages["brand"].cookies


def test_a_wrong_host_learns_nothing(pages: dict[str, Any]) -> None:
    assert pages["wrong host"].status_code == HTTPStatus.BAD_REQUEST
    assert b"elsewhere" not in pages["wrong host"].content


def test_notices_are_kept_in_the_session_and_not_in_a_cookie(alice: User) -> None:
    client = signed_in(alice)
    client.post("/account/", {"name": "Alice K"})
    assert set(client.cookies) <= {"sessionid", "csrftoken"}


# --- Hostile strings from upstream ----------------------------------------------------------------

HTML = "<img src=x onerror=alert(1)>\"'><script>alert(1)</script>"


def test_names_of_models_are_text(alice: User, settings: Settings) -> None:
    settings.UPSTREAM_MODELS = ["auto"]
    catalogue.learn([HTML, "a\r\nSet-Cookie: b=c", "\u202eevil"])
    client = signed_in(alice)
    page = client.get("/").content.decode()
    assert "<img" not in page
    assert "<script>" not in page
    started = client.post(
        "/conversations/", {"text": "Hello", "request_id": uuid4(), "model": HTML}
    )
    assert started.status_code == HTTPStatus.OK
    page = client.get(f"/c/{Conversation.objects.get().public_id}/").content.decode()
    assert "<img" not in page


@pytest.mark.parametrize("field", ["error_message", "finish_reason", "upstream_id", "model"])
@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.INTERRUPTED, State.QUEUED])
def test_what_an_upstream_says_of_an_answer_is_text(
    sent: actions.messages.Sent, alice: User, field: str, state: State
) -> None:
    said = {"finish_reason": "stop", field: HTML[:40]}
    Generation.objects.update(state=state, not_before=timezone.now(), **said)
    conversation = sent.question.conversation
    page = signed_in(alice).get(f"/c/{conversation.public_id}/").content.decode()
    assert "<img src=x" not in page


# --- Bodies and addresses that no page of ours sends ----------------------------------------------


def nonsense(chance: random.Random) -> str:
    pieces = [
        "",
        "\x00",
        "\ud7ff",
        "9" * 400,
        "-1",
        "1e999",
        "NaN",
        "[]",
        "{}",
        "../..",
        "%00",
        HTML,
    ]
    pieces += ["\u202e", "a" * 5_000, "0001-01-01T00:00:00+14:00~1", str(uuid4()), "true", "\r\n"]
    pieces += ["9999-12-31T23:59:59-14:00~1", "2026-01-01T00:00:00Z~" + "9" * 30]
    return chance.choice(pieces) + "".join(chance.choices(string.printable, k=chance.randrange(4)))


@pytest.mark.parametrize("seed", range(8))
def test_nonsense_in_any_field_fails_no_page(
    seed: int, sent: actions.messages.Sent, alice: User
) -> None:
    chance = random.Random(seed)
    client = signed_in(alice, raise_request_exception=False)
    fields = ["text", "request_id", "model", "temperature", "top_p", "max_tokens", "stop", "title"]
    fields += ["system_prompt", "name", "email", "login", "password", "next", "before", "page"]
    ids = [sent.question.conversation.public_id, sent.answer.public_id]
    addresses = ["/conversations/", "/account/", "/people/", "/accounts/login/"]
    addresses += [f"/c/{ids[0]}/{part}/" for part in ("messages", "title", "settings", "deletion")]
    addresses += [f"/m/{ids[1]}/{part}/" for part in ("head", "text", "alternatives")]
    for _ in range(60):
        cache.clear()
        body = {name: nonsense(chance) for name in chance.sample(fields, k=8)}
        verb = chance.choice(["get", "post", "put", "delete", "head", "options"])
        headers = {"HX-Request": chance.choice(["true", nonsense(chance).strip() or "false"])}
        headers = {
            name: value.encode("ascii", "replace").decode() for name, value in headers.items()
        }
        headers = {name: re.sub(r"[\x00-\x1f]", "", value) for name, value in headers.items()}
        address = chance.choice(addresses)
        response = getattr(client, verb)(address, body, headers=headers)
        assert response.status_code < 500, (verb, address, body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{" * 10_000, "application/json"),
        (b"--x\r\n" * 5_000, "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"text=%ff%fe&text=%00&request_id=%zz", "application/x-www-form-urlencoded"),
        (b"a=1&" * 5_000, "application/x-www-form-urlencoded"),
        (b"text=x", "application/x-www-form-urlencoded; charset=utf-7"),
        (b"text=x", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"\x00" * 1_000, "text/\x00plain"),
    ],
)
def test_a_malformed_body_is_refused_and_fails_nothing(alice: User, body: bytes, kind: str) -> None:
    client = signed_in(alice, raise_request_exception=False)
    response = client.generic("POST", "/conversations/", body, content_type=kind)
    assert 400 <= response.status_code < 500
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_tokens", str(2**63)), ("max_tokens", "9" * 4_000), ("stop", "x" * 1_001)],
)
def test_parameters_that_no_upstream_could_take_are_refused(
    conversation: Conversation, alice: User, field: str, value: str
) -> None:
    response = signed_in(alice).post(
        f"/c/{conversation.public_id}/settings/", {"model": "crimson-falcon-4", field: value}
    )
    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert not Conversation.objects.get().parameters


@pytest.mark.parametrize(
    "cursor",
    ["0001-01-01T00:00:00+14:00~1", "9999-12-31T23:59:59-14:00~1", "x~1", "~", "\x00~\x00"],
)
def test_a_cursor_that_we_never_gave_finds_nothing(alice: User, cursor: str) -> None:
    response = signed_in(alice).get("/conversations/", {"before": cursor})
    assert response.status_code == HTTPStatus.NOT_FOUND


# --- Who tries passwords --------------------------------------------------------------------------


def failed(**headers: str) -> Any:
    form = {"login": headers.pop("login", "alice@example.com"), "password": "wrong"}
    return Client(headers=headers).post("/accounts/login/", form)


def test_made_up_addresses_and_spellings_win_no_attempts(alice: User) -> None:
    spellings = [
        "alice@example.com",
        "ALICE@example.com",
        " Alice@Example.COM ",
        "alice@EXAMPLE.com",
    ]
    for number in range(5):
        failed(login=spellings[number % 4], **{"X-Forwarded-For": f"192.0.2.{number}"})
    last = failed(login="aLICE@example.com", **{"X-Forwarded-For": "198.51.100.1"})
    assert "Too many attempts" in last.content.decode()


def test_attempts_on_somebody_are_in_the_trail_and_those_on_nobody_are_not(alice: User) -> None:
    failed()
    failed(login="nobody@example.com")
    entry = AuditEntry.objects.get(verb="person.sign_in_failed")
    assert (entry.object_id, entry.outcome, entry.details) == (alice.public_id, Outcome.FAILED, {})
    assert entry.actor is None


def test_an_invitation_that_somebody_kept_opens_nothing_once_its_person_was_here(
    client: Client, alice: User, operator: User
) -> None:
    token = people.invite(user=alice, actor=operator)
    client.post("/accounts/login/", {"login": alice.email, "password": "correct horse battery"})
    kept = Client().post(reverse("link", args=[token]))
    assert kept.status_code == HTTPStatus.GONE
    assert "sessionid" not in kept.cookies


# --- What one person can cost the others ----------------------------------------------------------


def test_choosing_a_branch_costs_the_same_however_deep_it_is(
    conversation: Conversation, alice: User
) -> None:
    roles = [Author.USER, Author.ASSISTANT]
    parent = None
    for depth in range(300):
        parent = Message.objects.create(
            conversation=conversation, parent=parent, depth=depth, role=roles[depth % 2]
        )
    first = Message.objects.earliest("pk")
    with CaptureQueriesContext(connection) as queries:
        actions.conversations.choose_head(conversation=conversation, actor=alice, message=first)
    assert Conversation.objects.get().head == parent
    assert len(queries) < 15


@pytest.mark.django_db(transaction=True)
async def test_asking_for_keys_over_and_over_slows_down_who_asks(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice, "#scenario stall_midway")
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        await viewer.next("key")
        for _ in range(100):
            await viewer.send({"t": "keys"})
        await viewer.next("tick", 3)
        assert len(viewer.all("key")) < 40
        viewer.kill()  # or we wait until all that was asked is answered
    await db(actions.generations.stop, generation=await db(load, generation), actor=alice)
    await settled(generation)


@pytest.mark.django_db(transaction=True)
async def test_a_socket_does_not_outlive_its_session(alice: User) -> None:
    def end_soon(cookie: str) -> None:
        until = timezone.now() + timedelta(seconds=1)
        Session.objects.filter(pk=cookie).update(expire_date=until)

    cookie = await db(session_of, alice)
    await db(end_soon, cookie)
    async with Viewer(cookie) as viewer:
        assert await viewer.closed() == 4401


@pytest.mark.django_db(transaction=True)
async def test_an_answer_that_ends_after_deletion_brings_no_row_back(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice, "#scenario stall_midway")
    async with Viewer(await db(session_of, alice)) as viewer:
        await db(actions.conversations.delete, conversation=conversation, actor=alice)
        await viewer.next("gone")
        await db(actions.generations.stop, generation=await db(load, generation), actor=alice)
        await settled(generation)
        await viewer.next("tick", len(viewer.all("tick")) + 1)
        assert not viewer.all("row")


def test_the_trail_holds_no_stop_sequence(conversation: Conversation, alice: User) -> None:
    parameters = {"stop": ["canary"], "temperature": 1.0}
    actions.conversations.configure(
        conversation=conversation,
        actor=alice,
        model="indigo-owl-4",
        parameters=parameters,
        system_prompt="",
    )
    details = AuditEntry.objects.get().details
    assert details == {"model": "indigo-owl-4", "parameters": {"temperature": 1.0}}
