"""Where things are on the page of a conversation, and what people do with them."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from playwright.sync_api import Error, Locator, Page, Route, expect

from conversations.models import User


class Visit(Protocol):
    """Opens a page in a browser of its own, signed in as somebody or as nobody."""

    def __call__(self, person: User | None, path: str = "/", **options: Any) -> Page: ...


def until_ready(page: Page) -> None:
    """The page's scripts have taken hold."""
    expect(page.locator("html")).to_have_attribute("data-ready", re.compile("."))


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Of what the test itself is told while the page lives, which no locator shows."""
    for _ in range(500):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError("ten seconds were not enough")


def delay(page: Page, address: str, milliseconds: int) -> None:
    """Requests to this address take longer."""

    def wait(route: Route) -> None:
        # The test may be over before the request would have been sent.
        with suppress(Error):
            page.wait_for_timeout(milliseconds)
            route.continue_()

    page.route(address, wait)


def field(page: Page) -> Locator:
    return page.get_by_label("Message", exact=True)


def send(page: Page, text: str) -> None:
    """As people do: writes into the field and presses Enter."""
    field(page).fill(text)
    field(page).press("Enter")


def send_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Send", exact=True)


def stop_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Stop", exact=True)


def questions(page: Page) -> Locator:
    return page.locator("#messages > .person")


def answers(page: Page) -> Locator:
    return page.locator("#messages > .answer")


def answer(page: Page) -> Locator:
    """The last one."""
    return answers(page).last


def words(page: Page) -> Locator:
    """The text of the last answer."""
    return answer(page).locator("> .text")


def rows(page: Page) -> Locator:
    """The conversations in the sidebar."""
    return page.locator("#rows > .item")


def until_settled(page: Page) -> None:
    expect(page.locator("#messages > [data-live]")).to_have_count(0)
    expect(answer(page)).not_to_have_attribute("aria-busy", "true")


def for_anybody(page: Page) -> list[str]:
    """The same, without what tells readers their own messages."""
    return [tag.replace(' own"', '"') for tag in thread_html(page)]


def thread_html(page: Page) -> list[str]:
    """All messages as they stand, a list of tags; without what changes by itself."""
    html: str = page.locator("#messages").evaluate(
        """list => {
          const copy = list.cloneNode(true);
          for (const made of copy.querySelectorAll("[data-day], [data-unread]"))
            for (const name of ["data-day", "data-unread"]) made.removeAttribute(name);
          for (const time of copy.querySelectorAll("time")) time.replaceChildren();
          copy.normalize();
          return copy.innerHTML.replace(/\\s+/g, " ");
        }"""
    )
    # Blanks between the parts of an article mean nothing; those inside of texts stay.
    return [tag.rstrip() for tag in html.split("<")]
