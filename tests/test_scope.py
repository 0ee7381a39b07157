"""What the model sees with a question: chosen, kept with it, and never more than that."""

import re
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from conversations import actions
from conversations.actions.generations import go_on, hand_on, retry
from conversations.actions.turns import Place, Said, Sent
from conversations.models import (
    Answers,
    Conversation,
    Generation,
    Message,
    Participant,
    QueuedTurn,
    Role,
    State,
    User,
)
from conversations.relay import Relay
from conversations.relay.prompt import CLOSE, OPEN, compose
from tests.browser.rows import add_turn, conversation_of
from tests.queues import end
from tests.relays import db, settled
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(conversation: Conversation, alice: User) -> Conversation:
    """Alice's, of three turns, with a system prompt and a note."""
    conversation.system_prompt = "Be brief."
    conversation.save()
    for number in (1, 2, 3):
        add_turn(conversation, alice, f"Q{number}", f"A{number}")
    actions.messages.note(
        conversation=conversation, author=alice, text="A note", request_id=uuid4()
    )
    return conversation


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def name(text: str) -> str:
    return Message.objects.get(text=text).public_id


def only(*texts: str) -> dict[str, Any]:
    return {"only": [name(text) for text in texts]}


def since(text: str) -> dict[str, Any]:
    return {"from": name(text)}


def ask(
    conversation: Conversation, author: User, scope: dict[str, Any], text: str = "Q4"
) -> Sent | Said | QueuedTurn:
    return actions.queue.send(
        conversation=conversation, author=author, text=text, request_id=uuid4(), scope=scope
    )


def seen(generation: Generation | None = None) -> list[str]:
    """What goes upstream, without the system prompt, which always does."""
    system, *rest = compose(generation or Generation.objects.latest("pk")).messages
    assert (system.role, system.content.startswith("Be brief.")) == ("system", True)
    return [message.content for message in rest]


def question() -> Message:
    return Message.objects.filter(role="user", kind="turn").latest("pk")


# --- What goes upstream ---------------------------------------------------------------------------


def test_without_a_choice_it_is_everything(talk: Conversation, alice: User) -> None:
    ask(talk, alice, {})
    assert seen() == ["Q1", "A1", "Q2", "A2", "Q3", "A3", "Q4"]
    assert question().scope == {}


def test_from_a_message_on(talk: Conversation, alice: User) -> None:
    ask(talk, alice, since("A2"))
    assert seen() == ["A2", "Q3", "A3", "Q4"]
    assert question().scope == since("A2") | {"seen": 3, "of": 6}


def test_a_selection_in_the_order_in_which_it_was_said(talk: Conversation, alice: User) -> None:
    ask(talk, alice, only("A3", "Q1"))
    assert seen() == ["Q1", "A3", "Q4"]
    assert question().scope == only("A3", "Q1") | {"seen": 2, "of": 6}


def test_nothing_but_the_question(talk: Conversation, alice: User) -> None:
    ask(talk, alice, {"only": []})
    assert seen() == ["Q4"]
    assert question().scope == {"only": [], "seen": 0, "of": 6}


def test_a_choice_of_everything_is_none(talk: Conversation, alice: User) -> None:
    ask(talk, alice, since("Q1"))
    assert question().scope == {}


def test_who_speaks_is_said_where_several_are_seen(
    talk: Conversation, alice: User, bob: User
) -> None:
    Participant.objects.create(conversation=talk, user=bob, role=Role.EDITOR)
    ask(talk, bob, only("A1"))
    assert seen() == ["A1", "Q4"]
    end(talk)
    ask(talk, bob, since("Q3"), "Q5")
    assert seen()[0] == f"{OPEN}Alice{CLOSE}\nQ3"


@pytest.mark.parametrize("kind", ["from", "only"])
def test_it_never_sees_what_is_not_on_its_branch(
    talk: Conversation, alice: User, bob: User, kind: str
) -> None:
    """Whatever a scope names: the view refuses it, and here it is of no use."""
    Message.objects.filter(text="Q2").update(deleted_at=timezone.now())
    theirs = conversation_of(bob, ("Their question", "Their answer"))
    for text in ("Their question", "A note", "Q2"):
        ask(talk, alice, {kind: name(text) if kind == "from" else [name(text)]}, "Q4")
        assert seen() == ["Q4"]
        end(talk)
    assert theirs.messages.count() == 2


@pytest.mark.django_db(transaction=True)
async def test_the_model_server_gets_no_other_message(
    talk: Conversation, alice: User, upstream: ScriptedUpstream, relay: Relay
) -> None:
    sent = await db(ask, talk, alice, await db(only, "Q1", "A3"))
    assert isinstance(sent, Sent)
    await settled(await sync_to_async(Generation.objects.latest)("pk"))
    [request] = upstream.asked
    said = [(message["role"], message["content"]) for message in request.json["messages"]]
    assert said == [("system", "Be brief."), ("user", "Q1"), ("assistant", "A3"), ("user", "Q4")]


# --- It stays with the question -------------------------------------------------------------------


def test_another_answer_and_its_rest_see_the_same(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    settings.UPSTREAM_CONTINUES = True
    sent = ask(talk, alice, since("A2"))
    assert isinstance(sent, Sent)
    end(talk)
    again = retry(answer=Message.objects.get(pk=sent.answer.pk), actor=alice)
    assert seen() == ["A2", "Q3", "A3", "Q4"]
    Message.objects.filter(pk=again.pk).update(text="Half of")
    end(talk, State.INTERRUPTED)
    Generation.objects.filter(state=State.INTERRUPTED).update(error_code="relay_gone")
    go_on(answer=Message.objects.for_thread().get(pk=again.pk), actor=alice)
    assert seen() == ["A2", "Q3", "A3", "Q4", "Half of"]


def test_what_another_relay_takes_over_sees_the_same(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    settings.RELAY_CONTINUES = 1
    ask(talk, alice, only("A1"))
    end(talk, State.INTERRUPTED)
    Generation.objects.filter(state=State.INTERRUPTED).update(error_code="relay_gone")
    assert hand_on(generation=Generation.objects.latest("pk"))
    assert seen() == ["A1", "Q4"]


def test_a_turn_that_waited_sees_what_was_chosen_and_what_was_said_since(
    talk: Conversation, alice: User
) -> None:
    ask(talk, alice, {})
    turns = [ask(talk, alice, since("A3"), "Q5"), ask(talk, alice, only("Q2"), "Q6")]
    assert [type(turn) for turn in turns] == [QueuedTurn, QueuedTurn]
    for expected in (["A3", "Q4", "Q5"], ["Q2", "Q6"]):
        end(talk)
        assert actions.queue.sweep() == 1
        assert seen() == expected
    scopes = Message.objects.filter(text__in=["Q5", "Q6"]).order_by("pk")
    assert [(row.scope["seen"], row.scope["of"]) for row in scopes] == [(3, 8), (1, 10)]


def test_what_asks_for_no_answer_keeps_no_choice(talk: Conversation, alice: User) -> None:
    talk.answers = Answers.CALLED
    talk.save()
    assert isinstance(ask(talk, alice, only("Q1")), Said)
    assert question().scope == {}


def test_on_another_branch_it_counts_what_stands_there(talk: Conversation, alice: User) -> None:
    place = Place(below=Message.objects.get(text="A2"))
    actions.messages.branch(
        conversation=talk,
        author=alice,
        text="Q3 anew",
        request_id=uuid4(),
        place=place,
        scope=only("Q1", "Q3"),
    )
    assert seen() == ["Q1", "Q3 anew"]
    assert question().scope == only("Q1", "Q3") | {"seen": 1, "of": 4}


def test_a_fork_asks_again_with_the_same(talk: Conversation, alice: User) -> None:
    ask(talk, alice, only("A1", "Q3"))
    end(talk)
    talk.refresh_from_db()
    fork = actions.forks.fork(conversation=talk, actor=alice, at=talk.head)
    assert fork.head is not None
    fork.system_prompt = "Be brief."
    fork.save()
    retry(answer=Message.objects.get(pk=fork.head.pk), actor=alice)
    assert seen() == ["A1", "Q3", "Q4"]
    names = set(Message.objects.filter(conversation=talk).values_list("public_id", flat=True))
    assert not names & set(question().scope["only"])


def test_what_comes_back_from_a_fork_asks_again_with_the_same(
    talk: Conversation, alice: User
) -> None:
    talk.refresh_from_db()
    fork = actions.forks.fork(conversation=talk, actor=alice, at=talk.head)

    def named(text: str) -> str:
        return fork.messages.get(text=text).public_id

    def bring(text: str, scope: dict[str, Any]) -> None:
        assert isinstance(ask(fork, alice, scope, text), Sent)
        end(fork)
        fork.generations.update(settled_at=timezone.now())
        offer = actions.offers.make(fork=fork, original=talk, actor=alice, text="")
        actions.offers.take(offer=offer, actor=alice)
        talk.refresh_from_db()
        assert talk.head is not None
        retry(answer=talk.head, actor=alice)

    bring("Q4", {"only": [named("A1"), named("Q3")]})
    assert seen() == ["A1", "Q3", "Q4"]
    end(talk)
    # Of the second way back the first question is no copy: there is one of it.
    bring("Q5", {"only": [named("Q2"), named("Q4")]})
    assert seen() == ["Q2", "Q4", "Q5"]


# --- In the page ----------------------------------------------------------------------------------


def post(client: Client, conversation: Conversation, **form: Any) -> Any:
    fields = {"text": "Q4", "request_id": str(uuid4())} | form
    return client.post(f"/c/{conversation.public_id}/messages/", fields)


def hidden(page: Any) -> list[str]:
    """What the composer holds of a choice."""
    return re.findall(r'name="(?:sees|seen)" value="(\w*)"', page.content.decode())


def test_from_here_on_is_shown_sent_and_cleared(client: Client, talk: Conversation) -> None:
    chip = client.get(f"/m/{name('A2')}/scope/")
    assert hidden(chip) == ["from", name("A2")]
    assert "The model sees 3 of 6 messages" in chip.content.decode()
    assert "from “A2” on" in chip.content.decode()
    sent = post(client, talk, sees="from", seen=name("A2"))
    assert (sent.status_code, hidden(sent)) == (200, [])
    assert seen() == ["A2", "Q3", "A3", "Q4"]


def test_everybody_reads_with_how_much_it_was_asked(
    client: Client, talk: Conversation, bob: User, rita: User
) -> None:
    Participant.objects.create(conversation=talk, user=bob, role=Role.VIEWER)
    post(client, talk, sees="only", seen=[name("Q1"), name("A3")])
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/c/{talk.public_id}/").content.decode()
    assert page.count("asked with 2 of 6 messages") == 1
    sheet = client.get(f"/g/{Generation.objects.latest('pk').public_id}/request/").content.decode()
    assert "2 of 6 before the question" in sheet
    assert re.findall(r"<pre[^>]*>(.*?)</pre>", sheet) == ["Be brief.", "Q1", "A3", "Q4"]
    client.force_login(rita, backend="django.contrib.auth.backends.ModelBackend")
    transcript = client.get(reverse("admin:transcript", args=[talk.public_id])).content.decode()
    assert transcript.count("asked with 2 of 6 messages") == 1


@pytest.mark.parametrize("text", ["", "x" * 101])
def test_what_is_refused_keeps_the_choice(
    client: Client, talk: Conversation, settings: Settings, text: str
) -> None:
    settings.MESSAGE_MAX_CHARS = 100
    refused = post(client, talk, text=text, sees="only", seen=[name("Q1"), name("A3")])
    assert refused.status_code == 422
    assert hidden(refused) == ["only", name("Q1"), name("A3")]
    settings.QUEUE_PER_PERSON = 0
    post(client, talk)
    refused = post(client, talk, sees="from", seen=name("Q2"))
    assert refused.status_code == 409
    assert hidden(refused) == ["from", name("Q2")]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("only", ["Their question"]),
        ("only", ["Q1", "Their question"]),
        ("from", ["Their question"]),
        ("only", ["A note"]),
        ("from", ["A note"]),
        ("from", ["Q3 of before"]),
        ("from", ["Q1", "Q2"]),
        ("from", []),
        ("all", ["Q1"]),
    ],
)
def test_what_is_not_there_is_refused_with_the_text_kept(
    client: Client, talk: Conversation, alice: User, bob: User, kind: str, texts: list[str]
) -> None:
    conversation_of(bob, ("Their question", "Their answer"))
    aside = Message.objects.get(text="A2").children.get(text="Q3")
    Message.objects.create(
        conversation=talk, parent=aside.parent, depth=4, role="user", text="Q3 of before"
    )
    before = Message.objects.count()
    refused = post(client, talk, sees=kind, seen=[name(text) for text in texts])
    assert refused.status_code == 422
    assert "Q4</textarea>" in refused.content.decode()
    assert hidden(refused) == []
    assert b"Their" not in refused.content
    assert Message.objects.count() == before
    assert not Generation.objects.open().exists()


def test_no_more_than_so_many_are_chosen_one_by_one(
    client: Client, talk: Conversation, settings: Settings
) -> None:
    assert settings.SCOPE_MESSAGES == 200
    settings.SCOPE_MESSAGES = 2
    three = [name("Q1"), name("A1"), name("A2")]
    refused = post(client, talk, sees="only", seen=three)
    assert refused.status_code == 422
    assert "At most 2 messages" in refused.content.decode()
    sheet = client.get(f"/c/{talk.public_id}/scope/").content.decode()
    assert re.findall(r'name="seen" value="(\w+)"', sheet) == [name("Q3"), name("A3")]
    assert "4 earlier messages" in sheet
    refused = client.post(f"/c/{talk.public_id}/scope/", {"sees": "only", "seen": three})
    assert (refused.status_code, refused.headers["HX-Retarget"]) == (422, "#sheet")


def test_the_sheet_offers_the_branch_and_checks_what_was_chosen(
    client: Client, talk: Conversation
) -> None:
    def checked(**chosen: Any) -> list[str]:
        sheet = client.get(f"/c/{talk.public_id}/scope/", chosen).content.decode()
        assert "A note" not in sheet
        rows = re.findall(r'name="seen" value="(\w+)"( checked)?', sheet)
        assert len(rows) == 6
        return [Message.objects.get(public_id=row).text for row, is_checked in rows if is_checked]

    assert checked() == ["Q1", "A1", "Q2", "A2", "Q3", "A3"]
    assert checked(sees="only") == []
    assert checked(sees="only", seen=[name("Q1"), name("A3")]) == ["Q1", "A3"]
    assert checked(sees="from", seen=name("Q3")) == ["Q3", "A3"]


def test_what_was_checked_becomes_the_choice(client: Client, talk: Conversation) -> None:
    def chosen(*texts: str) -> list[str]:
        form = {"sees": "only", "seen": [name(text) for text in texts]}
        return hidden(client.post(f"/c/{talk.public_id}/scope/", form))

    assert chosen("A3", "Q1") == ["only", name("Q1"), name("A3")]
    # Up to the end: what is said until it is sent belongs to it.
    assert chosen("Q3", "A3") == ["from", name("Q3")]
    assert chosen("Q1", "A1", "Q2", "A2", "Q3", "A3") == []
    assert chosen() == ["only"]


def test_new_words_for_a_question_begin_with_what_it_was_asked_with(
    client: Client, talk: Conversation
) -> None:
    post(client, talk, sees="only", seen=[name("Q1"), name("A3")])
    end(talk)
    page = client.get(f"/m/{name('Q4')}/rewording/")
    assert hidden(page) == ["only", name("Q1"), name("A3")]
    form = {"instead": name("Q4"), "sees": "only", "seen": [name("Q1"), name("A3")]}
    assert post(client, talk, text="Q4 anew", **form).status_code == 200
    assert seen() == ["Q1", "A3", "Q4 anew"]


def test_a_turn_that_waits_says_that_the_model_sees_a_part(
    client: Client, talk: Conversation
) -> None:
    post(client, talk)
    waiting = post(client, talk, text="Q5", sees="only", seen=[name("Q1")])
    assert waiting.content.decode().count("the model sees a part") == 1
