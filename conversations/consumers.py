"""The page's socket: authorise, join, catch up, pass on. It changes no rows.

Codes with which we close, beside the standard's:

    4401  not signed in (any more)         4403  no access (any more) to the conversation
    4408  too far behind for too long      4429  more sockets than one person may have
    4400  sent what no page of ours sends
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from asgiref.typing import WebSocketReceiveEvent
from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.http import Http404

from chatweb import logs
from conversations import access, events, fragments
from conversations.counts import counts
from conversations.models import User
from conversations.presence import presence
from conversations.reading import reading

T = TypeVar("T")


LARGEST = 2**63  # that the column of revisions holds, and one more


class PageConsumer(AsyncConsumer):  # type: ignore[misc]  # Channels has no types
    """One socket a page: the person's own events, and at most one conversation's."""

    # No layer has this name. With one, Channels would subscribe each socket to a channel of its
    # own, which nobody writes to and which cannot be had while Redis is away: the hub's exchange
    # listens for all sockets of the process.
    channel_layer_alias = ""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """However it ends: an error or a cancellation brings no `websocket.disconnect`, and a
        mailbox left behind would be written to for ever and count among the person's sockets."""
        self._mailbox: events.Mailbox | None = None
        self._conversation = ""
        self._closed = False
        try:
            await super().__call__(scope, receive, send)
        except AnyDatabaseError:
            counts.database_error()
            raise
        finally:
            self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Channels' own closes stale database connections before each message, which costs a
        thread hop; here that happens around each piece of work with the database alone."""
        match message["type"]:
            case "websocket.connect":
                await self._connect()
            case "websocket.receive":
                await self._receive(message)  # type: ignore[arg-type]
            case "websocket.disconnect":
                raise StopConsumer

    # --- What the page does ---

    async def _connect(self) -> None:
        self._asked: dict[str, float] = {}
        self._typed = 0.0
        self._session_key: str = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME, "")
        session = await _read(access.session, self._session_key)
        # Accepting first: a browser tells its page nothing of a refused handshake.
        await self.send({"type": "websocket.accept"})
        if session is None:
            await self.hang_up(4401)
            return
        user, lasts = session
        if (
            len(events.hub.mailboxes(events.user_topic(user.public_id)))
            >= settings.SOCKETS_PER_USER
        ):
            await self.hang_up(4429)
            return
        logs.person.set(lambda: user.public_id)
        self._mailbox = events.Mailbox(
            self,
            user=user.public_id,
            session_hash=hashlib.sha256(self._session_key.encode()).hexdigest(),
            frames=settings.MAILBOX_FRAMES,
            size=settings.MAILBOX_CHARACTERS,
            person=fragments.person(user),
            lasts=lasts,
        )
        await events.hub.open(self._mailbox)
        await events.pulse.ensure()
        if await _read(access.person_of_session, self._session_key) is None:
            await self.hang_up(4401)

    async def _receive(self, message: WebSocketReceiveEvent) -> None:
        if self._mailbox is None or self._closed:
            return
        self._mailbox.heard = time.monotonic()
        match _parsed(message.get("text")):
            case {"t": "ack", "n": int(received)}:
                await self._mailbox.acknowledge(received)
            case {"t": "keys"}:
                await self._pause("keys")
                await self.catch_up()
            case {"t": "watch", "c": str(public_id)}:
                await self._pause("watch")
                await self._watch(public_id)
            case {"t": "read", "n": int(revision)} if 0 < revision < LARGEST:
                await self._pause("read")
                if self._conversation:  # the person's right is looked up where it is put away
                    reading.note(self._mailbox.user, self._conversation, revision)
            case {"t": "look", "on": bool(is_seen)}:
                self._mailbox.is_seen = is_seen
                self._touch()
            case {"t": "typing", "on": bool(goes_on)}:
                await self._typing(self._mailbox, goes_on=goes_on)
            case _:
                await self.hang_up(4400)

    async def _pause(self, question: str) -> None:
        """Between two questions of one kind: each costs us more than who asks. Waiting, a socket
        reads nothing, and the server closes one that goes on sending."""
        due = self._asked.get(question, 0) + settings.SOCKET_PAUSE_SECONDS
        rest = due - time.monotonic()
        if rest > 0:
            await asyncio.sleep(rest)
        self._asked[question] = time.monotonic()

    def _leave(self) -> None:
        self._closed = True
        if self._mailbox is not None:
            events.hub.shut(self._mailbox)
            self._touch()

    # --- What the mailbox asks ---

    async def write(self, wire: str) -> None:
        if not self._closed:
            await self.send({"type": "websocket.send", "text": wire})

    async def hang_up(self, code: int) -> None:
        if self._closed:
            return
        self._leave()
        await self.send({"type": "websocket.close", "code": code})

    async def catch_up(self) -> None:
        """Whatever is being written in the watched conversation, whole."""
        if self._mailbox is not None and self._conversation:
            wanted = events.KeyframesWanted(self._conversation, self._mailbox.topic)
            await events.hub.deliver(wanted)
            await presence.greet(self._mailbox, self._conversation)

    async def reauthorise(self) -> None:
        if self._conversation and await self._reader(self._conversation) is None:
            await self.hang_up(4403)

    # --- Watching ---

    async def _watch(self, public_id: str) -> None:
        """Joins first and reads second, so that nothing falls between the two."""
        if self._mailbox is None or self._closed:
            return
        if self._conversation:
            events.hub.leave(events.conversation_topic(self._conversation), self._mailbox)
            self._touch()
            self._conversation = ""
        if not public_id:
            return
        reader = await self._reader(public_id)
        if reader is None:
            await self.hang_up(4403)
            return
        self._conversation = public_id
        await events.hub.join(events.conversation_topic(public_id), self._mailbox)
        # Of a session that ended meanwhile the pulse tells: the mailbox is open.
        revision = await _read(_revision, reader, public_id)
        if revision is None:
            await self.hang_up(4403)
            return
        watching = {"t": "watching", "c": public_id, "rev": revision}
        await self._mailbox.put(orjson.dumps(watching).decode(), skippable=False)
        await self.catch_up()

    # --- Being there ---

    def _touch(self) -> None:
        if self._conversation:
            presence.touch(self._conversation)

    async def _typing(self, mailbox: events.Mailbox, *, goes_on: bool) -> None:
        """Whoever may not write is told nothing and shown to nobody. A page says it every few
        seconds; what it says more often is passed over."""
        await self._pause("typing")
        conversation, now = self._conversation, time.monotonic()
        if not conversation or (goes_on and now - self._typed < settings.TYPING_SECONDS / 4):
            return
        self._typed = now if goes_on else 0.0
        if not goes_on or await _read(_may_write, self._session_key, conversation):
            presence.typing(mailbox, conversation, goes_on=goes_on)

    async def _reader(self, public_id: str) -> User | None:
        """The person, if they have access; rights are read afresh each time."""

        def read() -> User | None:
            user = access.person_of_session(self._session_key)
            return user if user and _revision(user, public_id) is not None else None

        return await _read(read)


def _revision(user: User, public_id: str) -> int | None:
    """None where the person has no access."""
    try:
        return access.conversation(user, public_id, to="read").revision
    except Http404:
        return None


def _may_write(session_key: str, public_id: str) -> bool:
    user = access.person_of_session(session_key)
    try:
        return user is not None and bool(access.conversation(user, public_id, to="write"))
    except Http404:
        return False


async def _read(query: Callable[..., T], *arguments: object) -> T:
    found: T = await database_sync_to_async(query, thread_sensitive=False)(*arguments)
    return found


def _parsed(text: str | None) -> object:
    try:
        return orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None
