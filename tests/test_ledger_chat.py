"""Each answer of the chat leaves one record, however it ends. Budgets hold for questions."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import actions, ledger
from conversations.actions.generations import Kept, Settlement
from conversations.actions.refusals import OverBudget
from conversations.models import (
    Budget,
    BudgetCounter,
    Choice,
    Conversation,
    Generation,
    LanguageModel,
    Message,
    Reservation,
    Scope,
    State,
    Team,
    TeamMember,
    UsageRecord,
    User,
)
from tests.relays import send

pytestmark = pytest.mark.django_db

DONE = Settlement(
    state=State.DONE, finish_reason="stop", prompt_tokens=30, completion_tokens=7
)  # fmt: skip


def claim() -> Choice:
    (choice,) = actions.generations.claim(worker="w", most=1)
    return choice


def settle(choice: Choice, outcome: Settlement, text: str = "So.", before: int = 0) -> bool:
    kept = Kept(
        generation_id=choice.generation_id,
        message_id=choice.message_id,
        text=text,
        reasoning="",
        before=before,
    )
    return actions.generations.settle(
        generation=choice.generation, worker="w", kept=kept, outcome=outcome
    )


def record() -> UsageRecord:
    assert not Reservation.objects.exists()
    return UsageRecord.objects.get()


# --- One record, whatever happens -----------------------------------------------------------------


def test_an_answer_that_is_done(conversation: Conversation, alice: User) -> None:
    LanguageModel.objects.create(
        model_id="crimson-falcon-4",
        upstream="main",
        price_in=Decimal(1),
        price_out=Decimal(2),
        edited_at=timezone.now(),
    )
    generation = send(conversation, alice)
    assert settle(claim(), DONE)
    kept = record()
    assert kept.reference == f"generation:{generation.public_id}"
    assert (kept.user, kept.conversation, kept.key) == (alice, conversation, "")
    assert (kept.model, kept.upstream) == ("crimson-falcon-4", "main")
    assert (kept.prompt_tokens, kept.completion_tokens, kept.source) == (30, 7, "known")
    assert kept.money_nanos == 44_000
    assert (kept.outcome, kept.reason) == ("done", "stop")


def test_one_that_nobody_counted_is_estimated(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.CHARACTERS_PER_TOKEN = 1
    send(conversation, alice, "x" * 10)
    broke_off = Settlement(state=State.INTERRUPTED, error_code="eof", error_message="It broke.")
    assert settle(claim(), broke_off, "y" * 20)
    kept = record()
    # One for each character, and four for each message and the beginning of the answer.
    assert (kept.prompt_tokens, kept.completion_tokens) == (10 + 2 * 4, 20)
    assert (kept.source, kept.outcome, kept.reason) == ("estimated", "interrupted", "eof")


def test_one_that_fails(conversation: Conversation, alice: User) -> None:
    send(conversation, alice)
    settle(claim(), Settlement(state=State.FAILED, error_code="bad_key", error_message="No."), "")
    assert (record().outcome, record().reason, record().prompt_tokens) == ("failed", "bad_key", 0)


def test_one_that_is_stopped_while_it_waits(conversation: Conversation, alice: User) -> None:
    actions.generations.stop(generation=send(conversation, alice), actor=alice)
    assert (record().outcome, record().source, record().prompt_tokens) == ("stopped", "known", 0)


def test_one_that_is_stopped_while_it_is_written(conversation: Conversation, alice: User) -> None:
    generation = send(conversation, alice)
    choice = claim()
    actions.generations.stop(generation=generation, actor=alice)
    assert not UsageRecord.objects.exists()
    assert settle(choice, DONE)
    assert (record().outcome, record().reason, record().completion_tokens) == ("stopped", "", 7)


@pytest.mark.parametrize("stopped", [False, True])
def test_one_whose_relay_died_is_estimated_by_whoever_gives_it_up(
    conversation: Conversation, alice: User, settings: Settings, stopped: bool
) -> None:
    settings.CHARACTERS_PER_TOKEN = 1
    generation = send(conversation, alice)
    choice = claim()
    Message.objects.filter(pk=choice.message_id).update(text="z" * 9)
    if stopped:
        actions.generations.stop(generation=generation, actor=alice)
    assert actions.generations.give_up(lost={"w"}) == 1
    assert not settle(choice, DONE), "it comes too late"
    outcome = "stopped" if stopped else "interrupted"
    assert (record().outcome, record().completion_tokens) == (outcome, 9)
    assert record().source == "estimated"


def test_what_goes_on_counts_only_its_own_words(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.CHARACTERS_PER_TOKEN = 1
    send(conversation, alice)
    broke_off = Settlement(state=State.INTERRUPTED, error_code="eof", error_message="It broke.")
    settle(claim(), broke_off, "y" * 20)
    conversation.refresh_from_db()
    answer = Message.objects.for_thread().get(role="assistant")
    actions.generations.go_on(answer=answer, actor=alice)
    settle(claim(), broke_off, "y" * 25, before=20)
    assert list(UsageRecord.objects.values_list("completion_tokens", flat=True)) == [20, 5]


def test_what_is_put_back_keeps_its_reservation(conversation: Conversation, alice: User) -> None:
    generation = send(conversation, alice)
    claim()
    assert actions.generations.postpone(
        generation=generation, worker="w", until=timezone.now(), reason="Later."
    )
    assert Reservation.objects.count() == 1
    Generation.objects.update(not_before=None)
    settle(claim(), DONE)
    assert record().outcome == "done"


def test_what_is_handed_on_is_reserved_anew_or_not_done(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_CONTINUES = 1
    budget = Budget.objects.create(scope=Scope.PORTAL, limit=10_000)
    send(conversation, alice)
    claim()
    actions.generations.give_up(lost={"w"})
    assert Reservation.objects.count() == 1, "the rest"
    claim()
    Generation.objects.filter(state=State.RUNNING).update(worker="w2")
    Budget.objects.filter(pk=budget.pk).update(limit=1)
    settings.RELAY_CONTINUES = 5
    actions.generations.give_up(lost={"w2"})
    assert not Reservation.objects.exists()
    assert UsageRecord.objects.count() == 2
    assert not Generation.objects.open().exists()


# --- Budgets --------------------------------------------------------------------------------------


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def post(client: Client, conversation: Conversation, text: str) -> Any:
    fields = {"text": text, "request_id": uuid4()}
    address = f"/c/{conversation.public_id}/messages/"
    return client.post(address, fields, headers={"HX-Request": "true"})


def test_over_budget_a_question_is_refused_with_the_reason_and_stays_in_the_composer(
    signed_in: Client, conversation: Conversation, alice: User
) -> None:
    Budget.objects.create(scope=Scope.PERSON, user=alice, limit=50, contact="Olga")
    page = post(signed_in, conversation, "My long question")
    assert page.status_code == 409
    html = page.content.decode()
    assert "what is left of your budget" in html
    assert "Olga can raise it" in html
    assert "My long question" in html
    assert not Message.objects.exists()
    assert not Generation.objects.exists()


def test_a_team_and_the_portal_say_so(conversation: Conversation, alice: User) -> None:
    team = Team.objects.create(name="Research")
    TeamMember.objects.create(team=team, user=alice)
    budget = Budget.objects.create(scope=Scope.TEAM, team=team, limit=1)
    with pytest.raises(OverBudget, match=r"budget of Research\. .*Whoever runs this portal"):
        send(conversation, alice)
    Budget.objects.filter(pk=budget.pk).update(scope=Scope.PORTAL, team=None)
    with pytest.raises(OverBudget, match="is left of the portal"):
        send(conversation, alice)


def test_within_budget_the_answer_gets_the_maximum_that_was_reserved(
    conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.BUDGET_ANSWER_TOKENS = 99
    Budget.objects.create(scope=Scope.PORTAL, limit=10_000)
    assert send(conversation, alice).request["parameters"] == {"max_tokens": 99}
    assert BudgetCounter.objects.get().reserved > 99
    settle(claim(), DONE)
    counter = BudgetCounter.objects.get()
    assert (counter.used, counter.reserved) == (37, 0)


def test_without_a_budget_nothing_is_added(conversation: Conversation, alice: User) -> None:
    assert send(conversation, alice).request["parameters"] == {}


def test_a_double_click_is_charged_once(signed_in: Client, conversation: Conversation) -> None:
    Budget.objects.create(scope=Scope.PORTAL, limit=10_000)
    fields = {"text": "Once", "request_id": uuid4()}
    for _ in range(2):
        signed_in.post(f"/c/{conversation.public_id}/messages/", fields)
    assert Reservation.objects.count() == 1
    assert ledger.sweep() == 0, "an answer's reservation is its relay's"


@pytest.mark.parametrize(("limit", "is_shown"), [(1000, True), (2000, False)])
def test_the_page_shows_how_full_a_budget_is_before_it_refuses(
    signed_in: Client, conversation: Conversation, alice: User, limit: int, is_shown: bool
) -> None:
    budget = Budget.objects.create(
        scope=Scope.PERSON, user=alice, limit=limit, contact="Olga <olga@example.com>"
    )
    today = ledger.period_start(budget.period, timezone.now())
    BudgetCounter.objects.create(budget=budget, starts=today, used=790, reserved=60)
    for address in ("/", f"/c/{conversation.public_id}/"):
        html = signed_in.get(address).content.decode()
        assert ("85 % of your budget is used or reserved." in html) == is_shown
        assert ("150 tokens are left until" in html) == is_shown
        assert ("Olga &lt;olga@example.com&gt; can raise it." in html) == is_shown


def test_from_where_it_is_shown_is_set(signed_in: Client, alice: User, settings: Settings) -> None:
    settings.BUDGET_METER_PERCENT = 0
    Budget.objects.create(scope=Scope.PORTAL, limit=10)
    html = signed_in.get("/").content.decode()
    assert "0 % of the portal&#x27;s budget" in html or "0 % of the portal's budget" in html
