"""What was changed in a conversation, by whom and when: for those who take part in it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from conversations import actions
from conversations.models import (
    Answers,
    AuditEntry,
    Change,
    Conversation,
    Participant,
    Role,
    User,
    What,
)
from tests.conftest import person

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def rename(conversation: Conversation, actor: User, title: str) -> None:
    actions.conversations.rename(conversation=conversation, actor=actor, title=title)


def configure(conversation: Conversation, actor: User, **changed: Any) -> None:
    settings: dict[str, Any] = {
        "model": conversation.model,
        "parameters": conversation.parameters,
        "system_prompt": conversation.system_prompt,
    }
    actions.conversations.configure(conversation=conversation, actor=actor, **settings | changed)


def shown(user: User, conversation: Conversation, path: str = "details/", **query: str) -> str:
    page = signed_in(user).get(f"/c/{conversation.public_id}/{path}", query)
    assert page.status_code == 200
    return re.sub(r"\s+", " ", page.content.decode())


def test_a_line_for_each_thing_that_changed_with_what_it_was(
    conversation: Conversation, alice: User
) -> None:
    rename(conversation, alice, "Faster export")
    configure(
        conversation,
        alice,
        model="indigo-owl-4",
        parameters={"temperature": 0.5, "stop": ["END", "STOP"]},
        system_prompt="Be brief.",
        answers=Answers.CALLED,
    )
    configure(conversation, alice, system_prompt="", parameters={"temperature": 0.5})
    page = shown(alice, conversation)
    assert "Alice renamed it from “Slow export” to “Faster export”" in page
    assert "Alice changed the model from crimson-falcon-4 to indigo-owl-4" in page
    assert "Alice wrote a system prompt" in page
    assert "Alice let the assistant answer only when called" in page
    assert "Alice took the system prompt away" in page
    assert "<code>temperature</code> default → 0.5" in page
    assert "<code>stop</code> default → END · STOP" in page
    assert "<code>stop</code> END · STOP → default" in page
    assert page.count("Be brief.") == 2  # before the one and after the other
    assert page.index("took the system prompt") < page.index("renamed it")  # newest first


def test_a_line_says_when(conversation: Conversation, alice: User) -> None:
    with time_machine.travel(datetime(2024, 2, 29, 13, 7, 5, tzinfo=UTC), tick=False):
        rename(conversation, alice, "Faster export")
    page = shown(alice, conversation)
    line = page[page.index("Alice renamed it") :].partition("</li>")[0]
    [when] = re.findall(r'<time [^>]*datetime="([^"]+)"', line)
    assert datetime.fromisoformat(when) == datetime(2024, 2, 29, 13, 7, 5, tzinfo=UTC)


def test_what_stays_as_it_was_leaves_no_line(conversation: Conversation, alice: User) -> None:
    rename(conversation, alice, conversation.title)
    configure(conversation, alice)
    assert not Change.objects.exists()
    assert "Nothing was changed so far." in shown(alice, conversation)


def test_who_came_and_went(conversation: Conversation, alice: User, bob: User) -> None:
    here: dict[str, Any] = {"conversation": conversation, "actor": alice, "person": bob}
    actions.participants.invite(**here, role=Role.EDITOR)
    actions.participants.hand_over(**here)
    actions.participants.leave(conversation=conversation, person=alice)
    page = shown(bob, conversation)
    assert "Alice invited Bob as editor" in page
    assert "Alice changed Bob from editor to owner" in page
    assert "Alice went from owner to editor" in page
    assert "Alice left" in page


def test_a_viewer_reads_it_and_charlie_does_not(
    conversation: Conversation, alice: User, bob: User, charlie: User
) -> None:
    Participant.objects.create(conversation=conversation, user=bob, role=Role.VIEWER)
    configure(conversation, alice, system_prompt="Our secret terms")
    assert "Our secret terms" in shown(bob, conversation)
    client = signed_in(charlie)
    for path in ("details/", "history/?before=999"):
        page = client.get(f"/c/{conversation.public_id}/{path}")
        assert page.status_code == 404
        assert "secret" not in page.content.decode()


def test_its_words_are_not_in_the_audit_trail_and_go_with_the_conversation(
    conversation: Conversation, alice: User
) -> None:
    configure(conversation, alice, system_prompt="Our secret terms")
    rename(conversation, alice, "Our secret title")
    assert "secret" not in str(list(AuditEntry.objects.values()))
    conversation.delete()
    assert not Change.objects.exists()


def test_it_pages(conversation: Conversation, alice: User, settings: Settings) -> None:
    settings.HISTORY_PAGE = 2
    for number in range(5):
        rename(conversation, alice, f"Title {number}")
    seen = []
    page = shown(alice, conversation)
    while True:
        seen += re.findall(r"to “Title (\d)”", page)
        following = re.search(r"\?before=(\d+)", page)
        if following is None:
            break
        page = shown(alice, conversation, "history/", before=following[1])
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize("before", ["", "x", "-1", "²", "1" * 40])
def test_a_number_that_is_none_finds_nothing(
    conversation: Conversation, alice: User, before: str
) -> None:
    address = f"/c/{conversation.public_id}/history/"
    assert signed_in(alice).get(address, {"before": before}).status_code == 404


def test_of_settings_as_many_are_kept_as_the_setting_says_and_of_people_all(
    conversation: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    settings.HISTORY_KEPT = 3
    here: dict[str, Any] = {"conversation": conversation, "actor": alice, "person": bob}
    actions.participants.invite(**here, role=Role.EDITOR)
    actions.participants.remove(**here)
    for number in range(6):
        rename(conversation, alice, f"Title {number}")
    kept = Change.objects.order_by("pk").values_list("what", "after")
    titles = [(What.TITLE, f"Title {number}") for number in (3, 4, 5)]
    assert list(kept) == [(What.INVITED, {"role": "editor"}), (What.REMOVED, None), *titles]


def test_who_is_gone_is_a_former_member(conversation: Conversation, alice: User) -> None:
    dana = person("Dana")
    Participant.objects.create(conversation=conversation, user=dana, role=Role.EDITOR)
    rename(conversation, dana, "By Dana")
    dana.delete()
    assert "A former member renamed it" in shown(alice, conversation)


def test_hostile_words_are_text(conversation: Conversation, alice: User) -> None:
    hostile = "</div><img src=x onerror=alert(1)>{{ 7 }}"
    rename(conversation, alice, hostile)
    configure(conversation, alice, system_prompt=hostile, parameters={"stop": [hostile]})
    page = shown(alice, conversation)
    assert "<img" not in page
    assert page.count("&lt;img") >= 4
