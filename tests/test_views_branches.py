"""Questions in new words, and other ways on from an earlier answer; over HTTP."""

import re
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from conversations import actions
from conversations.models import (
    AuditEntry,
    Conversation,
    Generation,
    Message,
    Participant,
    Role,
    State,
    User,
)
from tests.relays import send

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def bob_too(conversation: Conversation, bob: User) -> User:
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return bob


def end(text: str = "Some text") -> None:
    """Ends the open turn."""
    opened = Generation.objects.filter(state=State.QUEUED)
    Message.objects.filter(choices__generation__in=opened).update(text=text)
    opened.update(state=State.DONE, finish_reason="stop", settled_at=timezone.now())


def post(client: Client, conversation: Conversation, text: str, **place: str) -> int:
    form = {"text": text, "request_id": str(uuid4()), **place}
    return client.post(f"/c/{conversation.public_id}/messages/", form).status_code


def shown(client: Client, conversation: Conversation) -> list[str]:
    page = client.get(f"/c/{conversation.public_id}/messages/").content.decode()
    return re.findall(r'<div class="text"[^>]*>(?:<p>)?(.*?)(?:</p>)?</div>', page)


def newest_question() -> Message:
    return Message.objects.filter(role="user").latest("pk")


def test_the_first_question_in_new_words_begins_the_conversation_anew(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    end("First")
    before = conversation.revision
    question = sent.question.public_id
    form = client.get(f"/m/{question}/rewording/").content.decode()
    assert f'name="instead" value="{question}"' in form
    assert sent.question.text in form
    assert post(client, conversation, "Better words", instead=question) == 200
    end("Second")
    assert shown(client, conversation) == ["Better words", "Second"]
    page = client.get(f"/c/{conversation.public_id}/messages/").content.decode()
    assert re.search(r"2\s*/\s*2", page)
    assert client.post(f"/m/{question}/head/").status_code == 204
    assert shown(client, conversation) == [sent.question.text, "First"]
    conversation.refresh_from_db()
    assert conversation.revision > before


def test_a_later_question_in_new_words_keeps_what_came_before(
    client: Client, sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    end("One")
    send(conversation, alice, "And then?")
    second = newest_question()
    end("Two")
    send(conversation, alice, "And after that?")
    end("Three")
    assert post(client, conversation, "What else?", instead=second.public_id) == 200
    end("Two, otherwise")
    assert shown(client, conversation) == [
        sent.question.text,
        "One",
        "What else?",
        "Two, otherwise",
    ]
    assert newest_question().parent == sent.answer
    told = AuditEntry.objects.filter(verb="message.sent").latest("pk").details
    assert told == {"instead": second.public_id}


def test_what_goes_upstream_is_the_new_branch_alone(
    client: Client, sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    end()
    send(conversation, alice, "Down one way")
    end()
    assert post(client, conversation, "Another way", below=sent.answer.public_id) == 200
    asked = Generation.objects.latest("pk").request["messages"]
    branch = [sent.question.public_id, sent.answer.public_id, newest_question().public_id]
    assert asked == branch


def test_another_way_on_leaves_the_first_a_step_away(
    client: Client, sent: actions.messages.Sent, conversation: Conversation, alice: User
) -> None:
    end("One")
    send(conversation, alice, "Down one way")
    first = newest_question()
    end("Two")
    form = client.get(f"/m/{sent.answer.public_id}/branch/").content.decode()
    assert f'name="below" value="{sent.answer.public_id}"' in form
    assert post(client, conversation, "Another way", below=sent.answer.public_id) == 200
    end("Two, otherwise")
    assert shown(client, conversation)[2:] == ["Another way", "Two, otherwise"]
    assert client.post(f"/m/{first.public_id}/head/").status_code == 204
    assert shown(client, conversation)[2:] == ["Down one way", "Two"]


def test_only_ones_own_question_is_said_anew(
    client: Client, sent: actions.messages.Sent, conversation: Conversation, bob_too: User
) -> None:
    end()
    client.force_login(bob_too, backend="django.contrib.auth.backends.ModelBackend")
    question, answer = sent.question.public_id, sent.answer.public_id
    assert client.get(f"/m/{question}/rewording/").status_code == 404
    assert client.get(f"/m/{answer}/rewording/").status_code == 404
    assert client.get(f"/m/{question}/branch/").status_code == 404
    count = Message.objects.count()
    assert post(client, conversation, "As if I were Alice", instead=question) == 409
    assert post(client, conversation, "In place of an answer", instead=answer) == 409
    assert Message.objects.count() == count


def test_places_elsewhere_do_not_exist(
    client: Client, sent: actions.messages.Sent, conversation: Conversation, bob: User, alice: User
) -> None:
    end()
    other = Conversation.objects.create(model=conversation.model)
    Participant.objects.create(conversation=other, user=bob, role=Role.OWNER)
    send(other, bob, "Elsewhere")
    theirs = Message.objects.get(conversation=other, role="assistant").public_id
    assert post(client, conversation, "There", below=theirs) == 404
    Participant.objects.create(conversation=other, user=alice, role=Role.EDITOR)
    assert post(client, conversation, "There", below=theirs) == 404
    assert post(client, conversation, "There", instead="nothing") == 404


def test_while_an_answer_runs_it_is_refused_and_the_form_keeps_its_place(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    form = {
        "text": "In new words",
        "request_id": str(uuid4()),
        "instead": sent.question.public_id,
    }
    response = client.post(f"/c/{conversation.public_id}/messages/", form)
    assert response.status_code == 409
    page = response.content.decode()
    assert "In new words" in page
    assert f'name="instead" value="{sent.question.public_id}"' in page


def test_the_same_words_sent_twice_are_one_question(
    client: Client, sent: actions.messages.Sent, conversation: Conversation
) -> None:
    end()
    form = {
        "text": "In new words",
        "request_id": str(uuid4()),
        "instead": sent.question.public_id,
    }
    for _ in range(2):
        assert client.post(f"/c/{conversation.public_id}/messages/", form).status_code == 200
    assert Message.objects.filter(text="In new words").count() == 1
