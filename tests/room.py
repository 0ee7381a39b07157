"""What the portal promises of a conversation that several people share, as plain data: who may do
what, what waits in which order, what was said, and how far each answer is.

Each method is what somebody tries, or a relay, and returns how that is refused: None if it is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.http import Http404

from conversations.actions.participants import LastOwner, TakesPart
from conversations.actions.refusals import (
    MayNotWrite,
    NothingToAnswer,
    NotYours,
    QueueFull,
    TurnGone,
    TurnRunning,
)
from conversations.models import Role, State

Refusal = type[Exception] | None

RIGHTS = {
    "read": {Role.OWNER, Role.EDITOR, Role.VIEWER},
    "write": {Role.OWNER, Role.EDITOR},
    "own": {Role.OWNER},
}
LINE, LINE_EACH = 4, 3  # how many turns may wait, in all and of one person
GOES_ON = 1  # how often an answer is gone on with by itself


@dataclass(eq=False)
class Question:
    text: str
    author: str
    request_id: UUID
    below: "Answer | None"
    name: str = ""  # its public id, as soon as it is known
    answers: "list[Answer]" = field(default_factory=list)


@dataclass(eq=False)
class Answer:
    to: Question
    name: str = ""
    text: str = ""
    state: State = State.QUEUED
    is_settled: bool = False
    worker: str = ""
    lost: int = 0  # how many relays died of it
    questions: list[Question] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.state in {State.QUEUED, State.RUNNING}

    @property
    def is_held(self) -> bool:
        """Some relay's to write."""
        return self.state in {State.RUNNING, State.STOPPED} and not self.is_settled

    @property
    def broke_off(self) -> bool:
        return self.state in {State.FAILED, State.INTERRUPTED}

    def end(self, state: State) -> None:
        self.state, self.is_settled = state, True


@dataclass(eq=False)
class Waiting:
    text: str
    author: str
    request_id: UUID
    name: str = ""


class Room:
    def __init__(self, owner: str) -> None:
        self.roles = {owner: Role.OWNER}
        self.first: list[Question] = []
        self.head: Answer | None = None
        self.line: list[Waiting] = []
        self.notes: list[tuple[str, str, Answer]] = []  # author, text, under what

    # --- What there is ---

    def questions(self) -> list[Question]:
        return [one for one in self._walk() if isinstance(one, Question)]

    def answers(self) -> list[Answer]:
        return [one for one in self._walk() if isinstance(one, Answer)]

    def _walk(self) -> Iterator[Question | Answer]:
        rest: list[Question | Answer] = [*self.first]
        while rest:
            one = rest.pop(0)
            yield one
            rest.extend(one.answers if isinstance(one, Question) else one.questions)

    def branch(self) -> list[str]:
        """The questions that all see, oldest first."""
        texts: list[str] = []
        answer = self.head
        while answer is not None:
            texts.insert(0, answer.to.text)
            answer = answer.to.below
        return texts

    @property
    def open(self) -> list[Answer]:
        return [one for one in self.answers() if one.is_open]

    def held(self) -> list[Answer]:
        return [one for one in self.answers() if one.is_held]

    def may(self, who: str, right: str) -> bool:
        return self.roles.get(who) in RIGHTS[right]

    def _first_sendable(self) -> Waiting | None:
        return next((one for one in self.line if self.may(one.author, "write")), None)

    # --- Saying something ---

    def begin(self, text: str, author: str, request_id: UUID, name: str = "") -> Refusal:
        """At the end of the branch that all see."""
        return self._put(Question(text, author, request_id, self.head, name))

    def _put(self, question: Question) -> Refusal:
        siblings = self.first if question.below is None else question.below.questions
        siblings.append(question)
        return self._answer(question)

    def _answer(self, question: Question) -> Refusal:
        self.head = Answer(question)
        question.answers.append(self.head)
        return None

    def send(self, who: str, text: str, request_id: UUID) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        if not self.line and not self.open:
            return self.begin(text, who, request_id)
        if len(self.line) >= LINE or sum(one.author == who for one in self.line) >= LINE_EACH:
            return QueueFull
        self.line.append(Waiting(text, who, request_id))
        return None

    def reword(self, who: str, question: Question, text: str, request_id: UUID) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        if question.author != who:
            return NotYours
        return self._branch(Question(text, who, request_id, question.below))

    def branch_off(self, who: str, answer: Answer, text: str, request_id: UUID) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        return self._branch(Question(text, who, request_id, answer))

    def _branch(self, question: Question) -> Refusal:
        return TurnRunning if self.open else self._put(question)

    def note(self, who: str, text: str) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        assert self.head is not None
        self.notes.append((who, text, self.head))
        return None

    # --- The queue ---

    def edit(self, who: str, turn: Waiting, text: str) -> Refusal:
        if turn.author != who or not self.may(who, "write"):
            return Http404
        turn.text = text
        return None

    def withdraw(self, who: str, turn: Waiting) -> Refusal:
        if not (self.may(who, "read") and turn.author == who) and not self.may(who, "own"):
            return Http404
        self.line.remove(turn)
        return None

    def move(self, who: str, turn: Waiting, beside: Waiting, *, after: bool) -> Refusal:
        if not self.may(who, "own"):
            return Http404
        if turn is beside:
            return TurnGone
        self.line.remove(turn)
        self.line.insert(self.line.index(beside) + after, turn)
        return None

    def send_now(self, who: str, turn: Waiting) -> Refusal:
        if not (self.may(who, "write") and turn.author == who) and not self.may(who, "own"):
            return Http404
        if not self.may(turn.author, "write"):
            return MayNotWrite
        for answer in self.open:
            self._stop(answer)
        return self._hand_over(turn)

    def send_next(self, who: str) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        turn = self._first_sendable()
        if turn is None:
            return TurnGone
        return TurnRunning if self.open else self._hand_over(turn)

    def sweep(self) -> int:
        """How many were sent."""
        turn = self._first_sendable()
        assert self.head is not None
        if turn is None or self.open or self.head.broke_off:
            return 0
        self._hand_over(turn)
        return 1

    def _hand_over(self, turn: Waiting) -> Refusal:
        self.line.remove(turn)
        return self.begin(turn.text, turn.author, turn.request_id, turn.name)

    # --- Answers ---

    def stop(self, who: str, answer: Answer) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        if answer.is_open:
            self._stop(answer)
        return None

    def _stop(self, answer: Answer) -> None:
        answer.is_settled = answer.state == State.QUEUED  # the relay puts the last words away
        answer.state = State.STOPPED

    def retry(self, who: str, answer: Answer) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        return TurnRunning if self.open else self._answer(answer.to)

    def go_on(self, who: str, answer: Answer) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        ended = answer.is_settled and answer.state != State.DONE
        if not ended or not answer.text or answer is not self.head:
            return NothingToAnswer
        self._queue_rest(answer)
        return None

    def _queue_rest(self, answer: Answer) -> None:
        answer.state, answer.is_settled, answer.worker = State.QUEUED, False, ""

    def choose(self, who: str, message: Question | Answer) -> Refusal:
        if not self.may(who, "write"):
            return Http404
        if self.open:
            return TurnRunning
        leaf = message
        while below := (leaf.answers if isinstance(leaf, Question) else leaf.questions):
            leaf = below[-1]
        assert isinstance(leaf, Answer)
        self.head = leaf
        return None

    # --- Relays ---

    def claim(self, worker: str) -> list[Answer]:
        put_away = {one.to for one in self.answers() if one.is_held and one.state == State.STOPPED}
        mine = [one for one in self.open if one.state == State.QUEUED and not put_away - {one.to}]
        for answer in mine:
            answer.state, answer.worker = State.RUNNING, worker
        return mine

    def settle(self, answer: Answer, state: State, text: str) -> None:
        answer.text = text
        answer.end(State.STOPPED if answer.state == State.STOPPED else state)

    def lose(self, worker: str) -> list[Answer]:
        """The relay died; what it was writing. Each goes on with another one, but not for ever."""
        left = [one for one in self.held() if one.worker == worker]
        for answer in left:
            if answer.state == State.STOPPED:
                answer.end(State.STOPPED)
                continue
            answer.end(State.INTERRUPTED)
            answer.lost += 1
            if answer.lost <= GOES_ON:
                self._queue_rest(answer)
        return left

    # --- Who takes part ---

    def invite(self, who: str, person: str, role: Role) -> Refusal:
        if not self.may(who, "own"):
            return Http404
        if person in self.roles:
            return TakesPart
        self.roles[person] = role
        return None

    def set_role(self, who: str, person: str, role: Role) -> Refusal:
        if not self.may(who, "own") or person not in self.roles:
            return Http404
        if role != Role.OWNER and self._is_last_owner(person):
            return LastOwner
        self.roles[person] = role
        return None

    def hand_over(self, who: str, person: str) -> Refusal:
        if not self.may(who, "own") or person not in self.roles:
            return Http404
        if who == person:
            return LastOwner
        self.roles |= {person: Role.OWNER, who: Role.EDITOR}
        return None

    def remove(self, who: str, person: str) -> Refusal:
        if not self.may(who, "own") or person not in self.roles:
            return Http404
        return self._take_out(person)

    def leave(self, who: str) -> Refusal:
        return Http404 if who not in self.roles else self._take_out(who)

    def _take_out(self, person: str) -> Refusal:
        if self._is_last_owner(person):
            return LastOwner
        del self.roles[person]
        return None

    def _is_last_owner(self, person: str) -> bool:
        return not any(role == Role.OWNER for who, role in self.roles.items() if who != person)
