"""Which pages may open the socket: the portal's own, compared whole."""

from typing import Any

import pytest
from pytest_django import Settings

from conversations.origins import is_ours

HOST = "chat.example:8443"


@pytest.fixture(autouse=True)
def _hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["chat.example", "[::1]", ".team.example", "localhost"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://proxy.example"]


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("https://chat.example:8443", HOST, True),
        ("http://chat.example:8443", HOST, False),
        ("https://chat.example", "chat.example", True),
        ("https://chat.example:443", "chat.example", True),
        ("https://chat.example", "chat.example:443", True),
        ("http://chat.example", "chat.example:80", False),
        ("HTTPS://CHAT.EXAMPLE:8443", HOST, True),
        ("https://chat.example:8443", "CHAT.example:8443", True),
        ("http://[::1]:8000", "[::1]:8000", False),
        ("https://a.team.example", "a.team.example", True),
        ("https://proxy.example", "chat.example", False),
        ("https://proxy.example", "whatever.example", False),
    ],
)
def test_the_portals_own_pages_may(origin: str, host: Any, secure: bool) -> None:
    assert is_ours(origin, host=host, secure=secure)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://chat.example:8443",
        "https://chat.example",
        "https://chat.example:443",
        "https://chat.example:84430",
        "https://chat.example:99999",
        "https://chat.example:x",
        "https://chat.example:",
        "https://evil.example:8443",
        "https://chat.example.evil.example:8443",
        "https://evilchat.example:8443",
        "https://chat.example:8443@evil.example",
        "https://chat.example:8443@evil.example:8443",
        "https://evil.example:8443#chat.example:8443",
        "https://evil.example:8443/chat.example:8443",
        "https://user@chat.example:8443",
        "https://user:pass@chat.example:8443",
        "https://chat.example:8443/path",
        "https://chat.example:8443?query",
        "https://chat.example:8443#fragment",
        "https://chat.example.:8443",
        "//chat.example:8443",
        "chat.example:8443",
        "wss://chat.example:8443",
        "ftp://chat.example:8443",
        "https://[::1]:8443",
        "https://[::1",
        "https://chat.example:8443 https://chat.example:8443",
        "https://proxy.example.evil.example",
        "http://proxy.example",
        "https://proxy.example:444",
        "https://sub.proxy.example",
        "https://chat\uff0eexample:8443",
    ],
)
def test_no_other_page_may(origin: str) -> None:
    assert not is_ours(origin, host=HOST, secure=True)


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:8443", "chat.example:x", "a b"])
def test_a_page_of_a_host_that_is_not_ours_may_not_even_when_both_agree(host: str) -> None:
    assert not is_ours(f"https://{host}", host=host, secure=True)
