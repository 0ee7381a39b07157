"""Which models are offered, to whom, and how soon a change is known."""

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from chatweb.upstreams import Server
from conversations import actions, catalogue
from conversations.actions.refusals import ModelNotForYou
from conversations.models import (
    AuditEntry,
    Conversation,
    Generation,
    LanguageModel,
    Message,
    Team,
    TeamMember,
    User,
)

pytestmark = pytest.mark.django_db

FALCON, OWL, PHOENIX = "crimson-falcon-4", "indigo-owl-4", "amber-phoenix-4"


@pytest.fixture(autouse=True)
def _lab(settings: Settings) -> None:
    settings.CATALOGUE_SECONDS = 60
    settings.UPSTREAM_SERVERS = {
        "lab": Server("lab", "http://127.0.0.1:9/v1", "lab-key", models=("tiny", OWL))
    }


def ids() -> list[str]:
    return [model.id for model in catalogue.models()]


def row(model_id: str) -> LanguageModel:
    return LanguageModel.objects.get(model_id=model_id)


@pytest.fixture
def save(operator: User) -> Callable[..., LanguageModel]:
    def _save(model_id: str, *, teams: tuple[Team, ...] = (), **columns: object) -> LanguageModel:
        actions.catalogue.fill(upstream="main")
        model = row(model_id)
        for name, value in columns.items():
            setattr(model, name, value)
        actions.catalogue.save(model=model, teams=teams, actor=operator)
        catalogue.refresh()
        return model

    return _save


def test_what_the_settings_name_is_offered_without_a_row() -> None:
    assert ids() == [FALCON, OWL, PHOENIX, "tiny"]
    assert {model.id: model.upstream for model in catalogue.models()} == {
        FALCON: "main", OWL: "main", PHOENIX: "main", "tiny": "lab",
    }  # fmt: skip


def test_rows_are_filled_once_and_say_the_same() -> None:
    before = catalogue.models()
    assert actions.catalogue.fill(upstream="main") == 3
    assert actions.catalogue.fill(upstream="lab", listed=["tiny", "other"]) == 2
    assert catalogue.models() == before
    assert actions.catalogue.fill(upstream="main") == 0
    assert actions.catalogue.fill(upstream="lab", listed=["tiny", "other"]) == 0
    assert AuditEntry.objects.filter(verb="models.filled").count() == 2


def test_what_a_server_lists_beyond_the_settings_waits_for_an_operator() -> None:
    actions.catalogue.fill(upstream="lab", listed=["tiny", "other"])
    assert not row("other").is_offered
    assert catalogue.find("other") is None


def test_where_the_server_is_asked_all_that_it_lists_is_offered(settings: Settings) -> None:
    settings.UPSTREAM_MODELS = ["auto"]
    assert ids() == ["tiny", OWL]
    catalogue.learn(["one", "two"])
    actions.catalogue.fill(upstream="main", listed=["one", "two"])
    assert ids() == ["one", "two", "tiny", OWL]


def test_what_auto_finds_beside_models_with_prices_waits_for_one(
    settings: Settings, save: Callable[..., LanguageModel], operator: User
) -> None:
    """At no price it would pass every budget of money."""
    settings.UPSTREAM_MODELS = ["auto"]
    catalogue.learn(["one", "two"])
    actions.catalogue.fill(upstream="main", listed=["one", "two"])
    save("one", price_in=Decimal(2))
    assert ids() == ["one", "two", "tiny", OWL], "what was on offer stays there"
    catalogue.learn(["one", "two", "new"])
    assert catalogue.find("new") is None, "nor before it has a row"
    for _ in range(2):
        actions.catalogue.fill(upstream="main", listed=["one", "two", "new"])
        assert ids() == ["one", "two", "tiny", OWL]
    last = AuditEntry.objects.filter(verb="models.filled").latest("at")
    assert last.details == {"upstream": "main", "added": 1, "waiting": 1}
    save("new", price_out=Decimal(3), is_offered=True)
    assert ids() == ["one", "two", "new", "tiny", OWL]


def test_where_no_model_of_the_server_has_a_price_new_ones_are_offered(
    settings: Settings, save: Callable[..., LanguageModel]
) -> None:
    save(FALCON, price_in=Decimal(2))
    settings.UPSTREAM_SERVERS = {
        "lab": Server("lab", "http://127.0.0.1:9/v1", "lab-key", models=("auto",))
    }
    for listed in (["tiny"], ["tiny", "new"]):
        catalogue.learn(listed, "lab")
        actions.catalogue.fill(upstream="lab", listed=listed)
    assert ids()[-2:] == ["tiny", "new"]


def test_another_process_knows_from_the_rows_what_the_server_listed(settings: Settings) -> None:
    settings.UPSTREAM_MODELS = ["auto"]
    catalogue.learn(["one", "two"])
    actions.catalogue.fill(upstream="main", listed=["one", "two"])
    catalogue.forget()
    assert ids() == ["one", "two", "tiny", OWL]


def test_a_row_that_nobody_edited_follows_the_settings(settings: Settings) -> None:
    actions.catalogue.fill(upstream="main")
    settings.UPSTREAM_MODELS = [FALCON]
    assert ids() == [FALCON, "tiny", OWL]
    actions.catalogue.fill(upstream="main")
    assert not row(PHOENIX).is_offered


def test_what_an_operator_set_stays(settings: Settings, save: Callable[..., LanguageModel]) -> None:
    save(FALCON, label="Falcon", is_offered=False)
    save(OWL, label="Owl", price_in=Decimal("1.5"))
    settings.UPSTREAM_MODELS = [FALCON]
    actions.catalogue.fill(upstream="main", listed=[FALCON])
    catalogue.refresh()
    assert catalogue.find(FALCON) is None
    owl = catalogue.find(OWL)
    assert owl is not None
    assert (owl.label, owl.price_in, owl.upstream) == ("Owl", Decimal("1.5"), "main")


def test_a_model_of_a_server_that_is_gone_is_not_offered(settings: Settings) -> None:
    actions.catalogue.fill(upstream="lab")
    settings.UPSTREAM_SERVERS = {}
    assert catalogue.find("tiny") is None
    assert catalogue.upstream("lab") is None


def test_a_name_that_no_line_holds_gets_no_row() -> None:
    assert actions.catalogue.fill(upstream="lab", listed=["a\nb", "", "x" * 201]) == 2
    assert set(LanguageModel.objects.values_list("model_id", flat=True)) == {"tiny", OWL}


def test_the_local_model_keeps_its_honest_name_and_note(
    settings: Settings, save: Callable[..., LanguageModel]
) -> None:
    settings.UPSTREAM_BASE_URL, settings.UPSTREAM_SERVERS = "", {}
    settings.LOCAL_MODEL_URL = "http://127.0.0.1:9/v1"
    actions.catalogue.fill(upstream="local")
    save("SmolLM2-135M-Instruct", label="GPT-9", description="Knows everything")
    (model,) = catalogue.models()
    assert model.label == "SmolLM2-135M-Instruct"
    assert "often wrong" in model.note


# --- Who may use what -----------------------------------------------------------------------------


@pytest.fixture
def research(alice: User) -> Team:
    team = Team.objects.create(name="Research")
    TeamMember.objects.create(team=team, user=alice)
    return team


def test_a_model_may_be_for_some_teams_alone(
    research: Team, alice: User, charlie: User, save: Callable[..., LanguageModel]
) -> None:
    save(FALCON, teams=(research,))
    assert catalogue.find_for(alice, FALCON) is not None
    assert catalogue.find_for(charlie, FALCON) is None
    assert FALCON in {model.id for model in catalogue.models_for(alice)}
    assert FALCON not in {model.id for model in catalogue.models_for(charlie)}


def test_whoever_may_not_use_it_is_refused_in_words_and_keeps_the_text(
    research: Team, charlie: User, save: Callable[..., LanguageModel], client: Client
) -> None:
    save(FALCON, teams=(research,), label="Falcon")
    client.force_login(charlie, backend="django.contrib.auth.backends.ModelBackend")
    fields = {"text": "My long question", "request_id": uuid4(), "model": FALCON}
    page = client.post("/conversations/", fields, headers={"HX-Request": "true"})
    assert page.status_code == 409
    html = page.content.decode()
    assert "The model Falcon is for certain teams" in html
    assert "My long question" in html
    assert not Message.objects.exists()


def test_nor_in_a_conversation_that_has_it(
    research: Team,
    shared: Conversation,
    bob: User,
    save: Callable[..., LanguageModel],
) -> None:
    save(FALCON, teams=(research,))
    with pytest.raises(ModelNotForYou):
        actions.messages.send(conversation=shared, author=bob, text="Hello", request_id=uuid4())


def test_settings_offer_what_the_person_may_use_and_leave_what_is_set(
    research: Team, conversation: Conversation, save: Callable[..., LanguageModel], client: Client,
    alice: User,
) -> None:  # fmt: skip
    save(OWL, teams=(research,))
    TeamMember.objects.all().delete()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    address = f"/c/{conversation.public_id}/settings/"
    assert client.post(address, {"model": OWL}).status_code == 422
    Conversation.objects.update(model=OWL)
    assert client.post(address, {"model": OWL, "temperature": "0.5"}).status_code == 200


def test_the_picker_shows_labels_and_descriptions(
    client: Client, alice: User, save: Callable[..., LanguageModel]
) -> None:
    save(FALCON, label="Falcon", description="For long texts")
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    html = client.get("/").content.decode()
    assert '<span class="option-name">Falcon</span>' in html
    assert '<span class="option-note">For long texts</span>' in html


def test_a_models_defaults_hold_where_the_conversation_says_nothing(
    conversation: Conversation, alice: User, save: Callable[..., LanguageModel]
) -> None:
    save(FALCON, parameters={"temperature": 0.2, "max_tokens": 100})
    Conversation.objects.update(parameters={"temperature": 0.9})
    conversation.refresh_from_db()
    actions.messages.send(conversation=conversation, author=alice, text="Hi", request_id=uuid4())
    asked = Generation.objects.get()
    assert asked.request["parameters"] == {"temperature": 0.9, "max_tokens": 100}
    assert asked.upstream == "main"


def test_a_question_goes_to_the_upstream_of_its_model(
    conversation: Conversation, alice: User
) -> None:
    Conversation.objects.update(model="tiny")
    conversation.refresh_from_db()
    actions.messages.send(conversation=conversation, author=alice, text="Hi", request_id=uuid4())
    assert Generation.objects.get().upstream == "lab"


# --- How much reading costs, and how old it may be ------------------------------------------------


def test_reading_is_free_while_it_is_fresh(
    alice: User,
    save: Callable[..., LanguageModel],
    research: Team,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    save(FALCON)
    catalogue.models()
    with django_assert_num_queries(0):
        assert catalogue.find(FALCON)
        assert catalogue.models_for(alice)
    save(FALCON, teams=(research,))
    catalogue.models()
    with django_assert_num_queries(1):
        catalogue.models_for(alice)


def test_a_change_elsewhere_is_known_as_soon_as_set(
    settings: Settings, save: Callable[..., LanguageModel]
) -> None:
    save(FALCON)
    assert catalogue.find(FALCON)
    LanguageModel.objects.filter(model_id=FALCON).update(is_offered=False)
    assert catalogue.find(FALCON), "not asked again yet"
    settings.CATALOGUE_SECONDS = 0
    assert catalogue.find(FALCON) is None


def test_no_key_is_shown_by_what_the_settings_hold() -> None:
    server = catalogue.upstream("lab")
    assert server is not None
    assert server.api_key == "lab-key"
    assert "lab-key" not in repr(server)
