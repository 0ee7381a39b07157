"""Several answers to one question: all are asked for or none, and each lives on its own."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import actions, fragments
from conversations.actions.asking import Asked
from conversations.actions.messages import Sent
from conversations.actions.refusals import (
    ModelNotForYou,
    NothingToAnswer,
    OverBudget,
    TooManyAnswers,
    TurnRunning,
)
from conversations.models import (
    Budget,
    Conversation,
    Draft,
    Generation,
    LanguageModel,
    Message,
    QueuedTurn,
    Reservation,
    Scope,
    State,
    Team,
    User,
    Vote,
)
from tests.drafts import (
    BROKEN,
    DONE,
    THREE,
    answers,
    ask,
    claimed,
    settle,
    shown,
)
from tests.queues import end, line, queue, said

pytestmark = pytest.mark.django_db

# --- Asking --------------------------------------------------------------------------------------


def test_all_drafts_are_queued_with_the_question_and_run_at_the_same_time(
    shared: Conversation, alice: User
) -> None:
    sent = ask(shared, alice)
    rows = list(Generation.objects.order_by("pk"))
    assert [(row.draft, row.drafts, row.model) for row in rows] == [
        (0, 3, "crimson-falcon-4"),
        (1, 3, "crimson-falcon-4"),
        (2, 3, "indigo-owl-4"),
    ]
    assert {row.question for row in rows} == {sent.question}
    assert all("n" not in row.request["parameters"] for row in rows)
    shared.refresh_from_db()
    assert shared.head == sent.answer == answers(sent)[0]
    assert Reservation.objects.count() == 3
    assert len(claimed()) == 3


def test_what_was_just_asked_looks_as_it_does_when_it_is_read(
    shared: Conversation, alice: User
) -> None:
    sent = ask(shared, alice)
    (head,) = Message.objects.filter(pk=sent.answer.pk).read_for_thread()
    assert fragments.article(sent.articles[1]) == fragments.article(fragments.shown(head))
    assert sent.html.count("<article") == 5


def test_the_same_request_id_twice_is_one_turn(shared: Conversation, alice: User) -> None:
    request_id = uuid4()
    first, again = (
        actions.queue.send(
            conversation=shared, author=alice, text="Hi", request_id=request_id, asked=THREE
        )
        for _ in range(2)
    )
    assert isinstance(first, Sent)
    assert isinstance(again, Sent)
    assert first.question == again.question
    assert first.html == again.html
    assert Generation.objects.count() == 3


def test_a_budget_takes_all_of_them_or_none(shared: Conversation, alice: User) -> None:
    Budget.objects.create(scope=Scope.PERSON, user=alice, unit="tokens", period="day", limit=9000)
    with pytest.raises(OverBudget):
        ask(shared, alice)  # each reserves 4096
    assert not Generation.objects.exists()
    assert not Reservation.objects.exists()
    assert not Draft.objects.exists()
    assert ask(shared, alice, Asked(2)).question


def test_each_counts_among_the_answers_that_one_may_have(
    shared: Conversation, alice: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_USER = 2
    with pytest.raises(TooManyAnswers, match="ask for fewer"):
        ask(shared, alice)


def test_every_model_must_be_the_askers_to_use(shared: Conversation, alice: User) -> None:
    row = LanguageModel.objects.create(
        model_id="indigo-owl-4", upstream="main", edited_at=timezone.now()
    )
    row.teams.add(Team.objects.create(name="Research"))
    with pytest.raises(ModelNotForYou):
        ask(shared, alice)
    assert not Message.objects.exists()


def test_the_database_lets_no_second_turn_begin_beside_drafts(
    shared: Conversation, alice: User
) -> None:
    sent = ask(shared, alice)
    for draft in (0, 1):
        with pytest.raises(IntegrityError), transaction.atomic():
            Generation.objects.create(conversation=shared, question=sent.question, draft=draft)


def test_the_form_says_what_is_wrong_at_the_field_and_keeps_what_was_typed(
    client: Client, shared: Conversation, alice: User, settings: Settings
) -> None:
    settings.DRAFTS_PER_TURN = 3
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    form: dict[str, Any] = {"text": "Which?", "request_id": uuid4(), "drafts": "3"}
    address = f"/c/{shared.public_id}/messages/"
    page = client.post(address, form | {"also": ["indigo-owl-4"]})
    assert page.status_code == 422
    assert "At most 3 answers to one question." in page.content.decode()
    assert "Which?" in page.content.decode()
    assert '<option value="3" selected>' in page.content.decode()
    page = client.post(address, form | {"drafts": "1", "also": ["retired-1"]})
    assert page.status_code == 422
    assert "A model is not offered." in page.content.decode()
    assert not Message.objects.exists()
    page = client.post(address, form | {"drafts": "2", "also": ["indigo-owl-4"]})
    assert page.status_code == 200
    assert Generation.objects.count() == 3
    assert '<option value="1" selected>' in page.content.decode(), "it holds for one message"


def test_a_new_conversation_may_begin_with_drafts(client: Client, alice: User) -> None:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    form = {"text": "Which?", "request_id": uuid4(), "drafts": "2", "model": "crimson-falcon-4"}
    assert client.post("/conversations/", form).content.decode().count("data-live") == 2


# --- Their lives ---------------------------------------------------------------------------------


def test_the_next_turn_waits_for_the_last_of_them(shared: Conversation, alice: User) -> None:
    ask(shared, alice)
    first, second, third = claimed()
    turn = queue(shared, alice, "And then?")
    for choice in (first, second):
        settle(choice)
        assert actions.queue.sweep() == 0
        with pytest.raises(TurnRunning):
            actions.generations.retry(answer=first.message, actor=alice)
    settle(third)
    assert actions.queue.sweep() == 1
    assert said(shared) == ["Which?", "And then?"]
    question = Message.objects.get(public_id=turn.public_id)
    assert question.parent == first.message, "it goes on from the one that leads"


def test_a_turn_in_the_queue_keeps_what_it_asks_for(shared: Conversation, alice: User) -> None:
    ask(shared, alice, Asked())
    turn = actions.queue.send(
        conversation=shared, author=alice, text="Next", request_id=uuid4(), asked=THREE
    )
    assert isinstance(turn, QueuedTurn)
    assert "3 answers" in fragments.queue(shared)
    end(shared)
    assert actions.queue.sweep() == 1
    assert [row.model for row in Generation.objects.open().order_by("pk")] == [
        "crimson-falcon-4",
        "crimson-falcon-4",
        "indigo-owl-4",
    ]


def test_a_queue_waits_for_people_where_the_leading_one_broke_off_until_they_choose(
    shared: Conversation, alice: User
) -> None:
    sent = ask(shared, alice, Asked(2))
    first, second = claimed()
    queue(shared, alice, "And then?")
    settle(first, BROKEN, "")
    assert "queue_next" not in fragments.queue(shared)
    assert "broke off" not in fragments.queue(shared), "the other one is still being written"
    settle(second)
    assert actions.queue.sweep() == 0
    assert "broke off" in fragments.queue(shared)
    actions.conversations.choose_head(conversation=shared, actor=alice, message=answers(sent)[1])
    assert actions.queue.sweep() == 1
    assert line(shared) == []


def test_one_is_stopped_alone_and_sending_now_stops_them_all(
    shared: Conversation, alice: User
) -> None:
    ask(shared, alice)
    one, *others = claimed()
    actions.generations.stop(generation=one.generation, actor=alice)
    assert Generation.objects.open().count() == 2
    turn = queue(shared, alice, "Never mind")
    actions.queue.send_now(turn=turn, actor=alice)
    stopped = Generation.objects.filter(state=State.STOPPED)
    assert stopped.count() == 3
    assert Generation.objects.open().get().question.text == "Never mind"
    assert not actions.generations.claim(worker="w", most=9), "stopped ones are still put away"
    for choice in (one, *others):
        settle(choice)
    assert len(actions.generations.claim(worker="w", most=9)) == 1


def test_a_stopped_draft_that_is_being_put_away_holds_no_other_up(
    shared: Conversation, alice: User
) -> None:
    ask(shared, alice, Asked(2))
    (one,) = actions.generations.claim(worker="w", most=1)
    actions.generations.stop(generation=one.generation, actor=alice)
    assert len(claimed()) == 1


def test_one_that_lost_its_relay_ends_alone_and_is_handed_on_beside_the_others(
    shared: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_CONTINUES = 1
    sent = ask(shared, alice)
    _first, second, _third = claimed()
    Generation.objects.filter(pk=second.generation_id).update(worker="dead")
    assert actions.generations.give_up(lost={"dead"}) == 1
    rest = Generation.objects.filter(choices__message=answers(sent)[1]).latest("pk")
    assert (rest.state, rest.draft, rest.drafts) == (State.QUEUED, 1, 3)
    assert Generation.objects.filter(state=State.RUNNING).count() == 2


def test_one_that_broke_off_is_asked_for_again_in_its_place_by_its_own_model(
    shared: Conversation, alice: User, bob: User
) -> None:
    sent = ask(shared, alice)
    first, second, third = claimed()
    for choice, outcome in ((first, DONE), (second, DONE), (third, BROKEN)):
        settle(choice, outcome)
    actions.votes.vote(answer=third.message, person=bob, is_given=True)
    again = actions.generations.retry(answer=third.message, actor=alice)
    assert shown(shared) == [first.message.public_id, second.message.public_id, again.public_id]
    assert shared.head == first.message
    assert Generation.objects.open().get().model == "indigo-owl-4"
    assert not Vote.objects.exists(), "nobody has voted for what is written now"
    end(shared)
    for replaced_or_done in (third.message, first.message):
        with pytest.raises(NothingToAnswer):
            actions.generations.retry(answer=replaced_or_done, actor=alice)
    assert sent.question.children.count() == 4
