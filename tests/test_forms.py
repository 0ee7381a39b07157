"""What a form is given beyond its fields changes nothing."""

from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from conversations.forms import MessageForm, SettingsForm, TitleForm
from conversations.models import (
    Conversation,
    Generation,
    Message,
    Participant,
    Role,
    State,
    User,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def as_many_fields_as_there_are_columns(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000


def every_field() -> dict[str, str]:
    """Each column of each table under its name, with a value that would show."""
    names = {
        name
        for model in apps.get_app_config("conversations").get_models()
        for column in model._meta.get_fields()
        for name in (column.name, getattr(column, "attname", column.name))
    }
    return dict.fromkeys(sorted(names), "777")


def snapshot() -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (model._meta.label, row["id"]): row
        for model in apps.get_app_config("conversations").get_models()
        for row in model._default_manager.values()
    }


def changed(before: dict[tuple[str, int], dict[str, Any]]) -> dict[str, set[str]]:
    """Which columns of rows that were there have changed, by table."""
    after = snapshot()
    columns: dict[str, set[str]] = {}
    for key, row in before.items():
        names = {name for name in row if after[key][name] != row[name]}
        if names:
            columns.setdefault(key[0].removeprefix("conversations."), set()).update(names)
    return columns


@pytest.fixture
def client(client: Client, alice: User, conversation: Conversation, settings: Settings) -> Client:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000  # there are more columns than any form has fields
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def message_form() -> dict[str, str]:
    return {"text": "Hello", "request_id": str(uuid4())}


SETTINGS = {"model": "indigo-owl-4", "temperature": "1", "top_p": "", "max_tokens": "", "stop": ""}
SETTINGS["answers"] = "every"
ONE: dict[str, Any] = {"drafts": "1", "also": []}
FORMS = [
    ("messages/", message_form() | ONE, {"Conversation": {"head_id", "active_at", "revision"}}),
    ("title/", {"title": "Mine"}, {"Conversation": {"title", "is_named", "revision"}}),
    (
        "settings/",
        SETTINGS | {"system_prompt": "Brief"},
        {"Conversation": {"model", "parameters", "system_prompt", "revision"}},
    ),
    ("deletion/", {}, {"Conversation": {"deleted_at", "revision"}}),
]


@pytest.mark.parametrize(("path", "form", "columns"), FORMS)
def test_every_other_field_is_ignored(
    client: Client, conversation: Conversation, path: Any, form: Any, columns: dict[str, Any]
) -> None:
    before = snapshot()
    page = client.post(f"/c/{conversation.public_id}/{path}", every_field() | form)
    assert page.status_code in {200, 204}
    assert changed(before) == columns


def test_a_message_that_is_sent_has_nothing_but_its_text_from_the_form(
    client: Client, conversation: Conversation, alice: User
) -> None:
    client.post(f"/c/{conversation.public_id}/messages/", every_field() | message_form() | ONE)
    question = Message.objects.get(role="user")
    assert (question.author, question.kind, question.deleted_at) == (alice, "turn", None)
    generation = Generation.objects.get()
    assert (generation.state, generation.model) == (State.QUEUED, "crimson-falcon-4")
    assert generation.worker == ""
    assert generation.request["parameters"] == {}


def test_a_conversation_that_is_started_belongs_to_its_author_alone(
    client: Client, alice: User, bob: User
) -> None:
    extra = every_field() | {"user": str(bob.pk), "owner": str(bob.pk), "role": "owner"}
    said = message_form() | ONE
    client.post("/conversations/", extra | SETTINGS | {"system_prompt": ""} | said)
    started = Conversation.objects.get(title="Hello")
    assert [(row.user, row.role) for row in Participant.objects.filter(conversation=started)] == [
        (alice, Role.OWNER)
    ]
    assert started.parameters == {"temperature": 1.0}
    assert started.revision < 777


def test_the_account_form_changes_the_name_alone(client: Client, alice: User) -> None:
    before = snapshot()
    assert client.post("/account/", every_field() | {"name": "Alicia"}).status_code == 302
    assert changed(before) == {"User": {"name"}}


@pytest.mark.parametrize("form", [MessageForm, TitleForm, SettingsForm])
@given(data=st.dictionaries(st.text(max_size=20), st.text(), max_size=8))
def test_no_form_falls_over_whatever_it_is_given(form: Any, data: dict[str, str]) -> None:
    fields = list(form.base_fields)
    values = list(data.values())
    named = data | dict(zip(fields, values, strict=False))
    form(named).is_valid()
