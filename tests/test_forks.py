"""Branching off for oneself: what comes along, who may, and that the copy does as any other."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import access, actions
from conversations.actions.copies import StillWriting, TooMuchToCopy
from conversations.actions.forks import NothingToFork
from conversations.actions.generations import go_on, retry
from conversations.actions.turns import Place
from conversations.fragments import Article
from conversations.models import (
    Audience,
    AuditEntry,
    Conversation,
    Generation,
    Message,
    Participant,
    Role,
    State,
    User,
)
from conversations.relay.prompt import CLOSE, OPEN, compose
from tests.browser.rows import add_turn
from tests.queues import end
from tests.test_shares import signed_in
from tests.threads import at_once

pytestmark = pytest.mark.django_db

KEPT = ("role", "author_id", "text", "reasoning", "html", "html_version", "created_at", "depth")


@pytest.fixture
def talk(shared: Conversation, alice: User, bob: User) -> Conversation:
    """Alice and Bob have asked one after the other; Bob's answer was cut."""
    shared.system_prompt, shared.parameters = "Be brief.", {"temperature": 0.5}
    shared.save()
    first = add_turn(shared, alice, "Why is it slow?", "It reads *every* row.")
    first.reasoning, first.html, first.html_version = "Hm.", "<p>Old</p>", 1
    first.save()
    add_turn(shared, bob, "And now?", "Still", finish_reason="length")
    return shared


def fork(conversation: Conversation, actor: User, at: Message | None = None) -> Conversation:
    conversation.refresh_from_db()
    return actions.forks.fork(conversation=conversation, actor=actor, at=at or conversation.head)


def branch(conversation: Conversation) -> list[Message]:
    conversation.refresh_from_db()
    return list(Message.objects.branch_to(conversation.head_id))


def texts(conversation: Conversation) -> list[str]:
    return [message.text for message in branch(conversation)]


# --- What comes along -----------------------------------------------------------------------------


def test_a_fork_is_the_branch_word_for_word_and_its_makers_alone(
    talk: Conversation, bob: User
) -> None:
    mine = fork(talk, bob)
    for copy, original in zip(branch(mine), branch(talk), strict=True):
        assert copy.copied_from == original
        assert [getattr(copy, name) for name in KEPT] == [getattr(original, name) for name in KEPT]
        assert copy.public_id != original.public_id
        assert copy.news == 0
    for name in ("model", "system_prompt", "parameters"):
        assert getattr(mine, name) == getattr(talk, name)
    assert (mine.forked_from, mine.forked_at) == (talk, talk.head)
    assert mine.title == "Slow export (fork)"
    assert [(one.user, one.role) for one in mine.participants.all()] == [(bob, Role.OWNER)]


def test_neither_notes_nor_what_was_deleted_nor_other_branches_come_along(
    talk: Conversation, alice: User, bob: User
) -> None:
    first, answer, *_rest = branch(talk)
    actions.messages.note(conversation=talk, author=alice, text="A note", request_id=uuid4())
    actions.messages.branch(
        conversation=talk,
        author=bob,
        text="Another way",
        request_id=uuid4(),
        place=Place(below=answer),
    )
    end(talk)
    Message.objects.filter(pk=first.pk).update(deleted_at=first.created_at)
    mine = fork(talk, bob)
    assert texts(mine) == ["It reads *every* row.", "Another way", ""]
    assert [message.depth for message in branch(mine)] == [0, 1, 2]
    assert mine.messages.count() == 3


def test_a_fork_from_the_middle_ends_there(talk: Conversation, bob: User) -> None:
    mine = fork(talk, bob, at=branch(talk)[1])
    assert texts(mine) == ["Why is it slow?", "It reads *every* row."]


def test_a_fork_of_a_fork_names_what_wrote_it_first(talk: Conversation, bob: User) -> None:
    mine = fork(talk, bob)
    add_turn(mine, bob, "Mine alone", "Yes.")
    again = fork(mine, bob)
    assert [one.copied_from for one in branch(again)] == branch(mine)
    answers = [one.copied_generation for one in branch(again) if one.role == "assistant"]
    assert answers == list(Generation.objects.order_by("pk"))
    assert again.title == mine.title


def test_names_that_were_called_stay_marked(talk: Conversation, alice: User, bob: User) -> None:
    actions.messages.send(conversation=talk, author=alice, text="Look, @Bob", request_id=uuid4())
    end(talk)
    copy = branch(fork(talk, bob))[-2]
    marked = copy.html
    assert "mention" in marked
    copy.html_version = 0  # as after an upgrade
    assert copy.rendered == marked


def test_forking_twice_before_anything_was_said_gives_one(talk: Conversation, bob: User) -> None:
    mine = fork(talk, bob)
    assert fork(talk, bob) == mine
    add_turn(mine, bob, "Mine alone", "Yes.")
    assert fork(talk, bob) != mine
    forks = Conversation.objects.filter(forked_from=talk)
    assert forks.count() == 2
    verbs = AuditEntry.objects.filter(verb__startswith="conversation.fork")
    assert sorted(verbs.values_list("verb", flat=True)) == [
        "conversation.fork_opened",
        "conversation.forked",
        "conversation.forked",
    ]


@pytest.mark.django_db(transaction=True)
def test_two_who_press_at_once_make_one(talk: Conversation, bob: User) -> None:
    forks = at_once(*[lambda: fork(Conversation.objects.get(pk=talk.pk), bob)] * 4)
    assert len(set(forks)) == 1


# --- Refused --------------------------------------------------------------------------------------


def test_nothing_is_forked_where_nothing_was_said_nor_at_a_note(
    conversation: Conversation, alice: User
) -> None:
    with pytest.raises(NothingToFork):
        fork(conversation, alice)
    add_turn(conversation, alice, "Why?", "So.")
    said = actions.messages.note(
        conversation=conversation, author=alice, text="A note", request_id=uuid4()
    )
    with pytest.raises(NothingToFork):
        fork(conversation, alice, at=said.message)


def test_an_answer_on_its_way_is_waited_for_but_what_stands_before_it_is_forked(
    running: Generation, shared: Conversation, bob: User
) -> None:
    with pytest.raises(StillWriting):
        fork(shared, bob)
    assert texts(fork(shared, bob, at=running.question)) == ["Why is it slow?"]
    Generation.objects.update(state=State.STOPPED)  # its last words are still being put away
    with pytest.raises(StillWriting):
        fork(shared, bob)


def test_more_than_the_setting_allows_is_not_copied(
    talk: Conversation, bob: User, settings: Settings
) -> None:
    settings.FORK_MESSAGES = 3
    client = signed_in(bob)
    refused = client.post(f"/c/{talk.public_id}/forks/")
    assert refused.status_code == 409
    assert "at most 3 messages" in refused.content.decode()
    settings.FORK_MESSAGES = 4
    settings.PROMPT_MAX_CHARS = 20
    with pytest.raises(TooMuchToCopy):
        fork(talk, bob)
    assert not Conversation.objects.filter(forked_from=talk).exists()


def test_whoever_forks_too_often_waits_also_after_deleting_them(
    talk: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    settings.FORKS_PER_PERSON = 2
    first, second, third, *_ = branch(talk)
    actions.conversations.delete(conversation=fork(talk, bob, at=first), actor=bob)
    mine = fork(talk, bob, at=second)
    refused = signed_in(bob).post(f"/m/{third.public_id}/forks/")
    assert refused.status_code == 409
    assert "2 forks within an hour" in refused.content.decode()
    assert fork(talk, bob, at=second) == mine  # opened again, not made
    fork(talk, alice, at=third)  # counts for herself
    AuditEntry.objects.update(at=timezone.now() - timedelta(minutes=61))
    assert fork(talk, bob, at=third).forked_at == third


def test_what_a_model_thought_counts_as_copied_too(
    talk: Conversation, bob: User, settings: Settings
) -> None:
    settings.PROMPT_MAX_CHARS = 1_000
    Message.objects.filter(pk=branch(talk)[1].pk).update(reasoning="x" * 1_000)
    with pytest.raises(TooMuchToCopy):
        fork(talk, bob)


@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_who_only_reads_along_or_takes_no_part_forks_nothing(
    talk: Conversation, charlie: User, role: Role | None
) -> None:
    if role:
        Participant.objects.create(conversation=talk, user=charlie, role=role)
    client = signed_in(charlie)
    assert client.post(f"/c/{talk.public_id}/forks/").status_code == 404
    assert client.post(f"/m/{branch(talk)[1].public_id}/forks/").status_code == 404


# --- As any other ---------------------------------------------------------------------------------


def test_a_question_in_a_fork_takes_the_copied_history_upstream(
    talk: Conversation, bob: User
) -> None:
    mine = fork(talk, bob)
    actions.messages.send(conversation=mine, author=bob, text="Alone", request_id=uuid4())
    generation = Generation.objects.get(conversation=mine)
    system, *said = [message.content for message in compose(generation).messages]
    assert system.startswith("Be brief.")
    assert said == [
        f"{OPEN}Alice{CLOSE}\nWhy is it slow?",
        "It reads *every* row.",
        f"{OPEN}Bob{CLOSE}\nAnd now?",
        "Still",
        f"{OPEN}Bob{CLOSE}\nAlone",
    ]


def test_copied_answers_are_asked_for_again_and_continued(
    talk: Conversation, bob: User, settings: Settings
) -> None:
    settings.UPSTREAM_CONTINUES = True
    mine = fork(talk, bob)
    cut = access.message(bob, branch(mine)[-1].public_id, to="write")
    assert Article.of(cut).offers_continue
    go_on(answer=cut, actor=bob)
    generation = Generation.objects.get(conversation=mine)
    assert generation.request["prefill"] == "Still"
    assert not Article.of(access.message(bob, cut.public_id, to="read")).is_copied
    end(mine)
    again = retry(answer=cut, actor=bob)
    assert (again.parent, again.conversation) == (cut.parent, mine)
    assert branch(talk)[-1].text == "Still"


def page_of(client: Client, conversation: Conversation) -> str:
    return client.get(f"/c/{conversation.public_id}/").content.decode()


def test_the_page_of_a_fork_says_what_it_is_one_of_to_whom_may_read_that(
    talk: Conversation, bob: User, charlie: User
) -> None:
    mine = fork(talk, bob)
    Participant.objects.create(conversation=mine, user=charlie, role=Role.VIEWER)
    his, others = page_of(signed_in(bob), mine), page_of(signed_in(charlie), mine)
    assert f'<a href="/c/{talk.public_id}/"' in his
    assert "not open to you" in others
    assert talk.public_id not in others
    for page in (his, others):
        assert page.count("crimson-falcon-4</h2>") == 2  # who answered
        assert "Cut at the limit of tokens." in page


def test_what_the_model_saw_stays_where_it_was_written(
    talk: Conversation, bob: User, alice: User
) -> None:
    mine = fork(talk, bob)
    Generation.objects.update(request=request_of("Why is it slow?"))
    sheet = f"/m/{branch(mine)[1].public_id}/request/"
    page = signed_in(bob).get(sheet).content.decode()
    assert "copied from another conversation" in page
    assert "Secret prompt" in page
    actions.participants.remove(conversation=talk, actor=alice, person=bob)
    page = signed_in(bob).get(sheet).content.decode()
    assert "not open to you" in page
    assert "Secret prompt" not in page
    assert signed_in(alice).get(sheet).status_code == 404


def request_of(text: str) -> dict[str, Any]:
    asked = Message.objects.filter(text=text).order_by("pk").first()
    assert asked is not None
    messages = [asked.public_id]
    return {"system": "Secret prompt", "messages": messages, "parameters": {}, "prefill": ""}


def test_nothing_in_a_fork_is_unread(talk: Conversation, bob: User) -> None:
    mine = fork(talk, bob)
    rows = Conversation.objects.shared_with(bob).with_attention()
    assert rows.get(pk=mine.pk).unread == 0


def test_a_fork_outlives_its_original_and_right_to_it(
    talk: Conversation, alice: User, bob: User
) -> None:
    mine = fork(talk, bob)
    actions.conversations.delete(conversation=talk, actor=alice)
    assert "not open to you" in page_of(signed_in(bob), mine)
    talk.messages.update(parent=None)
    talk.delete()
    page = page_of(signed_in(bob), mine)
    assert "<p>Old</p>" in page
    assert "not open to you" not in page


def test_reviewers_and_readers_of_shares_see_copies_as_they_see_others(
    talk: Conversation, bob: User, rita: User
) -> None:
    mine = fork(talk, bob)
    admin = f"/admin/conversations/conversation/{mine.public_id}"
    transcript = signed_in(rita).get(f"{admin}/transcript/")
    share, _token = actions.shares.make(
        conversation=mine,
        actor=bob,
        audience=Audience.PEOPLE,
        is_live=False,
        lifetime=timedelta(days=1),
    )
    for page in (transcript, signed_in(rita).get(f"/shared/{share.public_id}/")):
        text = page.content.decode()
        assert "crimson-falcon-4" in text
        assert "And now?" in text
    assert transcript.content.decode().count("copied</span>") == 4
