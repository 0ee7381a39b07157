"""Retry, continue, stop: what may be asked of an answer, and what it leaves in the table."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from conversations import access, actions
from conversations.actions.refusals import NothingToAnswer, TooManyAnswers, TurnRunning
from conversations.models import (
    AuditEntry,
    Conversation,
    Generation,
    Message,
    Participant,
    Role,
    State,
    User,
)
from conversations.models.generations import MOVES
from tests.relays import send
from tests.test_actions_messages import at_once

pytestmark = pytest.mark.django_db


def ended(sent: actions.messages.Sent, state: State, text: str = "Some text") -> Message:
    """The answer, as it is when its generation has ended like this."""
    Generation.objects.update(
        state=state, finish_reason="stop" if state == State.DONE else "", settled_at=timezone.now()
    )
    Message.objects.filter(pk=sent.answer.pk).update(text=text)
    author = sent.question.author
    assert author is not None
    return access.message(author, sent.answer.public_id, to="write")


# --- Retry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.DONE, State.STOPPED, State.INTERRUPTED, State.FAILED])
def test_a_retry_is_another_answer_beside_the_first(
    sent: actions.messages.Sent, alice: User, state: State
) -> None:
    first = ended(sent, state)
    second = actions.generations.retry(answer=first, actor=alice)
    assert second.parent == first.parent
    assert Conversation.objects.get().head == second
    assert Message.objects.get(pk=first.pk).text == "Some text"
    assert Generation.objects.filter(state=State.QUEUED).count() == 1


def test_a_retry_while_an_answer_is_open_is_refused(
    sent: actions.messages.Sent, alice: User
) -> None:
    answer = access.message(alice, sent.answer.public_id, to="write")
    with pytest.raises(TurnRunning):
        actions.generations.retry(answer=answer, actor=alice)
    assert Message.objects.count() == 2


def test_a_retry_counts_among_a_persons_answers(
    sent: actions.messages.Sent, alice: User, settings: Settings
) -> None:
    answer = ended(sent, State.DONE)
    settings.GENERATIONS_PER_USER = 1
    other = Conversation.objects.create(model="crimson-falcon-4")
    Participant.objects.create(conversation=other, user=alice, role=Role.OWNER)
    send(other, alice)
    with pytest.raises(TooManyAnswers):
        actions.generations.retry(answer=answer, actor=alice)


def test_a_question_cannot_be_retried(sent: actions.messages.Sent, alice: User) -> None:
    ended(sent, State.DONE)
    question = access.message(alice, sent.question.public_id, to="write")
    with pytest.raises(NothingToAnswer):
        actions.generations.retry(answer=question, actor=alice)


@pytest.mark.django_db(transaction=True)
def test_of_several_retries_at_once_one_is_taken(sent: actions.messages.Sent, alice: User) -> None:
    answer = ended(sent, State.FAILED)
    results = at_once(*[lambda: actions.generations.retry(answer=answer, actor=alice)] * 4)
    assert sum(isinstance(result, TurnRunning) for result in results) == 3
    assert Message.objects.count() == 3


# --- Continue -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.STOPPED, State.INTERRUPTED, State.FAILED])
def test_an_answer_that_broke_off_can_be_continued(
    sent: actions.messages.Sent, alice: User, state: State
) -> None:
    answer = ended(sent, state)
    actions.generations.go_on(answer=answer, actor=alice)
    generation = Generation.objects.get(state=State.QUEUED)
    assert generation.request["prefill"] == "Some text"
    assert generation.choices.get().message == answer
    assert generation.choices.get().starts_at == len("Some text")
    assert Message.objects.count() == 2


def test_an_answer_whose_last_words_are_not_put_away_yet_cannot(
    sent: actions.messages.Sent, alice: User
) -> None:
    """They would be overwritten by what continues the words before them."""
    ended(sent, State.STOPPED)
    Generation.objects.update(settled_at=None)
    answer = access.message(alice, sent.answer.public_id, to="write")
    with pytest.raises(NothingToAnswer):
        actions.generations.go_on(answer=answer, actor=alice)


def test_an_answer_cut_at_its_limit_can_be_continued(
    sent: actions.messages.Sent, alice: User
) -> None:
    answer = ended(sent, State.DONE)
    Generation.objects.update(finish_reason="length")
    answer = access.message(alice, answer.public_id, to="write")
    actions.generations.go_on(answer=answer, actor=alice)
    assert Generation.objects.filter(state=State.QUEUED).exists()


def test_an_answer_that_is_complete_cannot(sent: actions.messages.Sent, alice: User) -> None:
    answer = ended(sent, State.DONE)
    with pytest.raises(NothingToAnswer):
        actions.generations.go_on(answer=answer, actor=alice)


def test_an_empty_answer_cannot(sent: actions.messages.Sent, alice: User) -> None:
    answer = ended(sent, State.FAILED, text="")
    with pytest.raises(NothingToAnswer):
        actions.generations.go_on(answer=answer, actor=alice)


def test_an_answer_in_the_middle_of_the_thread_cannot(
    sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    answer = ended(sent, State.STOPPED)
    conversation.refresh_from_db()
    send(conversation, alice, "Next")
    Generation.objects.update(state=State.STOPPED)
    answer = access.message(alice, answer.public_id, to="write")
    with pytest.raises(NothingToAnswer):
        actions.generations.go_on(answer=answer, actor=alice)


def test_where_the_server_would_begin_anew_it_cannot(
    sent: actions.messages.Sent, alice: User, settings: Settings
) -> None:
    settings.UPSTREAM_CONTINUES = False
    answer = ended(sent, State.STOPPED)
    with pytest.raises(NothingToAnswer):
        actions.generations.go_on(answer=answer, actor=alice)


# --- Stop -----------------------------------------------------------------------------------------


def test_stopping_what_is_queued_settles_it_at_once(
    sent: actions.messages.Sent, alice: User
) -> None:
    generation = Generation.objects.get()
    actions.generations.stop(generation=generation, actor=alice)
    generation.refresh_from_db()
    assert (generation.state, generation.stopped_by) == (State.STOPPED, alice)
    assert generation.settled_at


def test_stopping_what_runs_leaves_the_text_to_its_relay(
    sent: actions.messages.Sent, alice: User
) -> None:
    [choice] = actions.generations.claim(worker="relay", most=1)
    generation = choice.generation
    actions.generations.stop(generation=generation, actor=alice)
    generation.refresh_from_db()
    assert (generation.state, generation.settled_at) == (State.STOPPED, None)


def test_stopping_twice_keeps_the_first_name(
    sent: actions.messages.Sent, alice: User, bob: User
) -> None:
    generation = Generation.objects.get()
    actions.generations.stop(generation=generation, actor=alice)
    first = Generation.objects.values().get()
    actions.generations.stop(generation=generation, actor=bob)
    assert Generation.objects.values().get() == first
    entries = AuditEntry.objects.filter(verb="answer.stopped")
    assert [entry.actor for entry in entries] == [alice]


@pytest.mark.parametrize("state", [State.DONE, State.INTERRUPTED, State.FAILED])
def test_stopping_what_has_ended_changes_nothing(
    sent: actions.messages.Sent, alice: User, state: State
) -> None:
    ended(sent, state)
    before = Generation.objects.values().get()
    actions.generations.stop(generation=Generation.objects.get(), actor=alice)
    assert Generation.objects.values().get() == before
    assert not AuditEntry.objects.filter(verb="answer.stopped").exists()


@pytest.mark.django_db(transaction=True)
def test_when_two_stop_at_once_one_name_stands(
    sent: actions.messages.Sent, alice: User, bob: User
) -> None:
    def stop(person: User) -> None:
        actions.generations.stop(generation=Generation.objects.get(), actor=person)

    at_once(lambda: stop(alice), lambda: stop(bob))
    assert Generation.objects.get().stopped_by in {alice, bob}
    assert AuditEntry.objects.filter(verb="answer.stopped").count() == 1


# --- Claiming and settling ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_at_once_one_claims_it(sent: actions.messages.Sent) -> None:
    claims = at_once(
        *[lambda name=name: actions.generations.claim(worker=name, most=5) for name in "abcd"]
    )
    assert sum(map(len, claims)) == 1


def test_what_waits_for_a_moment_is_not_claimed_before(
    sent: actions.messages.Sent, settings: Settings
) -> None:
    settings.UPSTREAM_RETRY_BUDGET = 60
    later = timezone.now() + timedelta(seconds=settings.UPSTREAM_RETRY_BUDGET / 2)
    Generation.objects.update(not_before=later)
    assert actions.generations.claim(worker="relay", most=5) == []
    Generation.objects.update(not_before=timezone.now())
    assert len(actions.generations.claim(worker="relay", most=5)) == 1


def test_a_moment_that_no_wait_could_reach_keeps_nobody_waiting(
    sent: actions.messages.Sent, settings: Settings
) -> None:
    settings.UPSTREAM_RETRY_BUDGET = 30
    Generation.objects.update(not_before=timezone.now() + timedelta(seconds=60))
    assert len(actions.generations.claim(worker="relay", most=5)) == 1


def test_who_asks_much_at_once_holds_up_themselves_alone(
    alice: User, bob: User, charlie: User, settings: Settings
) -> None:
    asked = [(alice, "a1"), (alice, "a2"), (alice, "a3"), (bob, "b1"), (charlie, "c1"), (bob, "b2")]
    for person, text in asked:
        row = Conversation.objects.create(title=text, model="crimson-falcon-4")
        Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
        send(row, person, text)
        if text == "a1":  # is written already
            assert len(actions.generations.claim(worker="relay", most=1)) == 1
    line = ["b1", "c1", "a2", "b2", "a3"]
    places = {
        choice.generation.conversation.title: place
        for choice, place in actions.generations.waiting()
    }
    assert sorted(places, key=lambda title: places[title]) == line
    claimed = []
    for _ in line:
        [choice] = actions.generations.claim(worker="relay", most=1)
        claimed.append(choice.generation.conversation.title)
    assert claimed == line


def test_where_one_is_written_at_a_time_people_take_turns(alice: User, bob: User) -> None:
    for person, text in [(alice, "a1"), (alice, "a2"), (alice, "a3"), (bob, "b1"), (bob, "b2")]:
        row = Conversation.objects.create(title=text, model="crimson-falcon-4")
        Participant.objects.create(conversation=row, user=person, role=Role.OWNER)
        send(row, person, text)
    claimed = []
    for _ in range(5):
        [choice] = actions.generations.claim(worker="relay", most=1)
        claimed.append(choice.generation.conversation.title)
        Generation.objects.filter(pk=choice.generation.pk).update(
            state=State.DONE, finish_reason="stop", settled_at=timezone.now()
        )
    assert claimed == ["a1", "b1", "a2", "b2", "a3"]


def test_a_question_after_a_stop_waits_for_the_stopped_text(
    sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    [choice] = actions.generations.claim(worker="relay", most=1)
    stopped = choice.generation
    actions.generations.stop(generation=stopped, actor=alice)
    conversation.refresh_from_db()
    send(conversation, alice, "Next")
    assert actions.generations.claim(worker="relay", most=5) == []
    Generation.objects.filter(pk=stopped.pk).update(settled_at=timezone.now())
    assert len(actions.generations.claim(worker="relay", most=5)) == 1


def test_what_was_stopped_meanwhile_is_not_postponed(
    sent: actions.messages.Sent, alice: User
) -> None:
    [choice] = actions.generations.claim(worker="relay", most=1)
    generation = choice.generation
    actions.generations.stop(generation=generation, actor=alice)
    moved = actions.generations.postpone(
        generation=generation, worker="relay", until=timezone.now(), reason="later"
    )
    assert not moved
    assert Generation.objects.get().state == State.STOPPED


def test_a_stop_wins_over_what_the_upstream_said_last(
    sent: actions.messages.Sent, alice: User
) -> None:
    [choice] = actions.generations.claim(worker="relay", most=1)
    generation = choice.generation
    actions.generations.stop(generation=generation, actor=alice)
    won = actions.generations.settle(
        generation=generation,
        worker="relay",
        kept=actions.generations.Kept(
            generation_id=generation.pk,
            message_id=sent.answer.pk,
            text="As far as this",
            reasoning="",
        ),
        outcome=actions.generations.Settlement(
            state=State.DONE, finish_reason="stop", prompt_tokens=1, completion_tokens=2
        ),
    )
    row = Generation.objects.get()
    assert won
    assert (row.state, row.finish_reason, row.completion_tokens) == (State.STOPPED, "", 2)
    assert Message.objects.get(pk=sent.answer.pk).text == "As far as this"


def test_ended_states_lead_nowhere() -> None:
    assert set(MOVES) == {State.QUEUED, State.RUNNING}
