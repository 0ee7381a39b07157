"""The events. Ids are public ids; `html` is rendered once and the same for every viewer."""

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from secrets import token_hex
from typing import Any, ClassVar, Self

import orjson

# Topics are also names of Channels' groups: letters, digits, and - _ . alone.
RELAY = "relay"
# This process, among all that share the channel layer.
PROCESS = token_hex(8)


def conversation_topic(public_id: str) -> str:
    return f"conversation.{public_id}"


def user_topic(public_id: str) -> str:
    return f"user.{public_id}"


def process_topic(process: str) -> str:
    return f"process.{process}"


def mailbox_topic(process: str, number: int) -> str:
    return f"mailbox.{process}.{number}"


def process_of(topic: str) -> str:
    """The process of a mailbox's topic; empty for every other topic."""
    kind, _dot, rest = topic.partition(".")
    return rest.partition(".")[0] if kind == "mailbox" else ""


@dataclass(frozen=True, slots=True, order=True)
class Person:
    """As others see them; sorted by name."""

    name: str
    public_id: str
    initials: str
    hue: int


def wire(kind: str, **fields: Any) -> str:
    return orjson.dumps({"t": kind, **fields}).decode()


@dataclass(frozen=True, slots=True)
class Frame:
    """A growing answer went on. `seq` counts the frames of a generation from 1, without gaps."""

    skippable: ClassVar[bool] = True
    conversation: str
    generation: str
    message: str
    seq: int
    patch: Mapping[str, Any] | None
    reasoning: str = ""

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        fields: dict[str, Any] = {"g": self.generation, "m": self.message, "n": self.seq}
        if self.patch is not None:
            fields["p"] = self.patch
        if self.reasoning:
            fields["r"] = self.reasoning
        return wire("frame", **fields)


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The whole answer up to frame `seq`, for a viewer who joined or missed something."""

    skippable: ClassVar[bool] = True
    topic: str
    generation: str
    message: str
    seq: int
    html: str
    reasoning: str
    progress: str

    def wire(self) -> str:
        return wire(
            "key",
            g=self.generation,
            m=self.message,
            n=self.seq,
            html=self.html,
            r=self.reasoning,
            s=self.progress,
        )


@dataclass(frozen=True, slots=True)
class AnswerProgress:
    """What an answer is doing while it has no words to show: its state line as HTML."""

    skippable: ClassVar[bool] = False
    conversation: str
    generation: str
    message: str
    html: str

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire("progress", g=self.generation, m=self.message, html=self.html)


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """Messages joined the branch that all see; `html` holds their articles, oldest first."""

    skippable: ClassVar[bool] = False
    conversation: str
    revision: int
    html: str

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire("added", c=self.conversation, rev=self.revision, html=self.html)


@dataclass(frozen=True, slots=True)
class DraftsChanged:
    """Who votes for which of several drafts changed; `html` holds the articles that look otherwise
    now. The page puts them in place as it does with what is added."""

    skippable: ClassVar[bool] = False
    conversation: str
    revision: int
    html: str

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire("added", c=self.conversation, rev=self.revision, html=self.html)


@dataclass(frozen=True, slots=True)
class MessageSettled:
    """An answer has its final text and state; `html` is its article as a fresh page shows it."""

    skippable: ClassVar[bool] = False
    conversation: str
    revision: int
    message: str
    html: str

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire(
            "settled", c=self.conversation, rev=self.revision, m=self.message, html=self.html
        )


@dataclass(frozen=True, slots=True)
class ThreadChanged:
    """The thread changed in a way that a page fetches anew: another branch, title, settings."""

    skippable: ClassVar[bool] = False
    conversation: str
    revision: int

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire("changed", c=self.conversation, rev=self.revision)


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """The turns that wait, or what they wait for, changed; `html` is the whole queue."""

    skippable: ClassVar[bool] = False
    conversation: str
    revision: int
    html: str

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire("queue", c=self.conversation, rev=self.revision, html=self.html)


@dataclass(frozen=True, slots=True)
class RowChanged:
    """A conversation's row in one person's sidebar changed; it `moves` to the top or stays."""

    skippable: ClassVar[bool] = False
    user: str
    conversation: str
    html: str
    moves: bool = True

    @property
    def topic(self) -> str:
        return user_topic(self.user)

    def wire(self) -> str:
        return wire("row", c=self.conversation, html=self.html, top=self.moves)


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for one person who may be looking elsewhere, about the conversation `title`."""

    skippable: ClassVar[bool] = True
    user: str
    conversation: str
    title: str
    text: str

    @property
    def topic(self) -> str:
        return user_topic(self.user)

    def wire(self) -> str:
        return wire("notice", c=self.conversation, title=self.title, text=self.text)


@dataclass(frozen=True, slots=True)
class ConversationGone:
    """One person has it no longer: it was deleted, or they were `removed` or `left`."""

    skippable: ClassVar[bool] = False
    user: str
    conversation: str
    why: str = "deleted"

    @property
    def topic(self) -> str:
        return user_topic(self.user)

    def wire(self) -> str:
        return wire("gone", c=self.conversation, why=self.why)


@dataclass(frozen=True, slots=True)
class Tick:
    """Still here. Carries how far the conversation or one of its answers is, so that a page that
    missed something notices even when nothing follows."""

    skippable: ClassVar[bool] = True
    conversation: str
    revision: int | None = None
    generation: str = ""
    seq: int = 0

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        if self.generation:
            return wire("tick", g=self.generation, n=self.seq)
        return wire("tick", c=self.conversation, rev=self.revision)


@dataclass(frozen=True, slots=True)
class Silent:
    """An answer is being written somewhere and nothing is heard of it: the page looks it up in the
    table until frames come again."""

    skippable: ClassVar[bool] = True
    conversation: str

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def wire(self) -> str:
        return wire("silent", c=self.conversation)


@dataclass(frozen=True, slots=True)
class Missed:
    """Told to every socket of a process that was cut off from the others: all may have changed."""

    def wire(self) -> str:
        return wire("missed")


@dataclass(frozen=True, slots=True)
class WorkQueued:
    """A generation waits to be claimed."""

    topic: ClassVar[str] = RELAY


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody stopped a generation; whoever runs it ends the upstream request."""

    topic: ClassVar[str] = RELAY
    generation: str


@dataclass(frozen=True, slots=True)
class KeyframesWanted:
    """A viewer needs the running answers of a conversation whole, at its own mailbox's topic."""

    topic: ClassVar[str] = RELAY
    conversation: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who of one process is in a conversation, and who of them is typing: told to the other
    processes that have viewers of it. No socket hears of it before they are put together."""

    conversation: str
    process: str
    people: tuple[Person, ...]
    typing: tuple[Person, ...]

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation)

    def fields(self) -> dict[str, str]:
        """All of them text, as the channel layer carries them."""
        people, typing = ([astuple(one) for one in all_] for all_ in (self.people, self.typing))
        return {
            "conversation": self.conversation,
            "process": self.process,
            "people": orjson.dumps([people, typing]).decode(),
        }

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """Raises KeyError, TypeError or ValueError for what no process of ours packs."""
        people, typing = (
            tuple(Person(_text(a), _text(b), _text(c), int(d)) for a, b, c, d in all_)
            for all_ in orjson.loads(fields["people"])
        )
        return cls(fields["conversation"], fields["process"], people, typing)


RelayEvent = WorkQueued | StopRequested | KeyframesWanted
SocketEvent = (
    Frame
    | Keyframe
    | AnswerProgress
    | MessageAdded
    | DraftsChanged
    | MessageSettled
    | ThreadChanged
    | QueueChanged
    | RowChanged
    | Notice
    | ConversationGone
    | Tick
    | Silent
)
Event = RelayEvent | SocketEvent

_FOR_RELAYS = {kind.__name__: kind for kind in (WorkQueued, StopRequested, KeyframesWanted)}


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event on its way: what sockets are sent, or for a process itself the event."""

    topic: str
    wire: str = ""
    skippable: bool = True
    event: RelayEvent | Attendance | None = None

    @classmethod
    def around(cls, event: "Event | Attendance") -> Self:
        if isinstance(event, Attendance):
            return cls(event.topic, skippable=True, event=event)
        if isinstance(event, RelayEvent):
            return cls(event.topic, skippable=False, event=event)
        return cls(event.topic, event.wire(), event.skippable)

    def packed(self) -> dict[str, Any]:
        """For the channel layer: {"topic", "wire", "skip"}, or {"topic", "kind", "fields"}."""
        if self.event is not None:
            kind = type(self.event).__name__
            if isinstance(self.event, Attendance):
                fields = self.event.fields()
            else:
                fields = asdict(self.event)
            return {"topic": self.topic, "kind": kind, "fields": fields}
        return {"topic": self.topic, "wire": self.wire, "skip": self.skippable}

    @classmethod
    def unpacked(cls, message: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what no process of ours packs."""
        if "kind" in message:
            fields = {name: _text(value) for name, value in dict(message["fields"]).items()}
            if message["kind"] == Attendance.__name__:
                return cls.around(Attendance.of(fields))
            event = _FOR_RELAYS[message["kind"]](**fields)
            return cls(_text(message["topic"]), skippable=False, event=event)
        return cls(_text(message["topic"]), _text(message["wire"]), bool(message["skip"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value
