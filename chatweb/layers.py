"""What REDIS_URL means."""

from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

# Pub/sub and not channels_redis' core: for each message core wants 2.4 times the CPU to send and 4
# times to receive, drops what exceeds its capacity without a word, writes (which a full Redis
# refuses) and keeps its groups in keys (which a flushed Redis forgets).
BACKEND = "channels_redis.pubsub.RedisPubSubChannelLayer"


class Connections:
    """How many this process has made, so that one that was made anew is noticed."""

    def __init__(self) -> None:
        self.made = 0

    async def connect(self, connection: Any) -> None:
        """For Redis' client, in place of its own."""
        self.made += 1
        await connection.on_connect()


connections = Connections()


def configured(urls: list[str], *, timeout: float) -> dict[str, Any]:
    """Channels' settings; none without Redis, where a process is alone. `timeout` is in seconds.

    Raises ImproperlyConfigured.
    """
    for url in urls:
        if urlsplit(url).scheme not in {"redis", "rediss"}:
            raise ImproperlyConfigured("REDIS_URL must be a redis:// or rediss:// address.")
    if not urls:
        return {}
    hosts = [
        {"address": url, "redis_connect_func": connections.connect, **_patience(timeout)}
        for url in urls
    ]
    return {"default": {"BACKEND": BACKEND, "CONFIG": {"hosts": hosts, "prefix": "chatweb."}}}


def client(url: str, *, timeout: float) -> Any:
    """Of one server, for what is no message: on the loop that first uses it."""
    from redis.asyncio import Redis

    return Redis.from_url(url, **_patience(timeout))


def _patience(timeout: float) -> dict[str, Any]:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # We try again ourselves, with what is new by then.
        "retry": Retry(NoBackoff(), 0),
    }
