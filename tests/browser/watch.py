"""What no page of ours may ever do, noted as it happens and told when the test is over."""

import re

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    WebError,
    WebSocket,
)

# Runs before any script of a page. Attacks call alert(); a page of ours never does.
MARKER = """
window.alert = window.prompt = window.confirm = (what) => console.error("__xss ran:", what);
document.addEventListener("securitypolicyviolation", (event) => {
  console.error("CSP report:", event.violatedDirective, event.blockedURI, event.sample);
});
"""


class Watch:
    """Over every context of a test. `wrong` is to be empty in the end."""

    def __init__(self, origin: str) -> None:
        self.wrong: list[str] = []
        self.requests: list[Request] = []
        self._origin = origin
        self._allowed: list[re.Pattern[str]] = []
        # What htmx writes of a request that a newer one overtook: that is as it should be.
        self.allow(r"htmx:(afterRequest|sendAbort)\b")

    def allow(self, pattern: str) -> None:
        """A complaint that belongs to what the test is about."""
        self._allowed.append(re.compile(pattern))

    def over(self, context: BrowserContext) -> None:
        context.add_init_script(MARKER)
        context.on("console", self._said)
        context.on("weberror", self._failed)
        context.on("dialog", self._asked)
        context.on("request", self._requested)
        context.on("response", self._answered)
        context.on("page", self._opened)

    def unexpected(self) -> list[str]:
        return [
            line for line in self.wrong if not any(known.search(line) for known in self._allowed)
        ]

    def _opened(self, page: Page) -> None:
        page.on("websocket", self._connected)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _failed(self, error: WebError) -> None:
        self.wrong.append(f"uncaught: {error.error}")

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.type} {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith((f"{self._origin}/", "data:", "blob:")):
            self.wrong.append(f"off origin: {request.url}")

    def _connected(self, socket: WebSocket) -> None:
        if not socket.url.startswith(f"{self._origin.replace('http', 'ws', 1)}/"):
            self.wrong.append(f"off origin: {socket.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.wrong.append(f"{response.status}: {response.url}")
