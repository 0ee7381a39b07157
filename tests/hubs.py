"""What tests of hubs share: mailboxes, and things to tell."""

import json
from typing import Any

from conversations import events


class Heard:
    """The socket behind a mailbox, which keeps what it is sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def write(self, wire: str) -> None:
        self.messages.append(json.loads(wire))

    async def hang_up(self, code: int) -> None:
        self.messages.append({"t": "hung up", "code": code})

    async def catch_up(self) -> None:
        """It never falls behind."""

    async def reauthorise(self) -> None:
        """It has no rights to lose."""

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["t"] == kind]

    @property
    def frames(self) -> list[int]:
        return [message["n"] for message in self.all("frame")]


def mailbox(connection: events.Connection, user: str = "alice") -> events.Mailbox:
    return events.Mailbox(
        connection, user=user, session_hash="", frames=1_000_000, size=1_000_000_000
    )


def frame(conversation: str, seq: int) -> events.Frame:
    return events.Frame(
        conversation=conversation, generation="g", message="m", seq=seq, patch={"h": "Grüße"}
    )


def keyframe(topic: str) -> events.Keyframe:
    return events.Keyframe(
        topic=topic, generation="g", message="m", seq=7, html="<p>so far", reasoning="", progress=""
    )
