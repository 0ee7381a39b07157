"""Servers that refuse, redirect, stall or are not there: rows 29 to 40 of the same list."""

import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from conversations.upstream import (
    ChatMessage,
    ChatRequest,
    Client,
    FinishReason,
    Limits,
    Retrying,
    Upstream,
    UpstreamError,
)
from tests.upstream import ScriptedUpstream
from tests.upstream.stage import IMPATIENT, Stage


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("html_error", {"status": 502}, "502"),
        ("empty_error", {"status": 504}, "504"),
        ("empty_page", {}, "empty"),
        ("sign_in_page", {}, "web page"),
    ],
)
async def test_row_29_pages_of_proxies_are_never_shown(
    stage: Stage, name: str, options: dict[str, Any], said: str
) -> None:
    for _ in range(3):
        stage.server.script(name, **options)
    error = (await stage.ask()).error
    assert error is not None
    assert said in error.message
    assert "<" not in error.message


async def test_row_29_the_operator_finds_the_page_in_the_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        stage.server.script("html_error", status=599)
        await stage.ask(limits=Limits(retries=0))
    assert "Bad Gateway" in caplog.text


async def test_row_30_a_body_that_is_neither_events_nor_json_is_unreadable(stage: Stage) -> None:
    outcome = await stage.play("content_type", value="text/plain", form="words")
    assert outcome.code == "unreadable"


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry_after": "3"}, 3),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry_after": "soon"}, 0.5),
        ({"retry_after": "-5"}, 0.5),
        ({}, 0.5),
    ],
)
async def test_row_31_the_wait_that_the_server_names_is_kept(
    stage: Stage, headers: dict[str, Any], waited: float
) -> None:
    outcome = await stage.play("rate_limited", **headers)
    assert outcome.error is None
    assert stage.waits == [waited]
    retrying = outcome.events[0]
    assert isinstance(retrying, Retrying)
    assert (retrying.reason, retrying.delay, retrying.attempt) == ("rate_limited", waited, 2)
    assert "too many requests" in retrying.message


@pytest.mark.parametrize("seconds", [31, 86400, 10**12])
async def test_row_31_a_wait_over_the_budget_fails_with_its_time(
    stage: Stage, seconds: int
) -> None:
    outcome = await stage.play("rate_limited", retry_after=str(seconds))
    assert outcome.code == "rate_limited"
    assert outcome.error is not None
    assert outcome.error.retry_after == min(seconds, 86400)
    assert stage.waits == []


async def test_row_31_a_quota_that_is_used_up_is_not_asked_again(stage: Stage) -> None:
    assert (await stage.play("no_quota")).code == "no_quota"
    assert len(stage.server.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503])
async def test_row_32_a_passing_failure_is_tried_again(stage: Stage, status: int) -> None:
    stage.server.script("failing", status=status).script("failing", status=status)
    outcome = await stage.ask()
    assert outcome.finishes == [(0, FinishReason.STOP)]
    assert stage.waits == [0.5, 1.0]
    assert [event.attempt for event in outcome.of(Retrying)] == [2, 3]


async def test_row_32_after_two_retries_it_is_a_failure(stage: Stage) -> None:
    for _ in range(3):
        stage.server.script("failing", status=500)
    outcome = await stage.ask()
    assert outcome.code == "upstream_error"
    assert len(stage.server.requests) == 3


@pytest.mark.parametrize(("status", "should", "sent"), [(500, "false", 1), (400, "true", 2)])
async def test_row_32_the_servers_word_on_retries_is_taken(
    stage: Stage, status: int, should: str, sent: int
) -> None:
    await stage.play("failing", status=status, should_retry=should)
    assert len(stage.server.requests) == sent


@pytest.mark.parametrize(
    ("name", "options", "code", "operator"),
    [
        ("context_too_long", {}, "context_too_long", False),
        ("bad_key", {"status": 401}, "bad_key", True),
        ("bad_key", {"status": 403}, "bad_key", True),
        ("unknown_model", {}, "model_not_found", False),
        ("refused", {"status": 400}, "bad_request", False),
    ],
)
async def test_row_33_a_refusal_is_named_and_not_tried_again(
    stage: Stage, name: str, options: dict[str, Any], code: str, operator: bool
) -> None:
    outcome = await stage.play(name, **options)
    assert outcome.error is not None
    assert (outcome.code, outcome.error.operator_fault) == (code, operator)
    assert not outcome.error.retryable
    assert len(stage.server.requests) == 1


@pytest.mark.parametrize("name", ["silent", "mute"])
async def test_row_34_silence_before_the_first_word_is_noticed(stage: Stage, name: str) -> None:
    assert (await stage.play(name, IMPATIENT)).code == "timeout_first_token"
    assert len(stage.server.requests) == 1
    await stage.server.until_idle()


async def test_row_34_silence_in_the_middle_is_noticed_and_the_text_kept(stage: Stage) -> None:
    outcome = await stage.play("stall_midway", IMPATIENT)
    assert (outcome.code, outcome.text()) == ("timeout_idle", "Half an answer")


async def test_row_34_bytes_that_make_no_event_are_silence(stage: Stage) -> None:
    outcome = await stage.play("trickle", IMPATIENT, every=0.01, after="Hi")
    assert (outcome.code, outcome.text()) == ("timeout_idle", "Hi")


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("to", ["http://elsewhere.invalid/v1", "/v1/other"])
async def test_row_35_a_redirect_is_not_followed(stage: Stage, status: int, to: str) -> None:
    outcome = await stage.play("redirect", status=status, to=to)
    assert outcome.code == "redirected"
    assert outcome.error is not None
    assert outcome.error.operator_fault
    assert len(stage.server.requests) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_row_36_a_stale_connection_is_tried_once_more(stage: Stage, how: str) -> None:
    assert (await stage.play("drop", how=how)).finishes == [(0, FinishReason.STOP)]
    assert len(stage.server.requests) == 2


async def test_row_36_but_only_once(stage: Stage) -> None:
    stage.server.script("drop").script("drop")
    assert (await stage.ask()).code == "disconnected"
    assert len(stage.server.requests) == 2


async def test_row_36_after_a_byte_of_an_answer_nothing_is_sent_again(stage: Stage) -> None:
    assert (await stage.play("drop_in_headers")).code == "interrupted"
    assert len(stage.server.requests) == 1


async def test_row_36_an_answer_that_is_not_http_is_not_asked_for_again(stage: Stage) -> None:
    assert (await stage.play("bad_head")).code == "interrupted"
    assert len(stage.server.requests) == 1


async def test_row_37_the_client_speaks_http_1_1(stage: Stage) -> None:
    await stage.ask()
    assert stage.server.requests[0].version == "HTTP/1.1"


async def test_row_38_more_requests_than_connections_is_a_plain_error(stage: Stage) -> None:
    upstream = stage.upstream(limits=Limits(connections=1))
    stage.server.script("stall_midway")
    async with Client(upstream) as client:
        request = ChatRequest("crimson-falcon-4", (ChatMessage("user", "Hi"),))
        first = client.stream(request)
        await anext(first)
        with pytest.raises(UpstreamError) as caught:
            await anext(client.stream(request))
        assert caught.value.code == "busy"
        await first.aclose()
        assert (await client.complete(request)).choices[0].text


async def test_row_39_a_server_that_is_not_there_is_unreachable(
    stage: Stage, unused_tcp_port: int
) -> None:
    stage.server.script("silent")
    upstream = Upstream("main", f"http://127.0.0.1:{unused_tcp_port}/v1")
    async with Client(upstream, sleep=stage.wait) as client:
        with pytest.raises(UpstreamError) as caught:
            await client.models()
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize("expired", [True, False])
async def test_row_39_a_certificate_that_is_no_good_is_the_operators_affair(
    stage: Stage, tmp_path: Path, expired: bool
) -> None:
    authority, tls = certificate(tmp_path, expired=expired)
    async with ScriptedUpstream(tls=tls) as server:
        # The expired one is from an authority that we trust, the other from a stranger.
        upstream = Upstream("main", server.base_url, ca_file=authority if expired else "")
        async with Client(upstream, sleep=stage.wait) as client:
            with pytest.raises(UpstreamError) as caught:
                await client.models()
    assert (caught.value.code, caught.value.operator_fault) == ("tls", True)


async def test_row_39_an_authority_of_ones_own_can_be_trusted(tmp_path: Path) -> None:
    authority, tls = certificate(tmp_path, expired=False)
    async with (
        ScriptedUpstream(tls=tls) as server,
        Client(Upstream("main", server.base_url, ca_file=authority)) as client,
    ):
        assert "indigo-owl-4" in await client.models()


def certificate(folder: Path, *, expired: bool) -> tuple[str, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself: its file and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    ends = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=9))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "server.pem"
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(key.private_bytes(*plain) + signed.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return str(file), context


async def test_row_39_proxies_of_the_environment_are_not_used_by_default(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    assert (await stage.ask()).error is None
    assert (await stage.ask(trust_env=True, limits=Limits(retries=0))).code == "unreachable"


async def test_row_40_what_comes_after_the_end_is_counted_and_dropped(stage: Stage) -> None:
    outcome = await stage.play("text_after_end")
    assert "text_after_end" in outcome.warnings
    assert outcome.finishes == [(0, FinishReason.STOP)]
