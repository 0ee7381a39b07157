"""The relay as a job of its process."""

import asyncio
import logging

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as AnyDatabaseError

from conversations import actions, catalogue
from conversations.relay.relay import Relay
from conversations.upstream import Client, Upstream, UpstreamError

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
    """Asks every upstream for its models: once, or every now and then where the settings leave
    them open."""
    clients: dict[Upstream, Client] = {}
    asked: set[Upstream] = set()
    try:
        while True:
            for server in catalogue.upstreams().values():
                if server in asked and not catalogue.asks_the_server(server.name):
                    continue
                client = clients.setdefault(server, Client(server))
                if await _learn(server, client):
                    asked.add(server)
            await asyncio.sleep(settings.UPSTREAM_MODELS_SECONDS)
    finally:
        for client in clients.values():
            await client.aclose()


async def _learn(server: Upstream, client: Client) -> bool:
    """Whether it answered. The rows may have to wait for the database; the list does not."""
    listed: list[str] = []
    try:
        listed = (await client.models())[: settings.MODELS_LISTED]
    except UpstreamError as error:
        level = logging.WARNING if catalogue.asks_the_server(server.name) else logging.INFO
        log.log(level, "asking %s for its models: %s", server.name, error.code)
    if listed and catalogue.asks_the_server(server.name):
        catalogue.learn(listed, server.name)
    try:
        await database_sync_to_async(actions.catalogue.fill)(upstream=server.name, listed=listed)
    except AnyDatabaseError as error:
        log.warning("the models of %s could not be noted: %s", server.name, type(error).__name__)
        return False
    return bool(listed)
