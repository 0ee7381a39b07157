"""Other answers: asked for, chosen, continued, stopped; over HTTP."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from conversations import actions
from conversations.models import Conversation, Generation, Message, State, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def end(state: State = State.DONE, text: str = "Some text") -> None:
    """Ends the open turn."""
    reason = "stop" if state == State.DONE else ""
    for generation in Generation.objects.filter(state=State.QUEUED):
        Message.objects.filter(choices__generation=generation).update(text=text)
    Generation.objects.filter(state=State.QUEUED).update(
        state=state, finish_reason=reason, settled_at=timezone.now()
    )


def shown(client: Client, conversation: Conversation) -> str:
    return client.get(f"/c/{conversation.public_id}/messages/").content.decode()


def test_another_answer_takes_the_place_of_the_first_which_stays_a_step_away(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    end(text="First")
    assert client.post(f"/m/{sent.answer.public_id}/alternatives/").status_code == 204
    end(text="Second")
    html = shown(client, conversation)
    assert "Second" in html
    assert "First" not in html
    assert re.search(r"2\s*/\s*2", html)
    assert client.post(f"/m/{sent.answer.public_id}/head/").status_code == 204
    html = shown(client, conversation)
    assert "First" in html
    assert re.search(r"1\s*/\s*2", html)


def test_each_of_several_answers_leads_to_its_neighbours(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    answers = [sent.answer.public_id]
    for _ in range(2):
        end()
        client.post(f"/m/{answers[-1]}/alternatives/")
        answers.append(Message.objects.latest("pk").public_id)
    end()
    first, second, third = answers
    for shown_one, neighbours in {first: [second], second: [first, third], third: [second]}.items():
        client.post(f"/m/{shown_one}/head/")
        assert re.findall(r"/m/(\w+)/head/", shown(client, conversation)) == neighbours


def test_while_an_answer_runs_another_one_is_refused_in_words(
    client: Client, sent: actions.messages.Sent
) -> None:
    page = client.post(f"/m/{sent.answer.public_id}/alternatives/")
    assert page.status_code == 409
    assert page["Content-Type"] == "text/plain; charset=utf-8"
    assert "An answer is being written." in page.content.decode()


def test_an_interrupted_answer_is_continued_where_it_stands(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    end(State.INTERRUPTED, "As far as this")
    assert "/continuations/" in shown(client, conversation)
    assert client.post(f"/m/{sent.answer.public_id}/continuations/").status_code == 204
    assert Generation.objects.get(state=State.QUEUED).request["prefill"] == "As far as this"
    assert "As far as this" in shown(client, conversation)


def test_a_complete_answer_offers_no_continuation_and_refuses_one(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    end()
    assert "/continuations/" not in shown(client, conversation)
    assert client.post(f"/m/{sent.answer.public_id}/continuations/").status_code == 409


def test_stopping_over_http_is_no_error_however_often(
    client: Client, sent: actions.messages.Sent, alice: User
) -> None:
    path = f"/g/{Generation.objects.get().public_id}/stop/"
    assert [client.post(path).status_code for _ in range(3)] == [204, 204, 204]
    assert Generation.objects.get().stopped_by == alice
