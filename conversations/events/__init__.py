"""What happened, and who hears of it.

Events are closed, frozen dataclasses; each knows its topic and how it looks on a socket. Listeners
of a topic are mailboxes of sockets, and relays. To those of its own process an event travels
directly: no queue in between, no thread hop, and each is encoded once for all its viewers. Where
there are several processes, the exchange carries it once to each that has listeners.

    tell(event)       from any thread, at once; never fails and never waits
    on_commit(event)  the same, when the surrounding transaction commits
    hub.deliver(…)    from the event loop; returns when every local socket has been handed it
"""

from conversations.events.hub import Hub, People, hub, on_commit, tell
from conversations.events.mailbox import Connection, Mailbox
from conversations.events.pulse import Pulse
from conversations.events.types import (
    PROCESS,
    RELAY,
    AnswerProgress,
    Attendance,
    ConversationGone,
    DraftsChanged,
    Envelope,
    Event,
    Frame,
    Keyframe,
    KeyframesWanted,
    MessageAdded,
    MessageSettled,
    Missed,
    Notice,
    Person,
    QueueChanged,
    RelayEvent,
    RowChanged,
    Silent,
    StopRequested,
    ThreadChanged,
    Tick,
    WorkQueued,
    conversation_topic,
    user_topic,
    wire,
)

pulse = Pulse(hub)

__all__ = [
    "PROCESS",
    "RELAY",
    "AnswerProgress",
    "Attendance",
    "Connection",
    "ConversationGone",
    "DraftsChanged",
    "Envelope",
    "Event",
    "Frame",
    "Hub",
    "Keyframe",
    "KeyframesWanted",
    "Mailbox",
    "MessageAdded",
    "MessageSettled",
    "Missed",
    "Notice",
    "People",
    "Person",
    "QueueChanged",
    "RelayEvent",
    "RowChanged",
    "Silent",
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
    "wire",
]
