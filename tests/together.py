"""What a state machine of a shared conversation stands on: rows, their model, everybody's page."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.http import Http404
from django.utils import timezone
from hypothesis.stateful import RuleBasedStateMachine

from conversations import access, actions
from conversations.actions.generations import Kept, Settlement
from conversations.actions.refusals import Refused
from conversations.actions.turns import Sent
from conversations.models import (
    Conversation,
    Generation,
    Message,
    Participant,
    QueuedTurn,
    Role,
    State,
    User,
)
from tests.reader import Reader
from tests.room import Answer, Question, Refusal, Room, Waiting

ENDS = {State.DONE: "stop", State.FAILED: "refused", State.INTERRUPTED: "broke_off"}
PEOPLE = ("Alice", "Bob", "Vera", "Charlie")


class Ground(RuleBasedStateMachine):
    """Alice has asked something; Bob may write, Vera read, Charlie nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.said = 0
        self.room = Room("Alice")
        self.let_in: dict[str, Role] = {}
        self.people = {name: _somebody(name) for name in PEOPLE}
        self.loop = asyncio.new_event_loop()
        self.relays = ["relay-1", "relay-2"]
        self.dead: list[tuple[Generation, str]] = []  # what they still believe to be theirs
        text, request_id = self.next_text(), uuid4()
        sent = actions.messages.start(
            author=self.people["Alice"],
            text=text,
            request_id=request_id,
            model="crimson-falcon-4",
            parameters={},
            system_prompt="",
        )
        self.conversation = sent.question.conversation
        self.room.begin(text, "Alice", request_id, sent.question.public_id)
        self.readers = {
            name: Reader(user, self.conversation, self.loop) for name, user in self.people.items()
        }
        self.settle_names()
        for name, role in (("Bob", Role.EDITOR), ("Vera", Role.VIEWER)):
            self.room.roles[name] = role
            Participant.objects.create(
                conversation=self.conversation, user=self.people[name], role=role
            )
        for name in self.room.roles:
            self.readers[name].open()

    def clear(self) -> None:
        for reader in self.readers.values():
            reader.close()
        self.conversation.delete()
        self.loop.close()

    def agree(self, refusal: Refusal, act: Callable[[], Any]) -> Any:
        """Does it: refused as the model says, or what it returns."""
        got = None
        try:
            got = act()
        except (Refused, Http404) as error:
            refused: Refusal = type(error)
        else:
            refused = None
        assert refused == refusal
        self.loop.run_until_complete(_told())
        self.settle_names()
        return got

    def next_text(self) -> str:
        self.said += 1
        return f"*{self.said}*"

    def named(self, sent: Any) -> None:
        assert isinstance(sent, Sent)
        newest = next(one for one in self.room.questions() if not one.name)
        newest.name = sent.question.public_id
        self.settle_names()

    def settle_names(self) -> None:
        """Gives new answers the names that they have in the table."""
        for answer in self.room.answers():
            if answer.to.name and not answer.name:
                rows = Message.objects.filter(parent__public_id=answer.to.name, role="assistant")
                names = list(rows.order_by("pk").values_list("public_id", flat=True))
                answer.name = names[answer.to.answers.index(answer)]

    def open(self, who: str, right: Any) -> Conversation:
        return access.conversation(self.people[who], self.conversation.public_id, to=right)

    def message(self, who: str, one: Question | Answer, right: Any) -> Message:
        return access.message(self.people[who], one.name, to=right)

    def turn(self, who: str, one: Waiting, right: Any) -> QueuedTurn:
        return access.queued_turn(self.people[who], one.name, to=right)


def _somebody(name: str) -> User:
    return User.objects.create_user(f"{uuid4().hex}@example.com", None, name=name)


def pick(all_: Any, at: int) -> Any:
    """Numbers count from the newest, where most happens."""
    return all_[-1 - at % len(all_)]


def generation_of(answer: Answer) -> Generation:
    rows = Generation.objects.select_related("conversation")
    return rows.filter(choices__message__public_id=answer.name).latest("pk")


def kept_as(answer: Answer, text: str) -> Kept:
    message = Message.objects.get(public_id=answer.name)
    generation = generation_of(answer)
    return Kept(generation_id=generation.pk, message_id=message.pk, text=text, reasoning="")


def opens(door: Callable[..., object], *what: Any, **right: Any) -> bool:
    try:
        door(*what, **right)
    except Http404:
        return False
    return True


async def _told() -> None:
    """What was told on commit has reached the mailboxes of this loop."""
    for _step in range(4):
        await asyncio.sleep(0)


def settlement(state: State) -> Settlement:
    why = ENDS[state]
    first_token_at = timezone.now()
    if state == State.DONE:
        return Settlement(state=state, finish_reason=why, first_token_at=first_token_at)
    return Settlement(
        state=state, error_code=why, error_message="It broke off.", first_token_at=first_token_at
    )
