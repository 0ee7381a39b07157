"""Who gets into the gateway, and what is said where there is nothing."""

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations.actions import keys, people
from conversations.gateway import app
from conversations.models import Key, User
from tests.programs import COMPLETIONS, MODEL, Called, body, call
from tests.relays import db
from tests.viewers import session_of

pytestmark = pytest.mark.django_db(transaction=True)


# --- Who gets in ----------------------------------------------------------------------------------

ADDRESSES = [("POST", COMPLETIONS), ("GET", "/v1/models"), ("GET", f"/v1/models/{MODEL}")]


def test_every_address_is_tried_here() -> None:
    assert {app._view(path) for _verb, path in ADDRESSES} == set(app.VIEWS) - {"v1_openapi"}


async def test_only_the_document_needs_no_key() -> None:
    got = await call("", method="GET", path="/v1/openapi.json")
    assert (got.status, got.json["openapi"]) == (200, "3.1.0")
    assert (await call("", method="POST", path="/v1/openapi.json")).status == 405


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize(
    "state", ["active", "suspended", "reactivated", "expired", "revoked", "unknown", "gone"]
)
async def test_a_key_opens_an_address_only_while_it_is_good(
    token: str, alice: User, operator: User, method: str, path: str, state: str
) -> None:
    match state:
        case "suspended" | "reactivated":
            await db(people.suspend, user=alice, actor=operator)
            if state == "reactivated":
                await db(people.reactivate, user=alice, actor=operator)
        case "expired":
            await db(Key.objects.update, expires_at=timezone.now())
        case "revoked":
            await db(lambda: keys.revoke(key=Key.objects.get(), actor=alice))
        case "unknown":
            token = token[:-1] + ("a" if token[-1] != "a" else "b")
        case "gone":
            await db(alice.delete)
    got = await call(token, body(), method=method, path=path)
    good = state in {"active", "reactivated"}
    assert got.status == (200 if good else 401)
    if not good:
        assert got.error["code"] == "invalid_api_key"
        assert got.headers["www-authenticate"].startswith("Bearer")


AUTHORIZATIONS = [
    "",
    "Bearer",
    "Bearer ",
    "Basic YWxpY2U6eA==",
    "Bearer lt_",
    "Bearer lt_" + "a" * 53,
    "Bearer lt_" + "a" * 100_000,
    "Bearer lt_' OR 1=1 --",
    "Bearer lt_%00" + "a" * 50,
    "Bearer \x00\x01",
    "Bearer null",
    "bearer\tlt_x",
    "Token lt_" + "a" * 53,
    "lt_" + "a" * 53,
    "Bearer é" + "a" * 55,
]


@pytest.mark.parametrize("value", AUTHORIZATIONS)
async def test_nonsense_for_a_key_is_401(token: str, value: str) -> None:
    got = await Called(sent=body(), headers={"authorization": value}).all()
    assert got.status == 401
    assert value not in got.text or not value


async def test_no_key_is_told_how_to_send_one(token: str) -> None:
    got = await call("", body())
    assert (got.status, got.error["code"]) == (401, "missing_api_key")
    assert "Authorization: Bearer" in got.error["message"]


async def test_the_scheme_may_be_written_in_any_case(token: str) -> None:
    got = await Called(sent=body(), headers={"authorization": f"bEaReR  {token} "}).all()
    assert got.status == 200


async def test_a_session_opens_nothing_here(token: str, alice: User) -> None:
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={await db(session_of, alice)}"
    for method, path in ADDRESSES:
        got = await Called(sent=body(), method=method, path=path, headers={"cookie": cookie}).all()
        assert got.status == 401
        assert "set-cookie" not in got.headers


async def test_a_key_opens_no_page(token: str) -> None:
    for path in ("/", "/account/", "/people/", "/admin/"):
        headers = {"Authorization": f"Bearer {token}"}
        assert (await db(Client().get, path, headers=headers)).status_code == 302


async def test_a_forged_form_of_another_site_needs_a_key_too(token: str) -> None:
    headers = {"origin": "https://evil.example", "content-type": "text/plain"}
    assert (await Called(sent=body(), headers=headers).all()).status == 401


async def test_a_line_that_anybody_can_read_is_refused(token: str, settings: Settings) -> None:
    settings.SECURE = True
    got = await call(token, body())
    assert (got.status, got.error["code"]) == (400, "https_required")
    settings.BEHIND_PROXY = True
    assert (await call(token, body())).status == 400
    assert (await call(token, body(), headers={"x-forwarded-proto": "https"})).status == 200


# --- Where there is nothing -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/models/", "/v1/embeddings", "/v1/chat", "/v1/../admin/", "/v1/é"]
)
async def test_an_unknown_address_is_404_as_json(path: str) -> None:
    got = await call("", method="GET", path=path)
    assert (got.status, got.error["code"]) == (404, "unknown_url")
    assert got.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(("good", "path"), ADDRESSES)
async def test_a_verb_that_means_nothing_is_405(
    token: str, method: str, good: str, path: str
) -> None:
    got = await call(token, body(), method=method, path=path)
    allowed = {"GET", "HEAD"} if good == "GET" else {"POST"}
    assert got.status == (200 if method in allowed else 405)
    if got.status == 405:
        assert set(got.headers["allow"].split(", ")) == allowed
        assert method == "HEAD" or got.error["code"] == "method_not_supported"
    if method == "HEAD":
        assert got.text == ""


async def test_what_is_beside_the_gateway_is_the_portals() -> None:
    for path in ("/v10/models", "/v2/models", "/xv1/models"):
        got = await db(Client().get, path)
        assert (got.status_code, got["Content-Type"]) == (404, "text/html; charset=utf-8")
