"""What people read of a page: its text and the attributes that browsers show or speak."""

import re
from html.parser import HTMLParser

SHOWN = {"title", "alt", "placeholder", "aria-label", "aria-description", "aria-valuetext", "label"}
SILENT = {"script", "style", "code"}  # what stands in code is nobody's language
WORDS = re.compile(r"[^\W\d_]{2,}")


class Visible(HTMLParser):
    """`texts` in their order, `attributes` apart. Of `<template id="words">` every `data-` counts:
    the page's scripts say those."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        spoken = {name: value for name, value in given.items() if name in SHOWN}
        if given.get("type") in {"submit", "button", "reset"}:
            spoken["value"] = given.get("value", "")
        if given.get("id") == "words":
            spoken = {name: value for name, value in given.items() if name.startswith("data-")}
        self.attributes += spoken.values()
        self._silent += tag in SILENT

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


def visible(html: str) -> list[str]:
    """The whole text, for a translation may have elements within it, and each attribute."""
    page = Visible()
    page.feed(html)
    page.close()
    return ["\n".join(page.texts), *page.attributes]
