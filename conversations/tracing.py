"""Traces by OpenTelemetry: a request, an answer from its claim to its end, what it asked upstream.

Off unless one of OTEL's own variables says where they go. Spans hold names and codes of ours and
ids, and neither words nor the text of exceptions, which may quote some.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

T = TypeVar("T")

DESTINATIONS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_tracer: "Tracer | None" = None


def begin() -> None:
    """Once per process, at its start: importing takes long. Raises ImproperlyConfigured."""
    global _tracer  # noqa: PLW0603  one for the process
    asked_by = next((name for name in DESTINATIONS if os.environ.get(name)), None)
    if asked_by is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{asked_by} is set, but OpenTelemetry is not installed: uv sync --group otel"
        ) from error
    os.environ.setdefault("OTEL_SERVICE_NAME", "chatweb")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("chatweb")


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except BaseException as error:
            note(error=str(getattr(error, "code", type(error).__name__)))
            raise


async def within(name: str, work: Callable[[], Awaitable[T]], **attributes: str | int) -> T:
    """Calls it inside: a task that is cancelled before it begins leaves nothing unawaited."""
    with span(name, **attributes):
        return await work()


def note(**attributes: str | int) -> None:
    """Adds to the span that is being written, if there is one."""
    if _tracer is None:
        return
    from opentelemetry import trace

    trace.get_current_span().set_attributes(attributes)
