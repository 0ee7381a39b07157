"""The admin's pages of models and budgets: through actions, and with no server's key anywhere."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from chatweb.upstreams import Server
from conversations import actions, catalogue
from conversations.actions import keys
from conversations.amounts import NANO
from conversations.models import (
    AuditEntry,
    Budget,
    BudgetCounter,
    Key,
    LanguageModel,
    Team,
    User,
)

pytestmark = pytest.mark.django_db

MODELS = "/admin/conversations/languagemodel/"
BUDGETS = "/admin/conversations/budget/"
CANARY = "canary-upstream-key-9917"


@pytest.fixture(autouse=True)
def _servers(settings: Settings) -> None:
    settings.UPSTREAM_API_KEY = CANARY
    settings.UPSTREAM_SERVERS = {
        "lab": Server("lab", "http://lab.internal:9/v1", CANARY, models=("tiny",))
    }
    catalogue.forget()


@pytest.fixture
def browser(operator: User) -> Client:
    client = Client()
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def falcon() -> LanguageModel:
    actions.catalogue.fill(upstream="main")
    actions.catalogue.fill(upstream="lab")
    return LanguageModel.objects.get(model_id="crimson-falcon-4")


def form_of(row: LanguageModel, **fields: Any) -> dict[str, Any]:
    form = {
        "upstream": row.upstream,
        "label": row.label,
        "price_in": "0",
        "price_out": "0",
        "position": str(row.position),
        "is_offered": "on",
    }
    return {name: value for name, value in (form | fields).items() if value not in ("", None)}


def last_entry() -> AuditEntry:
    return AuditEntry.objects.latest("pk")


# --- Models ---------------------------------------------------------------------------------------


def test_models_are_listed_with_their_state_and_no_key(
    browser: Client, falcon: LanguageModel
) -> None:
    LanguageModel.objects.create(model_id="old", upstream="gone")
    for address in (MODELS, f"{MODELS}{falcon.pk}/change/", f"{MODELS}add/"):
        html = browser.get(address).content.decode()
        assert CANARY not in html
        assert "lab.internal" not in html
    html = browser.get(MODELS).content.decode()
    assert "offered (settings)" in html
    assert "its server is not set up" in html


def test_a_model_is_changed_through_its_action(
    browser: Client, operator: User, falcon: LanguageModel
) -> None:
    team = Team.objects.create(name="Research")
    fields = {
        "label": "Falcon",
        "description": "For long texts",
        "price_in": "2.5",
        "price_out": "10",
        "context_tokens": "128000",
        "teams": [str(team.pk)],
        "temperature": "0.2",
        "stop": "END\r\nSTOP",
    }
    answer = browser.post(f"{MODELS}{falcon.pk}/change/", form_of(falcon, **fields))
    assert answer.status_code == 302, answer.content.decode()
    row = LanguageModel.objects.get(pk=falcon.pk)
    assert (row.label, row.price_in, row.context_tokens) == ("Falcon", Decimal("2.5"), 128_000)
    assert row.parameters == {"temperature": 0.2, "stop": ["END", "STOP"]}
    assert list(row.teams.all()) == [team]
    assert row.edited_at
    entry = AuditEntry.objects.get(verb="model.changed")
    assert entry.actor == operator
    assert entry.details == {"model": "crimson-falcon-4", "offered": True}
    html = browser.get(f"{MODELS}{falcon.pk}/change/").content.decode()
    assert "END\nSTOP" in html


@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", "3"), ("stop", "1\n2\n3\n4\n5"), ("price_in", "-1"), ("upstream", "evil")],
)
def test_nonsense_is_refused_beside_its_field(
    browser: Client, falcon: LanguageModel, field: str, value: str
) -> None:
    answer = browser.post(f"{MODELS}{falcon.pk}/change/", form_of(falcon, **{field: value}))
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert LanguageModel.objects.get(pk=falcon.pk).edited_at is None


def test_the_id_stays_and_nothing_else_is_set(browser: Client, falcon: LanguageModel) -> None:
    browser.post(
        f"{MODELS}{falcon.pk}/change/",
        form_of(falcon, model_id="other", base_url="http://evil.example", api_key="x"),
    )
    assert LanguageModel.objects.get(pk=falcon.pk).model_id == "crimson-falcon-4"


def test_a_model_is_added_and_never_deleted(browser: Client, falcon: LanguageModel) -> None:
    html = browser.get(f"{MODELS}add/").content.decode()
    assert '<option value="lab">lab</option>' in html
    form = form_of(falcon, model_id="new-one", upstream="lab")
    assert browser.post(f"{MODELS}add/", form).status_code == 302
    catalogue.refresh()
    found = catalogue.find("new-one")
    assert found is not None
    assert found.upstream == "lab"
    added = LanguageModel.objects.get(model_id="new-one")
    assert browser.post(f"{MODELS}{added.pk}/delete/", {"post": "yes"}).status_code == 404


def test_models_are_offered_and_withdrawn_together(browser: Client, falcon: LanguageModel) -> None:
    form = {"action": "withdraw", "_selected_action": [falcon.pk]}
    assert "1 model is offered no more" in browser.post(MODELS, form, follow=True).content.decode()
    catalogue.refresh()
    assert catalogue.find("crimson-falcon-4") is None
    browser.post(MODELS, form | {"action": "offer"})
    catalogue.refresh()
    assert catalogue.find("crimson-falcon-4") is not None
    assert last_entry().verb == "model.changed"


def test_the_order_is_that_of_the_positions(browser: Client, falcon: LanguageModel) -> None:
    def offered() -> list[str]:
        catalogue.refresh()
        return [model.id for model in catalogue.models()]

    before = offered()
    assert before[0] == falcon.model_id
    assert len(before) > 1
    for position, after in (
        ("1000", [*before[1:], falcon.model_id]),
        ("0", before),
    ):
        form = form_of(falcon, position=position)
        assert browser.post(f"{MODELS}{falcon.pk}/change/", form).status_code == 302
        assert offered() == after


def test_the_local_model_cannot_be_renamed(browser: Client, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL, settings.UPSTREAM_SERVERS = "", {}
    settings.LOCAL_MODEL_URL = "http://127.0.0.1:9/v1"
    actions.catalogue.fill(upstream="local")
    row = LanguageModel.objects.get()
    browser.post(f"{MODELS}{row.pk}/change/", form_of(row, label="GPT-9", description="Best"))
    row.refresh_from_db()
    assert (row.label, row.description) == ("", "")
    assert row.edited_at


# --- Budgets --------------------------------------------------------------------------------------


def budget(**fields: Any) -> dict[str, Any]:
    form = {"scope": "portal", "unit": "tokens", "period": "month", "is_active": "on"}
    return {name: value for name, value in (form | fields).items() if value}


def errors(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.context["adminform"].form.errors
    return found


def test_a_budget_is_set_through_its_action(browser: Client, alice: User) -> None:
    form = budget(scope="person", person=alice.email.upper(), amount="50000", contact="Olga")
    assert browser.post(f"{BUDGETS}add/", form).status_code == 302
    row = Budget.objects.get()
    assert (row.user, row.limit, row.contact) == (alice, 50_000, "Olga")
    assert last_entry().verb == "budget.made"
    assert last_entry().details["limit"] == 50_000
    html = browser.get(BUDGETS).content.decode()
    assert "alice@example.com" in html
    assert "0 % (0 tokens)" in html


def test_money_is_kept_in_nanos_and_shown_as_it_was_typed(
    browser: Client, settings: Settings
) -> None:
    settings.CURRENCY = "EUR"
    form = budget(unit="money", amount="12.5", period="day")
    assert browser.post(f"{BUDGETS}add/", form).status_code == 302
    row = Budget.objects.get()
    assert row.limit == 12 * NANO + NANO // 2
    assert 'value="12.5"' in browser.get(f"{BUDGETS}{row.pk}/change/").content.decode()
    assert "12.50 EUR" in browser.get(BUDGETS).content.decode()


def test_a_key_has_one_too(browser: Client, alice: User) -> None:
    key, _token = keys.make(user=alice, actor=alice, name="Nightly", expires_at=None, models=[])
    form = budget(scope="key", of_key=key.prefix, amount="10", person=alice.email)
    assert browser.post(f"{BUDGETS}add/", form).status_code == 302
    row = Budget.objects.get()
    assert (row.key, row.user) == (key.public_id, None)
    assert str(key) in browser.get(BUDGETS).content.decode()
    assert Key.objects.get().key_hash not in browser.get(BUDGETS).content.decode()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scope": "person", "amount": "1"}, "person"),
        ({"scope": "person", "amount": "1", "person": "nobody@example.com"}, "person"),
        ({"scope": "key", "amount": "1", "of_key": "lt_nobody"}, "of_key"),
        ({"scope": "team", "amount": "1"}, "team"),
        ({"scope": "key", "amount": "1"}, "of_key"),
        ({"amount": "0"}, "amount"),
        ({"amount": "1.5"}, "amount"),
        ({"amount": "10000000000000000"}, "amount"),
        ({"amount": "2000000000", "unit": "money"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"scope": "everybody", "amount": "1"}, "scope"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(
    browser: Client, fields: dict[str, str], field: str
) -> None:
    assert field in errors(browser.post(f"{BUDGETS}add/", budget(**fields)))
    assert not Budget.objects.exists()


def test_there_is_one_of_a_kind(browser: Client) -> None:
    browser.post(f"{BUDGETS}add/", budget(amount="10"))
    assert "such a budget already" in str(
        errors(browser.post(f"{BUDGETS}add/", budget(amount="9")))
    )
    browser.post(f"{BUDGETS}add/", budget(amount="10", period="day"))
    assert Budget.objects.count() == 2


def test_a_budget_is_changed_and_deleted(browser: Client) -> None:
    row = Budget.objects.create(scope="portal", limit=5)
    BudgetCounter.objects.create(budget=row, starts="2026-01-01", used=3)
    browser.post(f"{BUDGETS}{row.pk}/change/", budget(amount="7"))
    row.refresh_from_db()
    assert row.limit == 7
    assert last_entry().verb == "budget.changed"
    browser.post(f"{BUDGETS}{row.pk}/delete/", {"post": "yes"})
    assert not Budget.objects.exists()
    assert last_entry().verb == "budget.deleted"


@pytest.mark.parametrize("address", [MODELS, BUDGETS, f"{MODELS}add/", f"{BUDGETS}add/"])
def test_reviewers_and_members_find_none_of_it(rita: User, charlie: User, address: str) -> None:
    for person in (rita, charlie):
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(address).status_code == 404
        assert client.post(address, budget(amount="1")).status_code == 404
