"""Whoever is removed, or may only read from now on, between the look at their rights and the lock
of the conversation: what they do is refused there, and nothing of it is written."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import Model

from conversations import actions
from conversations.actions.messages import Sent
from conversations.actions.refusals import NotAnOwner, Refused, RightLost
from conversations.actions.turns import Place
from conversations.models import (
    AuditEntry,
    Change,
    Choice,
    Conversation,
    Generation,
    Message,
    Participant,
    QueuedTurn,
    Role,
    State,
    User,
)
from tests.queues import end, queue

pytestmark = pytest.mark.django_db
WRITTEN: tuple[type[Model], ...] = (Message, Generation, Choice, QueuedTurn, Change)


def sends(where: Conversation, who: User, _sent: Sent) -> dict[str, Any]:
    return {"conversation": where, "author": who, "text": "More?", "request_id": uuid4()}


def branches(where: Conversation, who: User, sent: Sent) -> dict[str, Any]:
    return sends(where, who, sent) | {"place": Place(below=sent.answer)}


def answers(_where: Conversation, who: User, sent: Sent) -> dict[str, Any]:
    return {"answer": sent.answer, "actor": who}


def chooses(where: Conversation, who: User, sent: Sent) -> dict[str, Any]:
    return {"conversation": where, "actor": who, "message": sent.question}


def names(where: Conversation, who: User, _sent: Sent) -> dict[str, Any]:
    return {"conversation": where, "actor": who, "title": "Mine"}


def sets_up(where: Conversation, who: User, _sent: Sent) -> dict[str, Any]:
    what = {"model": "another", "parameters": {"top_p": 0.5}, "system_prompt": "Be brief."}
    return {"conversation": where, "actor": who} | what


def turns(where: Conversation, who: User, _sent: Sent) -> dict[str, Any]:
    return {"turn": QueuedTurn.objects.get(conversation=where), "actor": who}


def edits(where: Conversation, who: User, sent: Sent) -> dict[str, Any]:
    return turns(where, who, sent) | {"text": "In other words"}


def acts(where: Conversation, who: User, _sent: Sent) -> dict[str, Any]:
    return {"conversation": where, "actor": who}


WRITES = [
    (actions.queue.send, sends),
    (actions.messages.send, sends),
    (actions.messages.note, sends),
    (actions.messages.branch, branches),
    (actions.generations.retry, answers),
    (actions.conversations.choose_head, chooses),
    (actions.conversations.rename, names),
    (actions.conversations.configure, sets_up),
    (actions.queue.edit, edits),
    (actions.queue.send_now, turns),
    (actions.queue.send_next, acts),
]


@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "viewer"])
@pytest.mark.parametrize(("act", "what"), WRITES, ids=[act.__name__ for act, _ in WRITES])
def test_nothing_is_written(
    act: Callable[..., object],
    what: Callable[..., dict[str, Any]],
    is_removed: bool,
    shared: Conversation,
    sent: Sent,
    bob: User,
) -> None:
    queue(shared, bob, "And then?")
    end(shared, State.STOPPED)
    part = Participant.objects.filter(conversation=shared, user=bob)
    part.delete() if is_removed else part.update(role=Role.VIEWER)
    shared.refresh_from_db()
    before = [list(model._default_manager.order_by("pk").values()) for model in WRITTEN]
    with pytest.raises(RightLost):
        act(**what(shared, bob, sent))
    assert before == [list(model._default_manager.order_by("pk").values()) for model in WRITTEN]
    assert AuditEntry.objects.latest("pk").outcome == "failed"
    revision = shared.revision
    shared.refresh_from_db()
    assert (shared.title, shared.revision) == ("Slow export", revision)


def test_nor_by_whom_an_operator_suspended(shared: Conversation, sent: Sent, bob: User) -> None:
    end(shared)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    with pytest.raises(RightLost):
        actions.queue.send(**sends(shared, bob, sent))


def test_nor_where_everything_was_deleted(shared: Conversation, sent: Sent, alice: User) -> None:
    end(shared)
    actions.conversations.delete(conversation=shared, actor=alice)
    with pytest.raises(RightLost):
        actions.queue.send(**sends(shared, alice, sent))


@pytest.mark.parametrize("role", [None, Role.EDITOR])
def test_who_owns_it_no_longer_does_not_delete_it_or_order_its_queue(
    role: Role | None, shared: Conversation, sent: Sent, alice: User, bob: User
) -> None:
    turn, other = queue(shared, bob, "First"), queue(shared, bob, "Second")
    part = Participant.objects.filter(conversation=shared, user=alice)
    part.update(role=role) if role else part.delete()
    attempts: list[Callable[[], None]] = [
        lambda: actions.conversations.delete(conversation=shared, actor=alice),
        lambda: actions.queue.move(turn=other, actor=alice, beside=turn.public_id, after=False),
    ]
    for attempt in attempts:
        with pytest.raises(NotAnOwner):
            attempt()
    shared.refresh_from_db()
    assert shared.deleted_at is None
    turn.refresh_from_db()
    assert turn.place == 1


def test_it_is_said_in_words() -> None:
    refused: Refused = RightLost()
    assert refused.message == "You may not write here any more."
