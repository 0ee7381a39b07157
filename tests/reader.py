"""A page without a browser: what it has fetched, brought up to date by what it is told, as
static/js/live.js, sync.js and queue.js do it. Growing texts are other tests' matter."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404

from conversations import access, events, fragments
from conversations.models import Conversation, User
from conversations.views import thread_page
from tests.hubs import Heard, mailbox

ARTICLE = re.compile(
    r'<article id="m-([\w-]+)"[^>]*? data-version="([^"]*)".*?</article>', re.DOTALL
)
# Not settled: queued, running, or stopped with its last words on their way.
GROWS = re.compile(r"(\d+)-[a-z]+-0\.")
REVISION = re.compile(r' data-revision="(\d+)"')


@dataclass(frozen=True)
class Shown:
    """An article. Of one that grows only by what: frames bring its words."""

    version: str
    html: str

    @classmethod
    def all_in(cls, html: str) -> "dict[str, Shown]":
        found = {}
        for match in ARTICLE.finditer(html):
            if grows := GROWS.match(match[2]):
                found[match[1]] = cls(grows[1], "")
            else:
                found[match[1]] = cls(match[2], " ".join(match[0].split()))
        return found


@dataclass
class Thread:
    """What a page shows; `queue` without the revision as of which it is."""

    revision: int
    articles: dict[str, Shown]
    queue: str
    queue_revision: int = field(compare=False)

    @classmethod
    def fetch(cls, user: User, public_id: str) -> "Thread":
        """Raises Http404."""
        row = access.conversation(user, public_id, to="read")
        html = "".join(fragments.article(one) for one in thread_page.messages(row)["articles"])
        return cls(row.revision, Shown.all_in(html), *_queue(fragments.queue(row)))


class Reader:
    """Somebody's page of a conversation, from `open` until they lose the right to read it."""

    def __init__(
        self, user: User, conversation: Conversation, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.user = user
        self.conversation = conversation.public_id
        self.thread: Thread | None = None
        self.told = 0  # how much of what it was sent it has looked at
        self._heard = Heard()
        self._loop = loop
        self._mailbox: events.Mailbox | None = None

    def open(self) -> None:
        """Joins first and reads second. Raises Http404."""
        self.close()
        self._mailbox = mailbox(self._heard, self.user.public_id)
        topic = events.conversation_topic(self.conversation)
        self._loop.run_until_complete(events.hub.open(self._mailbox))
        self._loop.run_until_complete(events.hub.join(topic, self._mailbox))
        try:
            self.thread = Thread.fetch(self.user, self.conversation)
        except Http404:
            self.close()
            raise

    def close(self) -> None:
        if self._mailbox is not None:
            events.hub.shut(self._mailbox)
        self._mailbox = self.thread = None
        self._heard.messages.clear()
        self.told = 0

    @property
    def waiting(self) -> int:
        """How much it was sent and has not looked at."""
        return len(self._heard.messages) - self.told

    def hear(self, most: int = 1_000_000) -> None:
        while self.thread is not None and self.waiting and most:
            self.told += 1
            most -= 1
            self._take(self.thread, self._heard.messages[self.told - 1])

    def lose(self) -> None:
        """The line broke: what was on its way is lost, and the page comes back."""
        self.told = len(self._heard.messages)
        if self.thread is not None:
            self._watching(self.thread)

    # --- static/js/live.js ---

    def _watching(self, thread: Thread) -> None:
        try:
            row = access.conversation(self.user, self.conversation, to="read")
        except Http404:
            self.close()
            return
        if row.revision != thread.revision:
            self._fetch()

    def _take(self, thread: Thread, message: dict[str, Any]) -> None:
        if message.get("c") != self.conversation:
            return
        match message["t"]:
            case "added" if message["rev"] > thread.revision:
                for name, shown in Shown.all_in(message["html"]).items():
                    old = thread.articles.get(name)
                    if old is None or old.version != shown.version:
                        thread.articles[name] = shown
                self._seen(thread, message["rev"])
            case "settled" if message["rev"] > thread.revision:
                if message["m"] in thread.articles:
                    thread.articles |= Shown.all_in(message["html"])
                    self._seen(thread, message["rev"])
                else:
                    self._fetch()
            case "queue":
                queue, revision = _queue(message["html"])
                if revision >= thread.queue_revision:
                    thread.queue, thread.queue_revision = queue, revision
                self._seen(thread, message["rev"])
            case "changed":
                self._fetch()
            case "gone":
                self.close()

    def _seen(self, thread: Thread, revision: int) -> None:
        if revision > thread.revision + 1:
            self._fetch()
        else:
            thread.revision = max(thread.revision, revision)

    def _fetch(self) -> None:
        """What is there already and has not changed stays as it stands."""
        try:
            fresh = Thread.fetch(self.user, self.conversation)
        except Http404:
            self.close()
            return
        if self.thread is not None:
            assert fresh.revision >= self.thread.revision, "the revision went back"
            for name, shown in fresh.articles.items():
                old = self.thread.articles.get(name)
                if old is not None and old.version == shown.version:
                    fresh.articles[name] = old
        self.thread = fresh


def _queue(html: str) -> tuple[str, int]:
    found = REVISION.search(html)
    assert found is not None, html
    return " ".join(REVISION.sub("", html).split()), int(found[1])
