"""Spans, as a collector would get them; and that none are made unless somebody asked."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from conversations import tracing
from conversations.models import Conversation, User
from conversations.relay import Relay
from tests.relays import ask, db, settled
from tests.viewers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = "canary words that Alice wrote"


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


async def spans_of_an_answer(
    collected: InMemorySpanExporter, conversation: Conversation, alice: User, text: str
) -> tuple[ReadableSpan, ReadableSpan]:
    await settled(await ask(conversation, alice, text))
    await until(lambda: len(collected.get_finished_spans()) == 2)
    upstream, generation = collected.get_finished_spans()
    assert (upstream.name, generation.name) == ("upstream", "generation")
    return upstream, generation


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_it_is_off_until_a_variable_says_where_traces_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing.DESTINATIONS:
        monkeypatch.delenv(name, raising=False)
    tracing.begin()
    assert tracing._tracer is None
    with tracing.span("nothing"):
        tracing.note(said="nothing")


def test_what_is_asked_for_and_not_installed_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(
        __import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    with pytest.raises(ImproperlyConfigured, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        tracing.begin()


def test_a_request_is_a_span_with_its_view_and_status(
    collected: InMemorySpanExporter, alice: User
) -> None:
    Client().get("/c/canary-id/?q=canary")
    [span] = collected.get_finished_spans()
    assert attributes(span) == {"request_id": "", "view": "thread", "status": 302}


async def test_an_answer_and_what_it_asked_upstream_are_one_trace(
    collected: InMemorySpanExporter, relay: Relay, conversation: Conversation, alice: User
) -> None:
    upstream, generation = await spans_of_an_answer(collected, conversation, alice, "Hello")
    assert generation.parent is None
    assert upstream.parent is not None
    assert upstream.parent.span_id == generation.context.span_id
    said = attributes(generation)
    assert (said["state"], said["outcome"]) == ("done", "stop")
    assert len(said["generation"]) == 20


async def test_a_failure_is_a_code_and_quotes_nobody(
    collected: InMemorySpanExporter, relay: Relay, conversation: Conversation, alice: User
) -> None:
    asked = f"#scenario quoting\n{WORDS}"
    upstream, generation = await spans_of_an_answer(collected, conversation, alice, asked)
    assert attributes(upstream) == {"error": "bad_request"}
    assert attributes(generation)["outcome"] == "bad_request"
    for span in (upstream, generation):
        assert WORDS not in span.to_json()
        assert not span.events


async def test_a_page_that_fails_leaves_no_text_of_its_failure(
    collected: InMemorySpanExporter,
) -> None:
    def failing() -> None:
        with tracing.span("request"):
            raise LookupError(WORDS)

    with pytest.raises(LookupError):
        await db(failing)
    [span] = collected.get_finished_spans()
    assert attributes(span) == {"error": "LookupError"}
    assert WORDS not in span.to_json()


async def test_what_is_cancelled_before_it_begins_leaves_nothing_behind() -> None:
    """Left unawaited it would be warned of, which fails here."""
    began = []

    async def work() -> None:
        began.append(True)

    task = asyncio.ensure_future(tracing.within("upstream", work))
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert began == []
