"""Which pages may open the socket: those of the portal itself, by scheme, host and port."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class SameOrigin:
    """Refuses the handshake (403) unless `Origin` is the address under which the page reached us,
    or one of TRUSTED_ORIGINS (a proxy that ends TLS). Browsers send it always, so a handshake
    without one is refused as well. RFC 6454, RFC 6455 section 10.2."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not is_ours(
            headers.get(b"origin", ""),
            host=headers.get(b"host", ""),
            secure=scope.get("scheme") == "wss" or _proxy_says_https(headers),
        ):
            await send({"type": "websocket.close", "code": 4403})
            return
        await self.app(scope, receive, send)


def is_ours(origin: str, *, host: str, secure: bool) -> bool:
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    domain, _port = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    try:
        asked, here = urlsplit(origin), urlsplit(f"{'https' if secure else 'http'}://{host}")
        # An origin is nothing but these; a path or a user name is no browser's doing.
        is_bare = origin.lower() == f"{asked.scheme}://{asked.netloc}".lower()
        return is_bare and asked.username is None and _whole(asked) == _whole(here)
    except ValueError:  # a port that is none
        return False


def _whole(url: SplitResult) -> tuple[str, str, int]:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    return url.scheme, url.hostname or "", port


def _proxy_says_https(headers: dict[bytes, str]) -> bool:
    return settings.BEHIND_PROXY and headers.get(b"x-forwarded-proto") == "https"
