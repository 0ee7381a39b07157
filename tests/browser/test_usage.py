"""Usage, budgets and models as people find them: seen by axe in both themes, wide and narrow."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conversations import actions, ledger
from conversations.actions import people
from conversations.models import (
    Budget,
    BudgetCounter,
    Ending,
    LanguageModel,
    Scope,
    Source,
    UsageRecord,
    User,
)
from tests.browser.rows import MODEL, newcomer
from tests.browser.test_accessibility import look
from tests.browser.thread import Visit
from tests.browser.watch import Watch

numbers = count()


def use(person: User, *, days: int = 30) -> None:
    for day in range(days):
        for model in (MODEL, "indigo-owl-4"):
            UsageRecord.objects.create(
                reference=f"call:browser-{next(numbers)}",
                user=person,
                person_label=person.email,
                at=timezone.now() - timedelta(days=day),
                model=model,
                upstream="main",
                prompt_tokens=900 + 70 * (day * 7 % 11),
                completion_tokens=300 + 90 * (day * 5 % 7),
                source=Source.ESTIMATED if day % 9 == 0 else Source.KNOWN,
                money_nanos=1_700_000 * (day + 1),
                first_token_ms=300 + 40 * day,
                duration_ms=4000 + 300 * day,
                outcome=Ending.FAILED if day % 13 == 5 else Ending.DONE,
            )


@pytest.fixture
def operator(portal: object) -> User:
    person = newcomer("Olga")
    people.set_operator(user=person, actor=None, is_operator=True)
    return person


@pytest.fixture
def near(alice: User) -> Iterator[Budget]:
    budget = Budget.objects.create(
        scope=Scope.PERSON, user=alice, limit=100_000, contact="Olga in IT"
    )
    today = ledger.period_start(budget.period, timezone.now())
    BudgetCounter.objects.create(budget=budget, starts=today, used=86_000)
    yield budget
    budget.delete()


def test_ones_own_usage(visit: Visit, alice: User, near: Budget) -> None:
    use(alice)
    page = visit(alice, "/usage/mine/")
    expect(page.get_by_role("img", name="Tokens a day")).to_be_visible()
    look(page)
    page.get_by_label("By", exact=True).select_option("model")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("rowheader", name="indigo-owl-4")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename.startswith("usage-model-")


def test_everybodys_usage(visit: Visit, operator: User, alice: User) -> None:
    use(alice)
    page = visit(operator, "/usage/?by=person")
    expect(page.get_by_role("rowheader", name=alice.email)).to_be_visible()
    look(page)


def test_days_that_cannot_be_meant(visit: Visit, operator: User, watch: Watch) -> None:
    watch.allow("422")
    page = visit(operator, "/usage/")
    page.goto("/usage/?since=2026-02-01&until=2026-01-01")
    expect(page.get_by_text("This is before the first day.")).to_be_visible()
    look(page)


def test_the_composer_shows_a_budget_that_is_nearly_used_up(
    visit: Visit, alice: User, near: Budget
) -> None:
    page = visit(alice)
    expect(page.get_by_text("86 % of your budget is used or reserved.")).to_be_visible()
    look(page)


def test_a_refusal_for_a_budget_keeps_the_text(
    visit: Visit, alice: User, near: Budget, watch: Watch
) -> None:
    watch.allow("409")
    Budget.objects.filter(pk=near.pk).update(limit=86_100)
    page = visit(alice)
    field = page.get_by_label("Message")
    field.fill("What I had to say")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Olga in IT can raise it.")).to_be_visible()
    expect(field).to_have_value("What I had to say")
    look(page)


def test_models_and_budgets_in_the_administration(
    visit: Visit, operator: User, near: Budget, watch: Watch
) -> None:
    # axe copies the admin's style sheets, which the policy forbids, and does without.
    watch.allow("inline style|style-src|preload assets")
    actions.catalogue.fill(upstream="main")  # the portal does it too, as soon as it has asked
    page = visit(operator, "/admin/conversations/languagemodel/")
    row = LanguageModel.objects.get(model_id=MODEL)
    look(page)
    page.goto(f"/admin/conversations/languagemodel/{row.pk}/change/")
    look(page)
    page.goto("/admin/conversations/budget/")
    look(page)
    page.goto("/admin/conversations/budget/add/")
    look(page)
