"""Which models a program may use, and which server its calls go to."""

from collections.abc import AsyncIterator

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from chatweb.upstreams import Server
from conversations import actions, catalogue
from conversations.models import LanguageModel, Team, TeamMember, UsageRecord, User
from tests.programs import COMPLETIONS, MODEL, UPSTREAM_KEY, body, call, key_of
from tests.relays import db
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)

LABS = "indigo-owl-4"


# --- Servers --------------------------------------------------------------------------------------


@pytest.fixture
async def lab(keyed: ScriptedUpstream, settings: Settings) -> AsyncIterator[ScriptedUpstream]:
    """A second server, with a model and a key of its own."""
    async with ScriptedUpstream(key="lab-key") as scripted:
        settings.UPSTREAM_MODELS = [MODEL]
        settings.UPSTREAM_SERVERS = {
            "lab": Server("lab", scripted.base_url, "lab-key", models=(LABS,))
        }
        catalogue.forget()
        yield scripted


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_goes_to_the_server_of_its_model_with_that_servers_key(
    token: str, keyed: ScriptedUpstream, lab: ScriptedUpstream, stream: bool
) -> None:
    got = await call(token, body(model=LABS, stream=stream))
    assert got.status == 200
    [request] = lab.requests
    assert request.json["model"] == LABS
    assert request.headers["authorization"] == "Bearer lab-key"
    assert UPSTREAM_KEY not in str(request.headers)
    assert keyed.requests == []
    assert (await call(token, body(stream=stream))).status == 200
    [request] = keyed.requests
    assert request.json["model"] == MODEL
    assert request.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert len(lab.requests) == 1
    records = UsageRecord.objects.order_by("pk").values_list("model", "upstream")
    assert await db(lambda: list(records)) == [(LABS, "lab"), (MODEL, "main")]


# --- Teams ----------------------------------------------------------------------------------------


@pytest.fixture
def research(alice: User, operator: User) -> Team:
    """Alice's team, which alone may use the model."""
    team = Team.objects.create(name="Research")
    TeamMember.objects.create(team=team, user=alice)
    actions.catalogue.fill(upstream="main")
    model = LanguageModel.objects.get(model_id=MODEL)
    actions.catalogue.save(model=model, teams=(team,), actor=operator)
    catalogue.refresh()
    return team


async def test_a_model_for_one_team_is_there_for_its_members_alone(
    token: str, research: Team, keyed: ScriptedUpstream, bob: User
) -> None:
    _key, outside = await key_of(bob)
    for one, names in (
        (token, django_settings.UPSTREAM_MODELS),
        (outside, [name for name in django_settings.UPSTREAM_MODELS if name != MODEL]),
    ):
        got = await call(one, method="GET", path="/v1/models")
        assert [model["id"] for model in got.json["data"]] == names
    for method, path in (("POST", COMPLETIONS), ("GET", f"/v1/models/{MODEL}")):
        got = await call(outside, body(), method=method, path=path)
        assert (got.status, got.error["code"]) == (404, "model_not_found")
        assert keyed.requests == []
        assert (await call(token, body(), method=method, path=path)).status == 200
        keyed.requests.clear()


async def test_a_key_that_names_a_model_opens_it_for_no_outsider(
    token: str, research: Team, keyed: ScriptedUpstream, bob: User
) -> None:
    _key, outside = await key_of(bob, models=[MODEL])
    got = await call(outside, method="GET", path="/v1/models")
    assert got.json["data"] == []
    got = await call(outside, body())
    assert (got.status, got.error["code"]) == (404, "model_not_found")
    assert keyed.requests == []
