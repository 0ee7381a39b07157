"""Sending from the page: what comes back, and that nothing typed is lost."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from conversations import actions
from conversations.models import Conversation, Generation, Message, QueuedTurn, State, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def send(client: Client, conversation: Conversation, text: str = "Hello", **fields: Any) -> Any:
    form = {"text": text, "request_id": str(uuid4())} | fields
    return client.post(f"/c/{conversation.public_id}/messages/", form)


def typed(page: Any) -> str:
    """What stands in the composer."""
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page.content.decode(), re.DOTALL)
    assert found
    return found[1]


def request_id(page: Any) -> str:
    found = re.search(r'name="request_id" value="([^"]*)"', page.content.decode())
    assert found
    return found[1]


def test_sending_answers_with_the_messages_and_an_emptied_composer(
    client: Client, conversation: Conversation
) -> None:
    page = send(client, conversation, "Hello <b>")
    html = page.content.decode()
    assert page.status_code == 200
    assert typed(page) == ""
    assert html.count("<article") == 2
    assert "Hello &lt;b&gt;" in html


def test_each_composer_has_a_request_id_of_its_own(
    client: Client, conversation: Conversation
) -> None:
    ids = {request_id(client.get(f"/c/{conversation.public_id}/")) for _ in range(3)}
    assert len(ids) == 3


def test_while_an_answer_runs_the_message_waits_and_the_composer_is_emptied(
    client: Client, conversation: Conversation, sent: actions.messages.Sent
) -> None:
    page = send(client, conversation, "My long & careful message")
    assert page.status_code == 200
    assert typed(page) == ""
    assert '<template data-place="queue">' in page.content.decode()
    assert "My long &amp; careful message" in page.content.decode()
    assert QueuedTurn.objects.get().text == "My long & careful message"
    assert Message.objects.count() == 2


def test_where_the_queue_is_full_the_text_stays_with_the_reason(
    client: Client, conversation: Conversation, sent: actions.messages.Sent, settings: Settings
) -> None:
    settings.QUEUE_PER_PERSON = 1
    send(client, conversation)
    page = send(client, conversation, "My long & careful message")
    assert page.status_code == 409
    assert typed(page) == "My long &amp; careful message"
    assert "waits here already" in page.content.decode()
    assert QueuedTurn.objects.count() == 1


def test_a_refused_message_can_be_sent_again_as_it_stands(
    client: Client, conversation: Conversation, sent: actions.messages.Sent, settings: Settings
) -> None:
    settings.QUEUE_PER_PERSON = 1
    send(client, conversation)
    wanted = str(uuid4())
    page = send(client, conversation, "Again", request_id=wanted)
    assert request_id(page) == wanted
    QueuedTurn.objects.all().delete()
    Generation.objects.update(state=State.DONE, finish_reason="stop")
    assert send(client, conversation, "Again", request_id=wanted).status_code == 200


@pytest.mark.parametrize("text", ["", "   ", "\r\n \t\r\n"])
def test_nothing_is_not_sent(client: Client, conversation: Conversation, text: str) -> None:
    page = send(client, conversation, text)
    assert page.status_code == 422
    assert "Write something first." in page.content.decode()
    assert not Message.objects.exists()


def test_a_message_that_is_too_long_stays_with_the_limit(
    client: Client, conversation: Conversation, settings: Settings
) -> None:
    settings.MESSAGE_MAX_CHARS = 100
    page = send(client, conversation, "x" * 101)
    assert page.status_code == 422
    assert typed(page) == "x" * 101
    assert "100" in page.content.decode()
    assert send(client, conversation, "x" * 100).status_code == 200


def test_line_ends_and_blanks_are_kept_as_typed(client: Client, conversation: Conversation) -> None:
    send(client, conversation, "  a\r\n\r\n    b\n ")
    assert Message.objects.get(role="user").text == "  a\n\n    b\n "


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": ""},
        {"request_id": "not-a-uuid"},
        {"text": "NUL \0 in it"},
        {"text": ["a", "b"], "request_id": "1"},
    ],
)
def test_malformed_forms_are_refused_beside_the_field(
    client: Client, conversation: Conversation, fields: Any
) -> None:
    page = send(client, conversation, **fields)
    assert page.status_code == 422
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe%%%=", "application/x-www-form-urlencoded"),
        (b"text=%00%ff&request_id=%F0%9F", "application/x-www-form-urlencoded"),
        (b"x" * 5000, "multipart/form-data"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n", "multipart/form-data; boundary=b"),
        (b"--b\r\n" * 500, "multipart/form-data; boundary=b"),
        (b"&" * 5000, "application/x-www-form-urlencoded"),
        (b"a=1&" * 5000, "application/x-www-form-urlencoded"),
        (b"text=" + b"x" * 3_000_000, "application/x-www-form-urlencoded"),
        (b"text=a", "text/plain; charset=no-such-charset"),
        (b"text=a", "application/x-www-form-urlencoded; charset=utf-16"),
    ],
)
def test_malformed_and_oversized_bodies_are_the_senders_fault(
    client: Client, conversation: Conversation, body: bytes, kind: str
) -> None:
    paths = ["messages/", "title/", "settings/"]
    for path in [f"/c/{conversation.public_id}/{path}" for path in paths] + ["/conversations/"]:
        page = client.generic("POST", path, body, content_type=kind)
        assert 400 <= page.status_code < 500
    assert not Message.objects.exists()


def test_starting_pushes_the_new_address_and_shows_the_thread(client: Client, alice: User) -> None:
    form = {"text": "# Hello", "request_id": str(uuid4()), "model": "indigo-owl-4"}
    page = client.post(
        "/conversations/",
        form | {"system_prompt": "Be brief.", "temperature": "0.5"},
        headers={"HX-Request": "true"},
    )
    conversation = Conversation.objects.get()
    assert page.status_code == 200
    assert page["HX-Push-Url"] == f"/c/{conversation.public_id}/"
    assert page["HX-Retarget"] == "#main"
    assert (conversation.title, conversation.model) == ("Hello", "indigo-owl-4")
    assert conversation.system_prompt == "Be brief."
    assert conversation.parameters == {"temperature": 0.5}
    assert Generation.objects.get().request["parameters"] == {"temperature": 0.5}


def test_starting_twice_with_one_request_id_shows_the_same_thread(
    client: Client, alice: User
) -> None:
    form = {"text": "Hello", "request_id": str(uuid4()), "model": "indigo-owl-4"}
    first, second = (client.post("/conversations/", form) for _ in range(2))
    assert first["HX-Push-Url"] == second["HX-Push-Url"]
    assert Conversation.objects.count() == 1


def test_a_start_that_is_refused_keeps_text_and_settings(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.GENERATIONS_PER_USER = 1
    form = {"request_id": str(uuid4()), "model": "indigo-owl-4", "text": "Hello"}
    client.post("/conversations/", form)
    page = client.post("/conversations/", form | {"request_id": str(uuid4()), "text": "Second"})
    assert page.status_code == 409
    assert typed(page) == "Second"
    assert "1 answer on its way" in page.content.decode()
    assert Conversation.objects.count() == 1


def test_a_start_with_a_setting_out_of_range_says_so_and_starts_nothing(
    client: Client, alice: User
) -> None:
    form = {"text": "Hello", "request_id": str(uuid4()), "model": "indigo-owl-4"}
    page = client.post("/conversations/", form | {"temperature": "3"})
    assert page.status_code == 422
    assert typed(page) == "Hello"
    assert "from 0 to 2" in page.content.decode()
    assert not Conversation.objects.exists()


def test_without_a_model_the_page_says_what_to_set(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.UPSTREAM_BASE_URL = ""
    html = client.get("/").content.decode()
    assert "UPSTREAM_BASE_URL" in html


def test_the_local_model_has_its_honest_name_and_is_called_small(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.UPSTREAM_BASE_URL, settings.LOCAL_MODEL_URL = "", "http://127.0.0.1:9/v1"
    html = client.get("/").content.decode()
    assert "SmolLM2-135M-Instruct" in html
    assert "A very small model on this machine" in html


def test_a_conversation_whose_model_is_gone_still_opens_and_says_so(
    client: Client, conversation: Conversation
) -> None:
    Conversation.objects.update(model="retired-1")
    assert client.get(f"/c/{conversation.public_id}/").status_code == 200
    page = send(client, conversation, "Hello")
    assert page.status_code == 409
    assert "retired-1 is not offered" in page.content.decode()
    assert typed(page) == "Hello"
