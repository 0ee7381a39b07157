"""The numbers of this process, as Prometheus reads them.

Each process has its own; whoever collects them adds them up. Labels are names from our code, never
what people or model servers say, and nothing counts people.
"""

import asyncio
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from conversations import events, health
from conversations.counts import Histogram, counts

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import HistogramMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def page() -> bytes:
    """All metrics in Prometheus' text format."""
    # 0.1 s that only those spend who collect metrics, and not on the event loop.
    await asyncio.to_thread(import_module, "prometheus_client.exposition")
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # CPU, memory, file descriptors; no versions
    _Ours(await health.report(), registry)
    return generate_latest(registry)


class _Ours:
    def __init__(self, report: health.Report, registry: "CollectorRegistry") -> None:
        self._report = report
        registry.register(self)

    def collect(self) -> Iterator["Metric"]:
        yield from _answers()
        yield from _sockets()
        yield from _calls()
        yield from _requests()
        yield from _parts(self._report)


def _answers() -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily(
        "chatweb_generations_running", "Answers that this process reads", value=counts.running
    )
    ended = CounterMetricFamily(
        "chatweb_generations_ended", "Answers by how they ended", labels=["state", "outcome"]
    )
    for (state, outcome), number in sorted(counts.ended.copy().items()):
        ended.add_metric([state, outcome], number)
    yield ended
    yield _histogram(
        "chatweb_first_token_seconds", "From the question to the first word", counts.first_token
    )
    yield _histogram(
        "chatweb_generation_seconds", "From the question to the end of the answer", counts.duration
    )
    errors = CounterMetricFamily(
        "chatweb_upstream_errors", "What model servers did, retries included", labels=["code"]
    )
    for code, number in sorted(counts.upstream_errors.copy().items()):
        errors.add_metric([code], number)
    yield errors
    yield _histogram(
        "chatweb_frame_delay_seconds",
        "From having read words upstream to having handed them to the sockets of this process",
        counts.delay,
    )
    yield CounterMetricFamily(
        "chatweb_keyframes", "Answers so far that were sent whole", value=counts.keyframes
    )


def _sockets() -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    mailboxes = events.hub.sockets
    behind = sum(mailbox.behind_since is not None for mailbox in mailboxes)
    yield GaugeMetricFamily("chatweb_sockets_open", "Pages that listen", value=len(mailboxes))
    yield GaugeMetricFamily("chatweb_sockets_behind", "Of those, too slow at present", value=behind)
    yield CounterMetricFamily(
        "chatweb_mailbox_skipped", "Frames that slow pages did not get", value=counts.skipped
    )
    exchange = events.hub.exchange
    if exchange is not None:
        yield CounterMetricFamily(
            "chatweb_exchange_dropped", "Events for which there was no room", value=exchange.dropped
        )
        yield GaugeMetricFamily(
            "chatweb_exchange_age_seconds",
            "Since this process last heard itself in the channel layer",
            value=exchange.age,
        )


def _calls() -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily(
        "chatweb_calls_running", "Of programs, by this process", value=counts.calls_running
    )
    ended = CounterMetricFamily(
        "chatweb_calls_ended", "Calls of programs by how they ended", labels=["outcome"]
    )
    for outcome, number in sorted(counts.calls.copy().items()):
        ended.add_metric([outcome], number)
    yield ended
    yield _histogram(
        "chatweb_call_first_token_seconds", "From a call to its first word", counts.call_first_token
    )
    yield _histogram("chatweb_call_seconds", "From a call to its end", counts.call_time)


def _requests() -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily

    requests = CounterMetricFamily(
        "chatweb_http_requests", "Answered requests", labels=["view", "status"]
    )
    for (view, status), number in sorted(counts.requests.copy().items()):
        requests.add_metric([view, status], number)
    yield requests
    yield _histogram("chatweb_http_request_seconds", "To answer them", counts.request_time)
    yield CounterMetricFamily(
        "chatweb_database_errors", "Work that the database refused", value=counts.database_errors
    )


def _parts(report: health.Report) -> Iterator["Metric"]:
    """The same for all processes: look at the highest or the latest, do not add these up."""
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily("chatweb_queue_length", "Answers that wait", value=report.queued)
    up = GaugeMetricFamily("chatweb_part_up", "1 if it works, as in /readyz", labels=["part"])
    for name, part in report.parts.items():
        if part.state != health.NOT_USED:
            up.add_metric([name], int(part.state == health.UP))
    yield up
    yield GaugeMetricFamily("chatweb_ready", "1 if /readyz says 200", value=int(report.is_fit))


def _histogram(name: str, documentation: str, counted: Histogram) -> "HistogramMetricFamily":
    from prometheus_client.core import HistogramMetricFamily

    buckets = []
    total = 0
    names = [*(repr(float(bound)) for bound in counted.bounds), "+Inf"]
    for name_of_bound, number in zip(names, counted.counts, strict=True):
        total += number
        buckets.append((name_of_bound, total))
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=counted.sum)
