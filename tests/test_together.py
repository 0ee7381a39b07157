"""People and relays do what they like, in any order; a simple model says what comes of it."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.http import Http404
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from pytest_django import Settings

from conversations import access, actions
from conversations.actions.generations import Kept
from conversations.actions.turns import Place
from conversations.models import (
    Generation,
    Kind,
    Message,
    Participant,
    QueuedTurn,
    Reservation,
    Role,
    State,
    UsageRecord,
)
from tests.reader import Thread
from tests.room import GOES_ON, LINE, LINE_EACH, RIGHTS, Answer, Question, Refusal, Waiting
from tests.together import ENDS, PEOPLE, Ground, generation_of, kept_as, opens, pick, settlement

people = st.sampled_from(PEOPLE)
doers = st.sampled_from(("Alice", "Alice", "Bob", "Bob", "Vera", "Charlie"))  # more who may
roles = st.sampled_from(list(Role))
# Of a list: which one, whatever its length.
which = st.integers(0, 11)
pytestmark = pytest.mark.django_db(transaction=True)


def test_whatever_people_and_relays_do_the_portal_agrees_with_the_model(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.QUEUE_PER_CONVERSATION, settings.QUEUE_PER_PERSON = LINE, LINE_EACH
    settings.RELAY_CONTINUES = GOES_ON
    settings.THREAD_PAGE = 1_000
    examples = max(6, hypothesis().max_examples // 5)
    profile = hypothesis(max_examples=examples, stateful_step_count=25, report_multiple_bugs=False)
    run_state_machine_as_test(Together, settings=profile)
    # What is told on commit fails nobody's action, and is logged.
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


class Together(Ground):
    def teardown(self) -> None:
        try:
            for reader in self.readers.values():
                reader.hear()
            self.pages_are_as_fresh_ones()
        finally:
            self.clear()

    # --- Saying something ---

    @rule(who=doers)
    def send(self, who: str) -> None:
        self._send(who, self.next_text(), uuid4())

    def _send(self, who: str, text: str, request_id: UUID) -> None:
        sent = self.agree(
            self.room.send(who, text, request_id),
            lambda: actions.queue.send(
                conversation=self.open(who, "write"),
                author=self.people[who],
                text=text,
                request_id=request_id,
            ),
        )
        if isinstance(sent, QueuedTurn):
            self.room.line[-1].name = sent.public_id
        elif sent is not None:
            self.named(sent)

    @rule(at=which)
    def send_the_same_again(self, at: int) -> None:
        """A double click, or a page that did not hear the answer."""
        known: list[Question | Waiting] = [*self.room.questions(), *self.room.line]
        before = known[at % len(known)]
        refused = None if self.room.may(before.author, "write") else Http404
        again = self.agree(
            refused,
            lambda: actions.queue.send(
                conversation=self.open(before.author, "write"),
                author=self.people[before.author],
                text="In other words",
                request_id=before.request_id,
            ),
        )
        if again is not None:
            row = again if isinstance(again, QueuedTurn) else again.first
            assert row.public_id == before.name

    @rule(who=doers, at=which)
    def reword(self, who: str, at: int) -> None:
        questions = [one for one in self.room.questions() if one.author == who]
        question = pick(questions or self.room.questions(), at)
        text, request_id = self.next_text(), uuid4()
        refusal = self.room.reword(who, question, text, request_id)
        self._branch(refusal, who, text, request_id, question, "instead")

    @rule(who=doers, at=which)
    def branch_off(self, who: str, at: int) -> None:
        answer = pick(self.room.answers(), at)
        text, request_id = self.next_text(), uuid4()
        refusal = self.room.branch_off(who, answer, text, request_id)
        self._branch(refusal, who, text, request_id, answer, "below")

    def _branch(
        self,
        refusal: Refusal,
        who: str,
        text: str,
        request_id: UUID,
        at: Question | Answer,
        how: str,
    ) -> None:
        sent = self.agree(
            refusal,
            lambda: actions.messages.branch(
                conversation=self.open(who, "write"),
                author=self.people[who],
                text=text,
                request_id=request_id,
                place=Place(**{how: self.message(who, at, "write")}),
            ),
        )
        if sent is not None:
            self.named(sent)

    @rule(who=doers)
    def note(self, who: str) -> None:
        text = self.next_text()
        self.agree(
            self.room.note(who, text),
            lambda: actions.messages.note(
                conversation=self.open(who, "write"),
                author=self.people[who],
                text=text,
                request_id=uuid4(),
            ),
        )

    # --- The queue ---

    @precondition(lambda self: self.room.line)
    @rule(who=doers, at=which)
    def edit(self, who: str, at: int) -> None:
        turn, text = pick(self.room.line, at), self.next_text()
        self.agree(
            self.room.edit(who, turn, text),
            lambda: actions.queue.edit(
                turn=self.turn(who, turn, "edit"), actor=self.people[who], text=text
            ),
        )

    @precondition(lambda self: self.room.line)
    @rule(who=doers, at=which)
    def withdraw(self, who: str, at: int) -> None:
        turn = pick(self.room.line, at)
        self.agree(
            self.room.withdraw(who, turn),
            lambda: actions.queue.withdraw(
                turn=self.turn(who, turn, "withdraw"), actor=self.people[who]
            ),
        )

    @precondition(lambda self: len(self.room.line) > 1)
    @rule(who=doers, at=which, to=which, after=st.booleans())
    def move(self, who: str, at: int, to: int, after: bool) -> None:
        turn, beside = pick(self.room.line, at), pick(self.room.line, to)
        self.agree(
            self.room.move(who, turn, beside, after=after),
            lambda: actions.queue.move(
                turn=self.turn(who, turn, "move"),
                actor=self.people[who],
                beside=beside.name,
                after=after,
            ),
        )

    @precondition(lambda self: self.room.line)
    @rule(who=doers, at=which)
    def send_now(self, who: str, at: int) -> None:
        turn = pick(self.room.line, at)
        self.agree(
            self.room.send_now(who, turn),
            lambda: actions.queue.send_now(
                turn=self.turn(who, turn, "send"), actor=self.people[who]
            ),
        )

    @rule(who=doers)
    def send_next(self, who: str) -> None:
        self.agree(
            self.room.send_next(who),
            lambda: actions.queue.send_next(
                conversation=self.open(who, "write"), actor=self.people[who]
            ),
        )

    @rule()
    def sweep(self) -> None:
        expected = self.room.sweep()
        assert self.agree(None, actions.queue.sweep) == expected

    # --- Answers ---

    @rule(who=doers, at=which)
    def stop(self, who: str, at: int) -> None:
        answer = pick(self.room.open or self.room.answers(), at)
        generation = generation_of(answer)
        self.agree(
            self.room.stop(who, answer),
            lambda: actions.generations.stop(
                generation=access.generation(self.people[who], generation.public_id, to="write"),
                actor=self.people[who],
            ),
        )

    @rule(who=doers, at=which)
    def retry(self, who: str, at: int) -> None:
        answer = pick(self.room.answers(), at)
        self.agree(
            self.room.retry(who, answer),
            lambda: actions.generations.retry(
                answer=self.message(who, answer, "write"), actor=self.people[who]
            ),
        )

    @rule(who=doers, at=which)
    def go_on(self, who: str, at: int) -> None:
        assert self.room.head is not None
        answer = self.room.head if at else pick(self.room.answers(), at)
        self.agree(
            self.room.go_on(who, answer),
            lambda: actions.generations.go_on(
                answer=self.message(who, answer, "write"), actor=self.people[who]
            ),
        )

    @rule(who=doers, at=which)
    def choose(self, who: str, at: int) -> None:
        message = pick([*self.room.questions(), *self.room.answers()], at)
        self.agree(
            self.room.choose(who, message),
            lambda: actions.conversations.choose_head(
                conversation=self.open(who, "write"),
                actor=self.people[who],
                message=self.message(who, message, "write"),
            ),
        )

    # --- Relays ---

    @rule(relay=st.integers(0, 1))
    def claim(self, relay: int) -> None:
        worker = self.relays[relay]
        expected = [one.name for one in self.room.claim(worker)]
        claimed = self.agree(None, lambda: actions.generations.claim(worker=worker, most=10))
        assert [one.message.public_id for one in claimed] == expected

    @precondition(lambda self: self.room.held())
    @rule(at=which)
    def keep(self, at: int) -> None:
        answer = pick(self.room.held(), at)
        answer.text += f"{self.next_text()} "
        lost = self.agree(
            None,
            lambda: actions.generations.keep(
                worker=answer.worker,
                kept=[kept_as(answer, answer.text)],
                running=[generation_of(answer).pk],
            ),
        )
        assert bool(lost) == (answer.state == State.STOPPED)

    @precondition(lambda self: self.room.held())
    @rule(at=which, state=st.sampled_from(list(ENDS)))
    def settle(self, at: int, state: State) -> None:
        answer = pick(self.room.held(), at)
        text = answer.text + self.next_text()
        assert self.agree(
            None,
            lambda: actions.generations.settle(
                generation=generation_of(answer),
                worker=answer.worker,
                kept=kept_as(answer, text),
                outcome=settlement(state),
            ),
        )
        self.room.settle(answer, state, text)

    @rule(relay=st.integers(0, 1))
    def kill(self, relay: int) -> None:
        """It comes back under another name, as a new process does."""
        worker, self.relays[relay] = self.relays[relay], f"relay-{self.next_text()}"
        left = [(generation_of(one), worker) for one in self.room.lose(worker)]
        self.dead += left
        settled = self.agree(None, lambda: actions.generations.give_up(lost=[worker]))
        assert settled == len(left)

    @precondition(lambda self: self.dead)
    @rule(at=which)
    def a_dead_relay_goes_on_writing(self, at: int) -> None:
        generation, worker = pick(self.dead, at)
        message = Message.objects.get(choices__generation=generation)
        kept = Kept(generation_id=generation.pk, message_id=message.pk, text="Ghost", reasoning="")
        actions.generations.keep(worker=worker, kept=[kept], running=[])
        assert not self.agree(
            None,
            lambda: actions.generations.settle(
                generation=generation, worker=worker, kept=kept, outcome=settlement(State.DONE)
            ),
        )

    # --- Who takes part ---

    @rule(who=doers, person=people, role=roles)
    def invite(self, who: str, person: str, role: Role) -> None:
        self.agree(
            self.room.invite(who, person, role),
            lambda: actions.participants.invite(
                conversation=self.open(who, "own"),
                actor=self.people[who],
                person=self.people[person],
                role=role,
            ),
        )

    @rule(who=doers, person=people, role=roles)
    def set_role(self, who: str, person: str, role: Role) -> None:
        refusal = self.room.set_role(who, person, role)
        self._change(refusal, who, person, actions.participants.set_role, role=role)

    @rule(who=doers, person=people)
    def hand_over(self, who: str, person: str) -> None:
        refusal = self.room.hand_over(who, person)
        self._change(refusal, who, person, actions.participants.hand_over)

    @rule(who=doers, person=people)
    def remove(self, who: str, person: str) -> None:
        refusal = self.room.remove(who, person)
        self._change(refusal, who, person, actions.participants.remove)

    def _change(
        self, refusal: Refusal, who: str, person: str, act: Callable[..., None], **what: Any
    ) -> None:
        def change() -> None:
            user, name = self.people[who], self.people[person].public_id
            part = access.participant(user, self.conversation.public_id, name)
            act(conversation=part.conversation, actor=user, person=part.user, **what)

        self.agree(refusal, change)

    @rule(who=doers)
    def leave(self, who: str) -> None:
        self.agree(
            self.room.leave(who),
            lambda: actions.participants.leave(
                conversation=self.open(who, "read"), person=self.people[who]
            ),
        )

    # --- Pages ---

    @rule(who=doers)
    def open_page(self, who: str) -> None:
        refusal = None if self.room.may(who, "read") else Http404
        self.agree(refusal, self.readers[who].open)

    @rule(who=doers, most=st.integers(1, 4))
    def hear_some(self, who: str, most: int) -> None:
        self.readers[who].hear(most)

    @rule(who=doers)
    def hear_all(self, who: str) -> None:
        self.readers[who].hear()

    @rule(who=doers)
    def lose_the_line(self, who: str) -> None:
        self.readers[who].lose()

    # --- What always holds ---

    @invariant()
    def one_turn_at_a_time(self) -> None:
        there = Generation.objects.open().filter(conversation=self.conversation)
        assert there.count() == len(self.room.open) <= 1

    @invariant()
    def those_take_part_who_should_and_one_of_them_owns_it(self) -> None:
        there = Participant.objects.filter(conversation=self.conversation)
        found = dict(there.values_list("user__name", "role"))
        assert found == self.room.roles
        assert Role.OWNER in found.values()

    @invariant()
    def the_queue_is_in_order(self) -> None:
        there = QueuedTurn.objects.filter(conversation=self.conversation).in_line()
        found = list(there.values_list("text", "author__name", "public_id"))
        assert found == [(one.text, one.author, one.name) for one in self.room.line]

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        there = Message.objects.filter(conversation=self.conversation)
        columns = ("public_id", "text", "author__name", "request_id", "parent__public_id")
        found = sorted(there.filter(role="user", kind=Kind.TURN).values_list(*columns))
        assert found == sorted(
            (one.name, one.text, one.author, one.request_id, one.below and one.below.name)
            for one in self.room.questions()
        )
        notes = there.filter(kind=Kind.NOTE).order_by("pk")
        assert list(notes.values_list("author__name", "text", "parent__public_id")) == [
            (who, text, answer.name) for who, text, answer in self.room.notes
        ]
        answers = there.filter(role="assistant").order_by("pk")
        written = {
            name: (text, of) for name, text, of in answers.values_list(*columns[:2], columns[4])
        }
        assert written == {one.name: (one.text, one.to.name) for one in self.room.answers()}

    @invariant()
    def all_see_the_branch_they_should(self) -> None:
        self.conversation.refresh_from_db()
        branch = Message.objects.branch_to(self.conversation.head_id).filter(role="user")
        assert list(branch.values_list("text", flat=True)) == self.room.branch()

    @invariant()
    def every_end_is_explained_and_paid_for(self) -> None:
        rows = Generation.objects.filter(conversation=self.conversation)
        newest = {}
        for row in rows.order_by("pk").prefetch_related("choices__message"):
            newest[row.choices.all()[0].message.public_id] = row
            match row.state:
                case State.DONE:
                    assert row.finish_reason
                case State.STOPPED:
                    assert row.stopped_by_id
                case State.FAILED | State.INTERRUPTED:
                    assert row.error_code
                    assert row.error_message
                case _:
                    assert row.settled_at is None
        assert {name: (row.state, row.settled_at is not None) for name, row in newest.items()} == {
            one.name: (one.state, one.is_settled) for one in self.room.answers()
        }
        reserved = Reservation.objects.filter(conversation=self.conversation)
        assert reserved.count() == rows.filter(settled_at=None).count()
        used = UsageRecord.objects.filter(conversation=self.conversation)
        assert used.count() == rows.exclude(settled_at=None).count()

    @invariant()
    def the_door_opens_to_those_alone_who_may(self) -> None:
        if self.let_in == self.room.roles:
            return  # as when it was tried last
        self.let_in = dict(self.room.roles)
        question = self.room.first[0]
        generation = generation_of(question.answers[0]).public_id
        for who, user in self.people.items():
            for right in RIGHTS:
                expected = self.room.may(who, right)
                assert opens(self.open, who, right) == expected
                assert opens(self.message, who, question, right) == expected
            expected = self.room.may(who, "write")
            assert opens(access.generation, user, generation, to="write") == expected

    @invariant()
    def pages_are_as_fresh_ones(self) -> None:
        """Of those who have heard all; of whoever lost the right, closed."""
        fresh = None
        for who, reader in self.readers.items():
            if reader.waiting or reader.thread is None:
                continue
            assert self.room.may(who, "read")
            fresh = fresh or Thread.fetch(self.people[who], self.conversation.public_id)
            assert list(reader.thread.articles.items()) == list(fresh.articles.items())
            assert reader.thread == fresh
