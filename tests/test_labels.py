"""Labels of one's own: made, put on conversations, seen in the list, and by nobody else."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from conversations import actions
from conversations.actions import erasure
from conversations.actions.labels import NameTaken, TooManyLabels
from conversations.models import (
    AuditEntry,
    Colour,
    Conversation,
    Label,
    Labelling,
    Participant,
    Role,
    User,
)
from conversations.views import sidebar
from tests.relays import db
from tests.test_shares import text_of
from tests.viewers import Viewer, session_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client, alice: User) -> Client:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def label(shared: Conversation, alice: User) -> Label:
    """Alice's, on the conversation that she shares with Bob."""
    return put(shared, alice, "Quarter")


def put(conversation: Conversation, owner: User, name: str) -> Label:
    return actions.labels.make(
        conversation=conversation, person=owner, name=name, colour=Colour.BLUE
    )


def marks(user: User, show: str = "") -> list[list[str]]:
    """The labels of each row in the person's list."""
    rows = sidebar.page(user, show=show)["rows"]
    return [[label.name for label in row.labels] for row in rows]


# --- Whose they are -------------------------------------------------------------------------------


def test_only_its_owner_sees_a_label(label: Label, alice: User, bob: User) -> None:
    assert marks(alice) == [["Quarter"]]
    assert marks(bob) == [[]]


def test_two_people_call_theirs_the_same(label: Label, shared: Conversation, bob: User) -> None:
    assert put(shared, bob, "quarter") != label
    assert marks(bob) == [["quarter"]]


@pytest.mark.parametrize(
    ("name", "verb"), [("label", "post"), ("label", "delete"), ("label_mark", "post")]
)
def test_anothers_label_does_not_exist(
    label: Label, shared: Conversation, bob: User, name: str, verb: str
) -> None:
    his = Client()
    his.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse(name, args=[shared.public_id, label.public_id])
    assert getattr(his, verb)(address, {"name": "Mine", "colour": "red"}).status_code == 404
    assert his.get("/conversations/", {"show": label.choice}).status_code == 404
    assert list(Label.objects.values_list("name", "labellings")) == [
        ("Quarter", Labelling.objects.get().pk)
    ]


def test_it_is_gone_from_what_one_left_and_does_not_come_back(
    label: Label, shared: Conversation, alice: User, bob: User
) -> None:
    theirs = put(shared, bob, "Later")
    actions.participants.leave(conversation=shared, person=bob)
    assert not theirs.labellings.exists()
    actions.participants.invite(conversation=shared, actor=alice, person=bob, role=Role.EDITOR)
    assert marks(bob) == [[]]
    assert marks(alice) == [["Quarter"]]
    assert list(bob.labels.all()) == [theirs]


def test_a_deleted_persons_labels_are_deleted(label: Label, alice: User, operator: User) -> None:
    erasure.erase(user=alice, actor=operator)
    assert not Label.objects.exists()


def test_the_trail_that_operators_read_holds_no_label(label: Label) -> None:
    before = set(AuditEntry.objects.values_list("verb", flat=True))
    actions.labels.change(label=label, name="Another", colour=Colour.RED)
    actions.labels.delete(label=label)
    assert set(AuditEntry.objects.values_list("verb", flat=True)) == before


# --- Made and changed -----------------------------------------------------------------------------


def test_a_person_has_as_many_as_the_setting_says(
    label: Label, shared: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    assert settings.LABELS_PER_PERSON == 50
    settings.LABELS_PER_PERSON = 1
    with pytest.raises(TooManyLabels):
        put(shared, alice, "One too many")
    put(shared, bob, "His first")


@pytest.mark.parametrize("name", ["Quarter", "QUARTER"])
def test_no_two_of_a_person_have_one_name(
    label: Label, shared: Conversation, alice: User, name: str
) -> None:
    with pytest.raises(NameTaken):
        put(shared, alice, name)
    other = put(shared, alice, "Other")
    with pytest.raises(NameTaken):
        actions.labels.change(label=other, name=name, colour=Colour.RED)
    actions.labels.change(label=label, name=name, colour=Colour.RED)
    assert marks(alice) == [["Other", name]]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "", "colour": "red"}, 422),
        ({"name": " \t", "colour": "red"}, 422),
        ({"name": "x" * 41, "colour": "red"}, 422),
        ({"name": "a\0b", "colour": "red"}, 422),
        ({"name": "Fine", "colour": "pink"}, 422),
        ({"name": "quarter", "colour": "red"}, 409),
    ],
)
def test_what_is_not_taken_comes_back_with_the_reason(
    client: Client, label: Label, shared: Conversation, settings: Settings, form: Any, status: int
) -> None:
    assert settings.LABEL_MAX_CHARS == 40
    answer = client.post(reverse("labels", args=[shared.public_id]), form)
    assert answer.status_code == status
    assert 'id="label-error-new"' in answer.content.decode()
    assert Label.objects.count() == 1


def test_a_name_is_one_line(client: Client, conversation: Conversation, alice: User) -> None:
    form = {"name": " New\n\tquarter ", "colour": "green"}
    client.post(reverse("labels", args=[conversation.public_id]), form)
    assert marks(alice) == [["New quarter"]]


def test_a_mark_is_put_on_and_taken_off(
    client: Client, label: Label, shared: Conversation, alice: User
) -> None:
    address = reverse("label_mark", args=[shared.public_id, label.public_id])
    sheet = reverse("labels", args=[shared.public_id])
    for form, marked in (({}, []), ({}, []), ({"on": "on"}, ["Quarter"])):
        answer = text_of(client.post(address, form))
        assert marks(alice) == [marked]
        assert ("Delete, also from 1 conversation" in answer) == bool(marked)
        box = re.search(r'<input id="label-\w+" type="checkbox"[^>]*>', text_of(client.get(sheet)))
        assert box
        assert ("checked" in box[0]) == bool(marked)


# --- In the list ----------------------------------------------------------------------------------


def test_the_list_shows_those_of_one_label(label: Label, alice: User) -> None:
    other = Conversation.objects.create(title="Other", model="m")
    Participant.objects.create(conversation=other, user=alice, role=Role.OWNER)
    put(other, alice, "Later")
    assert sorted(marks(alice)) == [["Later"], ["Quarter"]]
    assert marks(alice, label.choice) == [["Quarter"]]


def test_the_page_offers_them_by_name_and_what_changed_offers_them_anew(
    client: Client, label: Label, shared: Conversation, alice: User
) -> None:
    put(shared, alice, "another")
    names = re.compile(r'<option value="label-\w+"( selected)?>(\w+)</option>')
    assert names.findall(client.get("/").content.decode()) == [("", "another"), ("", "Quarter")]
    address = reverse("label", args=[shared.public_id, label.public_id])
    answer = client.post(address, {"name": "Zero", "colour": "red", "show": label.choice})
    assert names.findall(answer.content.decode()) == [("", "another"), (" selected", "Zero")]
    # The list shows one label's alone, so it is read anew.
    assert "#filter" in answer.headers["HX-Trigger-After-Swap"]


def test_labels_cost_one_query_however_many_rows_and_marks(
    client: Client, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        row = Conversation.objects.create(title=f"Number {number}", model="m")
        Participant.objects.create(conversation=row, user=alice, role=Role.OWNER)
        for name in ("a", "b", "c"):
            put(row, alice, f"{name}{number}")
    with django_assert_num_queries(5):  # session, person, rows, faces, labels
        page = client.get("/conversations/").content.decode()
    assert page.count('class="tag ') == 15


@pytest.mark.django_db(transaction=True)
async def test_a_row_that_comes_by_the_socket_has_its_readers_labels_alone(
    shared: Conversation, alice: User, bob: User
) -> None:
    label = await db(put, shared, alice, "Quarter")
    cookies = [await db(session_of, user) for user in (alice, bob)]
    async with Viewer(cookies[0]) as hers, Viewer(cookies[1]) as his:
        await db(actions.conversations.rename, conversation=shared, actor=bob, title="Better")
        assert "Quarter" in (await hers.next("row"))["html"]
        row = await his.next("row")
        assert "Better" in row["html"]
        assert "Quarter" not in row["html"]
        await db(actions.labels.change, label=label, name="Zero", colour=Colour.RED)
        assert "Zero" in (await hers.next("row", 2))["html"]
        await db(actions.labels.delete, label=label)
        assert "Zero" not in (await hers.next("row", 3))["html"]
        await db(actions.conversations.rename, conversation=shared, actor=bob, title="Best")
        assert "Best" in (await his.next("row", 2))["html"]  # of her labels nothing came


def test_a_new_name_tells_all_rows_in_the_same_queries(
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: Any,
) -> None:
    rows = [Conversation.objects.create(title=f"Number {n}", model="m") for n in range(6)]
    for row in rows:
        Participant.objects.create(conversation=row, user=alice, role=Role.OWNER)
    label = put(rows[0], alice, "Quarter")
    for row in rows:
        actions.labels.mark(label=label, conversation=row, is_on=True)
    with django_capture_on_commit_callbacks() as told:
        actions.labels.change(label=label, name="Zero", colour=Colour.RED)
    with django_assert_num_queries(3):  # rows, faces, labels
        for tell in told:
            tell()
