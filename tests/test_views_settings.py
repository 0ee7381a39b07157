"""A conversation's settings: the API's ranges, with a message beside each field."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from conversations.models import Conversation, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def save(client: Client, conversation: Conversation, **fields: str) -> Any:
    form = {"model": "crimson-falcon-4"} | fields
    return client.post(f"/c/{conversation.public_id}/settings/", form)


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({}, {}),
        ({"temperature": "0"}, {"temperature": 0.0}),
        ({"temperature": "2"}, {"temperature": 2.0}),
        ({"temperature": "1.70"}, {"temperature": 1.7}),
        ({"top_p": "0"}, {"top_p": 0.0}),
        ({"top_p": "1"}, {"top_p": 1.0}),
        ({"max_tokens": "1"}, {"max_tokens": 1}),
        ({"max_tokens": " 4096 "}, {"max_tokens": 4096}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": "a\r\nb\r\n\r\nc\nd"}, {"stop": ["a", "b", "c", "d"]}),
        ({"temperature": "", "top_p": "", "max_tokens": "", "stop": ""}, {}),
    ],
)
def test_values_in_range_are_kept(
    client: Client, conversation: Conversation, fields: Any, parameters: Any
) -> None:
    assert save(client, conversation, **fields).status_code == 200
    assert Conversation.objects.get().parameters == parameters


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": "-0.1"}, "from 0 to 2"),
        ({"temperature": "2.1"}, "from 0 to 2"),
        ({"temperature": "warm"}, "Enter a number"),
        ({"temperature": "NaN"}, "Enter a number"),
        ({"temperature": "Infinity"}, "Enter a number"),
        ({"temperature": "1e999"}, "from 0 to 2"),
        ({"top_p": "-1"}, "from 0 to 1"),
        ({"top_p": "1.01"}, "from 0 to 1"),
        ({"max_tokens": "0"}, "at least 1"),
        ({"max_tokens": "-5"}, "at least 1"),
        ({"max_tokens": "1.5"}, "whole number"),
        ({"max_tokens": "9" * 30}, "less than or equal"),
        ({"max_tokens": "9" * 5000}, "whole number"),
        ({"stop": "1\n2\n3\n4\n5"}, "at most 4"),
        ({"model": "gpt-secret"}, "not offered"),
        ({"model": ""}, "required"),
        ({"model": "x" * 300}, "at most 200"),
        ({"system_prompt": "NUL \0"}, "Null characters"),
    ],
)
def test_values_out_of_range_are_refused_beside_the_field(
    client: Client, conversation: Conversation, fields: Any, words: str
) -> None:
    page = save(client, conversation, **fields)
    assert page.status_code == 422
    assert words in page.content.decode()
    assert Conversation.objects.get().parameters == {}
    assert Conversation.objects.get().model == "crimson-falcon-4"


def test_what_was_typed_stays_when_something_is_wrong(
    client: Client, conversation: Conversation
) -> None:
    page = save(client, conversation, temperature="9", system_prompt="Be <brief>")
    html = page.content.decode()
    assert 'value="9"' in html
    assert "Be &lt;brief&gt;" in html


def test_a_system_prompt_has_a_limit(
    client: Client, conversation: Conversation, settings: Settings
) -> None:
    settings.SYSTEM_PROMPT_MAX_CHARS = 100
    assert save(client, conversation, system_prompt="x" * 101).status_code == 422
    assert save(client, conversation, system_prompt="x" * 100).status_code == 200
    assert Conversation.objects.get().system_prompt == "x" * 100


def test_stop_sequences_have_a_limit(
    client: Client, conversation: Conversation, settings: Settings
) -> None:
    settings.STOP_MAX_CHARS = 10
    assert save(client, conversation, stop="x" * 11).status_code == 422
    assert save(client, conversation, stop="x" * 10).status_code == 200


def test_the_form_shows_what_is_set(client: Client, conversation: Conversation) -> None:
    save(client, conversation, temperature="1.25", stop="a\nb", model="amber-phoenix-4")
    html = client.get(f"/c/{conversation.public_id}/").content.decode()
    assert 'value="1.25"' in html
    assert "a\nb</textarea>" in html
    assert 'value="amber-phoenix-4"' in html
