"""What an exchange does with what it could not send, over a layer that fails when it is told to."""

import asyncio
import contextlib
from typing import Any

from pytest_django import Settings
from redis.exceptions import ConnectionError as LayerGone

from conversations import events
from conversations.events.exchange import Exchange
from tests.hubs import frame
from tests.viewers import until


class Layer:
    """Brings this process's own beats back, and notes the rest."""

    def __init__(self) -> None:
        self.is_broken = False
        self.sent: list[dict[str, Any]] = []
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.loses_beats = 0

    async def new_channel(self) -> str:
        return "own"

    async def group_add(self, _group: str, _channel: str) -> None:
        self._check()

    async def group_discard(self, _group: str, _channel: str) -> None:
        self._check()

    async def group_send(self, _group: str, message: dict[str, Any]) -> None:
        self._check()
        if message["type"] != "beat":
            self.sent.append(message)
        elif self.loses_beats:
            self.loses_beats -= 1
        else:
            self._incoming.put_nowait(message)

    async def receive(self, _channel: str) -> dict[str, Any]:
        return await self._incoming.get()

    async def flush(self) -> None:
        self._incoming = asyncio.Queue()

    def _check(self) -> None:
        if self.is_broken:
            raise LayerGone("gone")


class Returns:
    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1


async def hear(_envelope: events.Envelope) -> None:
    """Nobody else is there."""


@contextlib.asynccontextmanager
async def running(layer: Layer, settings: Settings) -> Any:
    settings.EXCHANGE_BEAT_SECONDS, settings.EXCHANGE_SILENCE_SECONDS = 0.05, 0.5
    exchange, returns = Exchange(layer), Returns()
    task = asyncio.ensure_future(exchange.run(hear, returns))
    await until(lambda: exchange.is_up)
    yield exchange, returns
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def row(number: int) -> events.Envelope:
    return events.Envelope.around(events.RowChanged("alice", f"c{number}", "<li>"))


async def test_what_has_no_number_is_sent_when_the_layer_is_back_and_frames_are_not(
    settings: Settings,
) -> None:
    """Nobody would notice that a row of the list is missing; of a frame everybody does."""
    layer = Layer()
    async with running(layer, settings) as (exchange, _returns):
        layer.is_broken = True
        for number in range(3):
            exchange.publish(row(number))
            exchange.publish(events.Envelope.around(frame("c1", number)))
        await until(lambda: not exchange.is_up)
        layer.is_broken = False
        await until(lambda: len(layer.sent) >= 3)
        await until(lambda: exchange.is_up)
        kinds = [(message["topic"], message["skip"]) for message in layer.sent]
    assert kinds == [("user.alice", False)] * 3


async def test_the_outbox_is_as_long_as_set(settings: Settings) -> None:
    settings.EXCHANGE_OUTBOX = 64
    exchange = Exchange(Layer())
    for number in range(100):
        exchange.publish(row(number))
    assert exchange.dropped == 36


async def test_a_beat_that_is_missing_means_that_more_is(settings: Settings) -> None:
    layer = Layer()
    async with running(layer, settings) as (_exchange, returns):
        assert returns.count == 1
        layer.loses_beats = 1
        await until(lambda: returns.count == 2)
