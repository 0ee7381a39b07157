"""What servers really send, by the numbers that `python -m tests.upstream --help` lists."""

import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
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
    Event,
    Finished,
    FinishReason,
    Interrupted,
    Limits,
    ReasoningDelta,
    Retrying,
    TextDelta,
    Timeouts,
    Upstream,
    UpstreamError,
    UsageReported,
    Warned,
)
from tests.upstream import ScriptedUpstream
from tests.upstream.framing import ACCENTS, SEPARATORS

KEY = "canary-key-4711"
PATIENT = Timeouts(connect=5, slot=0.05, first_token=10, between_tokens=10, after_end=0.1)
IMPATIENT = Timeouts(connect=5, slot=0.05, first_token=0.4, between_tokens=0.3, after_end=0.1)


@dataclass
class Outcome:
    events: list[Event] = field(default_factory=list)
    error: UpstreamError | None = None

    def text(self, index: int = 0) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TextDelta) and e.index == index)

    @property
    def reasoning(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, ReasoningDelta))

    @property
    def finishes(self) -> list[tuple[int, FinishReason]]:
        return [(e.index, e.reason) for e in self.events if isinstance(e, Finished)]

    @property
    def warnings(self) -> list[str]:
        return [e.code for e in self.events if isinstance(e, Warned)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]

    @property
    def code(self) -> str | None:
        return self.error.code if self.error else None


class Stage:
    """A scripted upstream and the means to ask it."""

    def __init__(self, server: ScriptedUpstream) -> None:
        self.server = server
        self.waits: list[float] = []

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def upstream(self, **options: Any) -> Upstream:
        options = {"timeouts": PATIENT, **options}
        return Upstream("main", self.server.base_url, KEY, **options)

    async def ask(self, *, n: int = 1, **options: Any) -> Outcome:
        outcome = Outcome()
        async with Client(self.upstream(**options), sleep=self.wait, jitter=lambda: 0.0) as client:
            request = ChatRequest("crimson-falcon-4", (ChatMessage("user", "Hi"),), n=n)
            try:
                async for batch in client.stream(request):
                    assert batch
                    outcome.events += batch
            except UpstreamError as error:
                outcome.error = error
        return outcome

    async def play(self, name: str, timeouts: Timeouts = PATIENT, **options: Any) -> Outcome:
        self.server.script(name, **options)
        return await self.ask(timeouts=timeouts)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(key=KEY) as server:
        yield Stage(server)


def assert_good(outcome: Outcome, text: str = "Hello, world") -> None:
    assert (outcome.error, outcome.text(), outcome.finishes) == (
        None,
        text,
        [(0, FinishReason.STOP)],
    )


@pytest.mark.parametrize(
    ("row", "name", "options"),
    [
        (1, "role_only_first", {}),
        (2, "empty_deltas", {}),
        (3, "usage_last", {}),
        (4, "usage_packed", {}),
        (6, "filter_first", {}),
        (7, "comments", {}),
        (10, "no_done", {}),
        (14, "line_ends", {"style": "crlf"}),
        (14, "line_ends", {"style": "cr"}),
        (14, "line_ends", {"style": "mixed"}),
        (14, "line_ends", {"style": "split"}),
        (17, "several_data_lines", {}),
        (18, "spaces", {"count": 0}),
        (18, "spaces", {"count": 2}),
        (19, "bom_and_fields", {}),
        (20, "no_last_blank", {}),
        (23, "compressed", {"encoding": "gzip"}),
        (23, "compressed", {"encoding": "deflate"}),
        (23, "compressed", {"encoding": "raw"}),
        (25, "no_index", {}),
        (26, "reasoning", {}),
        (27, "message_for_delta", {}),
        (27, "json_answer", {}),
        (28, "garbage_line", {}),
        (30, "content_type", {"value": "text/plain"}),
        (30, "content_type", {"value": "application/json"}),
        (30, "content_type", {"value": ""}),
        (30, "content_type", {"value": "text/plain", "form": "comment"}),
        (30, "content_type", {"value": "text/event-stream", "form": "json"}),
        (30, "content_type", {"value": "", "form": "json"}),
        (34, "open_end", {}),
        (40, "text_after_end", {}),
    ],
)
async def test_an_odd_but_whole_answer_is_read_as_it_was_meant(
    stage: Stage, row: int, name: str, options: dict[str, Any]
) -> None:
    assert_good(await stage.play(name, **options))


async def test_row_1_a_role_alone_is_no_text(stage: Stage) -> None:
    outcome = await stage.play("role_only_first")
    assert all(delta.text for delta in outcome.of(TextDelta))


@pytest.mark.parametrize("name", ["usage_last", "usage_packed"])
async def test_rows_3_and_4_usage_is_reported_once(stage: Stage, name: str) -> None:
    assert (await stage.play(name)).of(UsageReported) == [UsageReported(7, 3)]


async def test_row_5_an_interrupted_answer_has_no_usage_rather_than_zero(stage: Stage) -> None:
    assert (await stage.play("cut_midway")).of(UsageReported) == []


async def test_row_7_comments_keep_an_answer_alive_between_its_words(stage: Stage) -> None:
    assert_good(await stage.play("comments", IMPATIENT, every=0.1, count=5))


async def test_row_7_comments_do_not_count_as_the_first_word(stage: Stage) -> None:
    outcome = await stage.play("comments_for_ever", IMPATIENT, every=0.05)
    assert outcome.code == "timeout_first_token"


@pytest.mark.parametrize("shape", ["object", "flat", "string"])
@pytest.mark.parametrize("done", [0, 1])
async def test_row_8_an_error_inside_the_stream_keeps_the_text(
    stage: Stage, shape: str, done: int
) -> None:
    outcome = await stage.play("error_midway", shape=shape, done=done)
    assert outcome.error is not None
    assert (outcome.text(), outcome.code, outcome.finishes) == (
        "Half an answer",
        "upstream_error",
        [],
    )
    assert "The model crashed." in outcome.error.message
    assert outcome.error.after_text
    assert outcome.error.retryable


@pytest.mark.parametrize("shape", ["object", "flat", "string"])
async def test_row_8_an_error_ahead_of_any_text_is_not_sent_again(stage: Stage, shape: str) -> None:
    outcome = await stage.play("error_first", shape=shape)
    assert outcome.code == "upstream_error"
    assert outcome.error is not None
    assert not outcome.error.after_text
    assert len(stage.server.requests) == 1


async def test_row_9_finish_reason_error_is_a_failure(stage: Stage) -> None:
    outcome = await stage.play("finish", reason="error")
    assert (outcome.code, outcome.text(), outcome.finishes) == (
        "upstream_error",
        "Hello, world",
        [],
    )


async def test_row_9_an_unknown_finish_reason_ends_the_answer_with_a_note(stage: Stage) -> None:
    outcome = await stage.play("finish", reason="weary")
    assert outcome.finishes == [(0, FinishReason.OTHER)]
    assert "weary" in outcome.of(Finished)[0].note
    assert outcome.warnings == ["unknown_finish_reason"]


@pytest.mark.parametrize(
    ("row", "name", "text"),
    [
        (11, "eof_midway", "Half an answer"),
        (12, "done_without_finish", "Hello, world"),
        (13, "cut_midway", "Half an answer"),
        (13, "reset_midway", "Half an answer"),
    ],
)
async def test_an_answer_without_its_end_is_interrupted_and_not_sent_again(
    stage: Stage, row: int, name: str, text: str
) -> None:
    outcome = await stage.play(name)
    assert (outcome.code, outcome.text(), outcome.finishes) == ("interrupted", text, [])
    assert outcome.error is not None
    assert outcome.error.retryable
    assert outcome.error.after_text
    assert len(stage.server.requests) == 1


async def test_row_12_a_server_known_to_send_no_finish_reason_may_end_with_done(
    stage: Stage,
) -> None:
    stage.server.script("done_without_finish")
    outcome = await stage.ask(finish_reason_required=False)
    assert_good(outcome)
    assert outcome.of(Finished)[0].note


async def test_row_12_even_such_a_server_must_say_done(stage: Stage) -> None:
    stage.server.script("eof_midway")
    assert (await stage.ask(finish_reason_required=False)).code == "interrupted"


async def test_row_13_bytes_that_are_no_chunk_break_the_answer_off(stage: Stage) -> None:
    outcome = await stage.play("bad_chunk", IMPATIENT)
    assert isinstance(outcome.error, Interrupted)
    assert outcome.text() == "Half an answer"


async def test_row_15_unusual_separators_are_kept_byte_for_byte(stage: Stage) -> None:
    assert_good(await stage.play("unicode_separators"), SEPARATORS)


async def test_row_16_characters_cut_in_two_are_joined(stage: Stage) -> None:
    assert_good(await stage.play("split_characters"), ACCENTS)


async def test_row_16_bytes_that_are_no_utf8_become_a_replacement_character(stage: Stage) -> None:
    assert_good(await stage.play("bad_utf8"), "Caf\ufffd!")


async def test_row_16_escaped_halves_of_a_character_never_crash(stage: Stage) -> None:
    assert_good(await stage.play("half_surrogates"), "a\ufffd\ufffdb")


async def test_row_19_an_event_named_error_is_a_failure(stage: Stage) -> None:
    outcome = await stage.play("named_error")
    assert (outcome.code, outcome.text()) == ("upstream_error", "Half an answer")


async def test_row_19_blanks_ahead_of_the_stream_do_not_matter(stage: Stage) -> None:
    assert_good(await stage.play("blanks"))


async def test_row_21_a_huge_event_cuts_the_answer_at_the_limit(stage: Stage) -> None:
    outcome = await stage.play("huge_event")
    assert (outcome.error, outcome.text()) == (None, "Hello")
    assert outcome.finishes == [(0, FinishReason.LENGTH)]
    assert "limit" in outcome.of(Finished)[0].note


async def test_row_21_an_endless_answer_is_cut_and_the_connection_closed(stage: Stage) -> None:
    stage.server.script("endless")
    outcome = await stage.ask(limits=Limits(answer_bytes=20_500))
    assert len(outcome.text()) == 20_500
    assert outcome.finishes == [(0, FinishReason.LENGTH)]
    await stage.server.until_idle()


async def test_row_21_an_endless_answer_is_cut_when_its_time_is_over(stage: Stage) -> None:
    stage.server.script("endless", size=1, pause=0.01)
    outcome = await stage.ask(timeouts=Timeouts(total=0.2))
    assert outcome.finishes == [(0, FinishReason.LENGTH)]


async def test_row_22_a_long_line_in_small_pieces_is_read(stage: Stage) -> None:
    assert_good(await stage.play("long_line", size=50_000), "x" * 50_000)


async def test_row_23_we_ask_for_no_compression(stage: Stage) -> None:
    await stage.ask()
    assert stage.server.requests[0].headers["accept-encoding"] == "identity"


async def test_row_23_limits_hold_after_decompression(stage: Stage) -> None:
    stage.server.script("bomb", megabytes=30)
    outcome = await stage.ask(limits=Limits(body_bytes=2_000_000))
    assert outcome.finishes == [(0, FinishReason.LENGTH)]


async def test_row_23_a_compression_that_we_do_not_know_is_unreadable(stage: Stage) -> None:
    assert (await stage.play("compressed", encoding="br")).code == "unreadable"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
    ],
)
async def test_row_24_each_usual_finish_reason_is_kept_apart(
    stage: Stage, reason: str, expected: FinishReason
) -> None:
    assert (await stage.play("finish", reason=reason)).finishes == [(0, expected)]


async def test_row_24_a_tool_call_is_explained(stage: Stage) -> None:
    assert "tool" in (await stage.play("tool_call")).of(Finished)[0].note


async def test_row_25_interleaved_choices_are_kept_apart(stage: Stage) -> None:
    stage.server.script("two_choices")
    outcome = await stage.ask(n=2)
    assert (outcome.text(0), outcome.text(1)) == ("one two three", "un deux trois")
    assert outcome.finishes == [(1, FinishReason.STOP), (0, FinishReason.LENGTH)]


async def test_row_25_a_choice_that_was_not_asked_for_is_ignored(stage: Stage) -> None:
    outcome = await stage.play("two_choices")
    assert (outcome.text(0), outcome.text(1)) == ("one two three", "")
    assert "unexpected_choice" in outcome.warnings


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_row_26_reasoning_never_mixes_with_the_answer(stage: Stage, name: str) -> None:
    outcome = await stage.play("reasoning", field=name)
    assert (outcome.reasoning, outcome.text()) == ("Let me think.", "Hello, world")


async def test_row_27_parts_of_a_list_are_joined(stage: Stage) -> None:
    assert_good(await stage.play("parts"), "Hello, world!")


async def test_row_27_repeated_text_is_not_guessed_away(stage: Stage) -> None:
    assert_good(await stage.play("repeats"), "HaHaHa")


async def test_row_28_a_line_that_is_no_json_is_counted_and_skipped(stage: Stage) -> None:
    assert (await stage.play("garbage_line")).warnings == ["unreadable_line"]


async def test_row_28_a_stream_of_nothing_else_is_unreadable(stage: Stage) -> None:
    assert (await stage.play("all_garbage")).code == "unreadable"


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
    assert outcome.events[0] == Retrying("rate_limited", waited, 2)


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
