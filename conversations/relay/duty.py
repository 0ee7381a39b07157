"""The relay as a job of its process."""

import asyncio
import logging

from django.conf import settings

from conversations import catalogue
from conversations.relay.relay import Relay
from conversations.upstream import Client, UpstreamError

log = logging.getLogger(__name__)


class Duty:
    """Relays one after the other: each failure is followed by a new one, under a new name."""

    def __init__(self) -> None:
        self._relay: Relay | None = None
        self._is_draining = False

    async def run(self) -> None:
        self._relay = Relay()
        self._relay.is_draining = self._is_draining
        await self._relay.run()

    async def drain(self) -> None:
        """Takes on nothing more; returns when all answers have ended, or no later than set."""
        self._is_draining = True
        if self._relay is not None:
            await self._relay.drain(settings.RELAY_DRAIN_SECONDS)


async def learn_models() -> None:
    """Asks the upstream for its models every now and then, where the settings leave them open."""
    client: Client | None = None
    try:
        while True:
            server = catalogue.upstream()
            if server is not None and catalogue.asks_the_server():
                client = client or Client(server)
                try:
                    catalogue.learn(await client.models())
                except UpstreamError as error:
                    log.warning("asking %s for its models: %s", server.name, error.code)
            await asyncio.sleep(settings.UPSTREAM_MODELS_SECONDS)
    finally:
        if client is not None:
            await client.aclose()
