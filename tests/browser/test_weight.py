"""What a first visit to a conversation costs, as it comes over the wire."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from conversations.models import User
from tests.browser.rows import conversation_of
from tests.browser.thread import Visit, until_ready

KB = 1024
WITHOUT_FONTS = 60 * KB
SCRIPTS = 30 * KB
FONTS = 50 * KB


class Scales:
    """Bytes of everything that a page loads, as they were sent and without headers, by kind."""

    def __init__(self, page: Page) -> None:
        self.bytes: dict[str, int] = {}
        self.requests = 0
        self._begun: dict[object, tuple[str, int]] = {}
        debugger = page.context.new_cdp_session(page)
        debugger.on("Network.responseReceived", self._began)
        debugger.on("Network.loadingFinished", self._ended)
        debugger.send("Network.enable")
        debugger.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def _began(self, event: dict[str, Any]) -> None:
        headers = event["response"]["encodedDataLength"]
        self._begun[event["requestId"]] = (event["type"], headers)

    def _ended(self, event: dict[str, Any]) -> None:
        kind, headers = self._begun.get(event["requestId"], ("Other", 0))
        size = int(event["encodedDataLength"]) - headers
        self.requests += 1
        self.bytes[kind] = self.bytes.get(kind, 0) + size

    def of(self, *kinds: str) -> int:
        return sum(self.bytes.get(kind, 0) for kind in kinds)


def weigh(visit: Visit, alice: User, text: str) -> Scales:
    conversation = conversation_of(alice, ("How?", text))
    page = visit(alice, "/accounts/logout/")
    scales = Scales(page)
    page.goto(f"/c/{conversation.public_id}/")
    until_ready(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    return scales


def test_the_first_load_of_a_thread_is_light(
    visit: Visit, alice: User, record_property: Callable[[str, object], None]
) -> None:
    scales = weigh(visit, alice, "Some *words*, a list:\n\n- one\n- two\n")
    for kind, size in sorted(scales.bytes.items()):
        record_property(kind, size)
    record_property("requests", scales.requests)
    print(f"{scales.requests} requests, bytes: {scales.bytes}")
    fonts = scales.of("Font")
    assert sum(scales.bytes.values()) - fonts <= WITHOUT_FONTS
    assert scales.of("Script") <= SCRIPTS
    assert fonts <= FONTS


def test_the_face_for_code_comes_only_where_code_is(visit: Visit, alice: User) -> None:
    scales = weigh(visit, alice, "```python\nprint(1)\n```\n")
    assert scales.of("Font") > FONTS / 2
    assert sum(scales.bytes.values()) - scales.of("Font") <= WITHOUT_FONTS
