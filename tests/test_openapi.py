"""The document about the gateway says what the gateway does."""

import re
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from conversations import openapi
from conversations.gateway import app, body
from conversations.gateway.problems import Problem
from conversations.models import User
from tests.programs import body as asking
from tests.programs import call

pytestmark = pytest.mark.django_db(transaction=True)


def schema(name: str) -> jsonschema_rs.Validator:
    document = openapi.document()
    reference = {"$ref": f"#/components/schemas/{name}"}
    return jsonschema_rs.validator_for(reference | {"components": document["components"]})


def taken(value: dict[str, Any]) -> bool:
    import json

    try:
        body.read(json.dumps(value).encode())
    except Problem:
        return False
    return True


ONE = {"role": "user", "content": "Hi"}
REQUESTS: list[dict[str, Any]] = [
    {},
    {"temperature": 2},
    {"temperature": 2.1},
    {"temperature": None},
    {"temperature": "1"},
    {"top_p": 0},
    {"top_p": 1.5},
    {"max_tokens": openapi.MOST_TOKENS},
    {"max_tokens": openapi.MOST_TOKENS + 1},
    {"max_tokens": 0},
    {"n": 8},
    {"n": 9},
    {"stop": "END"},
    {"stop": ""},
    {"stop": ["a"] * 4},
    {"stop": ["a"] * 5},
    {"stream": True},
    {"stream": 1},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"stream": True, "stream_options": {"other": True}},
    {"messages": []},
    {"messages": [{"role": "tool", "content": "x"}]},
    {"messages": [{"role": "user"}]},
    {"messages": [ONE | {"name": "alice", "tool_calls": None}]},
    {"messages": [ONE | {"api_base": "x"}]},
    {"model": ""},
    {"api_base": "http://elsewhere.invalid"},
    {"user": "alice"},
    *({name: value} for name, value in openapi.NEUTRAL.items()),
    *({name: "x"} for name in openapi.NEUTRAL),
]


@pytest.mark.parametrize("more", REQUESTS, ids=str)
def test_what_it_allows_is_taken_and_what_it_does_not_is_refused(more: dict[str, Any]) -> None:
    value = asking() | more
    assert schema("Request").is_valid(value) == taken(value)


async def test_answers_are_as_it_says(token: str) -> None:
    assert schema("Completion").is_valid((await call(token, asking(n=2))).json)
    models = await call(token, method="GET", path="/v1/models")
    assert schema("ModelList").is_valid(models.json)
    for got in (await call("", asking()), await call(token, asking(temperature=9))):
        assert schema("Error").is_valid(got.json)


def test_it_names_every_address_and_no_other() -> None:
    paths = openapi.document()["paths"]
    views = {app._view(path.replace("{model}", "x")): set(verbs) for path, verbs in paths.items()}
    assert views == {
        view: {"get"} if "GET" in verbs else {"post"}
        for view, (verbs, _run) in app.VIEWS.items()
        if view != "v1_openapi"
    }


def test_it_names_every_parameter_and_no_other() -> None:
    assert tuple(openapi.parameters()) == openapi.PARAMETERS


def test_it_is_in_english_whatever_the_portal_speaks() -> None:
    with translation.override("de"):
        assert "How many answers." in str(openapi.document())


# --- What people read -----------------------------------------------------------------------------


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_examples_have_the_portals_own_address(browser: Client) -> None:
    page = browser.get(reverse("programs"), headers={"Host": "localhost:8443"}, secure=True)
    shown = page.content.decode()
    assert "curl https://localhost:8443/v1/chat/completions" in shown
    assert "base_url=&quot;https://localhost:8443/v1&quot;" in shown
    assert "crimson-falcon-4" in shown


def test_the_python_example_is_python(browser: Client) -> None:
    context = browser.get(reverse("programs")).context
    compile(f"{context['python']}\n{context['streaming']}", "example", "exec")


def test_the_reference_names_every_parameter_with_its_range(browser: Client) -> None:
    shown = browser.get(reverse("reference")).content.decode()
    for name in openapi.PARAMETERS:
        assert f"<code>{name}</code>" in shown
    assert re.search(r"number 0.2<", shown)
    for status in openapi.ERRORS:
        assert f">{status}<" in shown
