"""What happened, and who hears of it.

Events are closed, frozen dataclasses; each knows its topic and how it looks on a socket. Listeners
of a topic are the mailboxes of the sockets of this process, and its relay. An event travels to
them directly: no queue in between, no thread hop, and each is encoded once for all its viewers.

    tell(event)       from any thread, at once; never fails and never waits
    on_commit(event)  the same, when the surrounding transaction commits
    hub.deliver(…)    from the event loop; returns when every local socket has been handed it
"""

from conversations.events.hub import Connection, Hub, Mailbox, hub, on_commit, tell
from conversations.events.pulse import Pulse
from conversations.events.types import (
    RELAY,
    AnswerProgress,
    ConversationGone,
    Event,
    Frame,
    Keyframe,
    KeyframesWanted,
    MessageAdded,
    MessageSettled,
    RelayEvent,
    RowChanged,
    StopRequested,
    ThreadChanged,
    Tick,
    WorkQueued,
    conversation_topic,
    user_topic,
)

pulse = Pulse(hub)

__all__ = [
    "RELAY",
    "AnswerProgress",
    "Connection",
    "ConversationGone",
    "Event",
    "Frame",
    "Hub",
    "Keyframe",
    "KeyframesWanted",
    "Mailbox",
    "MessageAdded",
    "MessageSettled",
    "RelayEvent",
    "RowChanged",
    "StopRequested",
    "ThreadChanged",
    "Tick",
    "WorkQueued",
    "conversation_topic",
    "hub",
    "on_commit",
    "pulse",
    "tell",
    "user_topic",
]
