"""What a share holds beyond the branch that all see, where its owner chose so."""

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from conversations import actions
from conversations.models import (
    Author,
    Choice,
    Conversation,
    Generation,
    Message,
    Share,
    State,
    User,
)
from tests.test_shares import make, signed_in, talk, text_of

__all__ = ["talk"]  # a fixture

pytestmark = pytest.mark.django_db


def note(conversation: Conversation, author: User, text: str) -> Message:
    """Under the head."""
    conversation.refresh_from_db()
    return actions.messages.note(
        conversation=conversation, author=author, text=text, request_id=uuid4()
    ).message


@pytest.mark.parametrize("is_live", [True, False])
def test_notes_are_shared_where_the_owner_chose_so(
    talk: Conversation, alice: User, charlie: User, is_live: bool
) -> None:
    note(talk, alice, "For us alone")
    reader = signed_in(charlie)
    chosen = make(talk, alice, is_live=is_live, with_notes=True)
    plain = make(talk, alice, is_live=is_live, with_branches=True)
    note(talk, alice, "Written later")
    page = text_of(reader.get(chosen))
    assert "For us alone" in page
    assert ("Written later" in page) is is_live
    assert "For us alone" not in text_of(reader.get(plain))


@pytest.mark.parametrize("is_live", [True, False])
def test_other_branches_are_shared_where_the_owner_chose_so(
    talk: Conversation, alice: User, charlie: User, is_live: bool
) -> None:
    answer = Message.objects.get(conversation=talk, role=Author.ASSISTANT)
    assert answer.parent is not None
    other = reply(answer.parent, "Otherwise")
    below = reply(reply(other, "And then?", Author.USER), "So.")
    reader = signed_in(charlie)
    chosen = make(talk, alice, is_live=is_live, with_branches=True)
    plain = make(talk, alice, is_live=is_live)
    late = reply(answer.parent, "Written later")
    gone = reply(answer.parent, "Taken back", deleted_at=timezone.now())

    page = text_of(reader.get(chosen))
    assert "It reads every row." in page
    assert "Otherwise" not in page  # a step away
    assert f"?through={other.public_id}#" in page
    assert (f"?through={late.public_id}#" in page) is False  # two steps
    assert f"1/{3 if is_live else 2}" in page
    there = text_of(reader.get(f"{chosen}?through={other.public_id}"))
    assert [text in there for text in ("Otherwise", "And then?", "So.")] == [True] * 3
    assert "It reads every row." not in there
    assert below.text in text_of(reader.get(f"{chosen}?through={below.public_id}"))
    assert reader.get(f"{chosen}?through={late.public_id}").status_code == (200 if is_live else 404)
    for name in (gone.public_id, "nothing", "\0"):
        assert reader.get(f"{chosen}?through={name}").status_code == 404
    # Where it was not chosen the address changes nothing.
    page = text_of(reader.get(f"{plain}?through={other.public_id}"))
    assert "It reads every row." in page
    assert "Otherwise" not in page


def test_what_is_being_written_elsewhere_is_in_no_snapshot(
    talk: Conversation, alice: User, charlie: User
) -> None:
    answer = Message.objects.get(conversation=talk, role=Author.ASSISTANT)
    assert answer.parent is not None
    growing = reply(answer.parent, "Half a sen")
    generation = Generation.objects.create(
        conversation=talk, question=answer.parent, state=State.RUNNING, model="m", upstream="u"
    )
    Choice.objects.create(generation=generation, message=growing)
    path = make(talk, alice, with_branches=True)
    Generation.objects.filter(pk=generation.pk).update(
        state=State.DONE, finish_reason="stop", settled_at=timezone.now()
    )
    reader = signed_in(charlie)
    assert "?through=" not in text_of(reader.get(path))
    assert reader.get(f"{path}?through={growing.public_id}").status_code == 404


def reply(parent: Message, text: str, role: Author = Author.ASSISTANT, **more: Any) -> Message:
    return Message.objects.create(
        conversation=parent.conversation,
        parent=parent,
        depth=parent.depth + 1,
        role=role,
        text=text,
        **more,
    )


def test_it_is_chosen_in_the_drawer_and_said_there(talk: Conversation, alice: User) -> None:
    client = signed_in(alice)
    fields = {"audience": "people", "days": "7", "notes": "on", "branches": "on"}
    page = text_of(client.post(f"/c/{talk.public_id}/shares/", fields))
    share = Share.objects.get()
    assert (share.with_notes, share.with_branches) == (True, True)
    assert "with notes" in page
    assert "with other branches" in page
