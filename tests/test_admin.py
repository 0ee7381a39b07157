"""The admin: what operators change, what reviewers read, and what neither finds there."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from conversations.actions import people
from conversations.admin import site
from conversations.models import (
    AuditEntry,
    Author,
    Conversation,
    Generation,
    Message,
    RightsChange,
    State,
    User,
)

SECRET = "plum-canary-4711"
INDEX = "/admin/"
PEOPLE = "/admin/conversations/user/"
CONVERSATIONS = "/admin/conversations/conversation/"
GRANTS = "/admin/conversations/reviewgrant/"
TRAIL = "/admin/conversations/auditentry/"
TEAMS = "/admin/conversations/team/"
KEYS = "/admin/conversations/key/"


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def root(db: None) -> User:
    """A superuser, made on the server."""
    return User.objects.create_superuser("root@example.com", "correct horse battery")


@pytest.fixture
def said(conversation: Conversation, alice: User) -> Conversation:
    """The canary stands in every text that a conversation has."""
    question = Message.objects.create(
        conversation=conversation, role=Author.USER, author=alice, text=f"**{SECRET}** question"
    )
    answer = Message.objects.create(
        conversation=conversation,
        role=Author.ASSISTANT,
        parent=question,
        depth=1,
        text=f"{SECRET} answer <script>alert(1)</script>",
        reasoning=f"{SECRET} reasoning",
    )
    generation = Generation.objects.create(
        conversation=conversation,
        question=question,
        model="crimson-falcon-4",
        state=State.FAILED,
        error_message="The model server gave up.",
        request={"system": SECRET},
    )
    generation.choices.create(message=answer)
    conversation.title = f"{SECRET} title"
    conversation.system_prompt = f"{SECRET} prompt"
    conversation.head = answer
    conversation.save()
    return conversation


def transcript(conversation: Conversation) -> str:
    return reverse("admin:transcript", args=[conversation.public_id])


# --- Who gets in ----------------------------------------------------------------------------------


def test_the_way_in_is_the_portals_own_sign_in(client: Client, db: None) -> None:
    first = client.get(INDEX)
    second = client.get(first["Location"])
    assert second["Location"] == f"{reverse('account_login')}?next=/admin/"


def test_no_password_is_taken_by_the_admin_itself(client: Client, operator: User) -> None:
    form = {"username": "olga@example.com", "password": "correct horse battery"}
    client.post("/admin/login/", form)
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "path",
    [INDEX, "/admin/login/", PEOPLE, CONVERSATIONS, GRANTS, TRAIL, TEAMS, KEYS, "/admin/jsi18n/"],
)
def test_for_charlie_there_is_no_admin(charlie: User, path: str) -> None:
    assert signed_in(charlie).get(path).status_code == 404


def test_signing_out_there_tells_the_sockets(operator: User) -> None:
    browser = signed_in(operator)
    assert browser.post("/admin/logout/")["Location"] == reverse("account_login")
    assert RightsChange.objects.filter(user=operator).exclude(session_hash="").exists()
    assert browser.get(INDEX).status_code == 302


def test_passwords_are_changed_on_the_portals_page(operator: User) -> None:
    answer = signed_in(operator).get("/admin/password_change/")
    assert answer["Location"] == reverse("account_change_password")


def test_only_these_tables_are_there() -> None:
    assert {model.__name__ for model in site._registry} == {
        "AuditEntry",
        "Budget",
        "Conversation",
        "Key",
        "LanguageModel",
        "ReviewGrant",
        "Team",
        "User",
    }


def test_an_operator_finds_all_of_them(operator: User) -> None:
    browser = signed_in(operator)
    for path in (INDEX, PEOPLE, CONVERSATIONS, GRANTS, TRAIL, TEAMS, KEYS):
        assert browser.get(path).status_code == 200


def test_a_reviewer_finds_conversations_and_nothing_else(
    rita: User, conversation: Conversation
) -> None:
    browser = signed_in(rita)
    assert browser.get(CONVERSATIONS).status_code == 200
    index = browser.get(INDEX).content.decode()
    assert CONVERSATIONS in index
    for path in (PEOPLE, GRANTS, TRAIL, TEAMS):
        assert path not in index
        assert browser.get(path).status_code == 404
        assert browser.get(f"{path}add/").status_code == 404


# --- What nobody reads there ----------------------------------------------------------------------


@pytest.mark.parametrize("who", ["operator", "root", "rita"])
def test_rows_of_conversations_show_no_words(
    request: pytest.FixtureRequest, who: str, said: Conversation
) -> None:
    browser = signed_in(request.getfixturevalue(who))
    rows = browser.get(CONVERSATIONS).content.decode()
    row = browser.get(f"{CONVERSATIONS}{said.pk}/change/").content.decode()
    history = browser.get(f"{CONVERSATIONS}{said.pk}/history/").content.decode()
    assert said.public_id in rows
    assert "alice@example.com" in rows
    assert said.public_id in row
    assert SECRET not in rows + row + history


@pytest.mark.parametrize("who", ["operator", "root", "rita"])
@pytest.mark.parametrize(
    "lookup",
    [
        "title__startswith=p",
        "system_prompt__contains=canary",
        "head__text__contains=canary",
        "messages__text__contains=canary",
        "participants__user__password__startswith=p",
        "parameters__temperature=1",
    ],
)
def test_lookups_in_the_address_answer_no_questions_about_words(
    request: pytest.FixtureRequest, who: str, said: Conversation, lookup: str
) -> None:
    browser = signed_in(request.getfixturevalue(who))
    assert browser.get(f"{CONVERSATIONS}?{lookup}").status_code == 400


@pytest.mark.parametrize("lookup", ["password__startswith=p", "one_time_links__token_hash=p"])
def test_lookups_in_the_address_answer_no_questions_about_passwords(
    operator: User, lookup: str
) -> None:
    assert signed_in(operator).get(f"{PEOPLE}?{lookup}").status_code == 400


def test_the_filters_that_are_offered_work(
    operator: User, conversation: Conversation, alice: User
) -> None:
    browser = signed_in(operator)
    for address in (
        f"{CONVERSATIONS}?deleted_at__isempty=1",
        f"{CONVERSATIONS}?q=alice",
        f"{PEOPLE}?is_active__exact=1",
        f"{TRAIL}?verb=person.added&at__year=2026",
        f"{GRANTS}?revoked_at__isempty=1",
    ):
        assert browser.get(address).status_code == 200


def test_no_page_about_a_person_shows_the_password_hash(operator: User, alice: User) -> None:
    page = signed_in(operator).get(f"{PEOPLE}{alice.pk}/change/").content.decode()
    assert "alice@example.com" in page
    assert alice.password not in page
    assert "md5$" not in page
    assert "superuser" not in page.lower()


@pytest.mark.parametrize("who", ["operator", "root", "rita"])
@pytest.mark.parametrize("verb", ["add/", "{pk}/delete/"])
def test_conversations_are_neither_made_nor_deleted_there(
    request: pytest.FixtureRequest, who: str, conversation: Conversation, verb: str
) -> None:
    browser = signed_in(request.getfixturevalue(who))
    path = CONVERSATIONS + verb.format(pk=conversation.pk)
    assert browser.get(path).status_code == 404
    assert browser.post(path, {"post": "yes"}).status_code == 404
    assert Conversation.objects.filter(pk=conversation.pk).exists()


@pytest.mark.parametrize("who", ["operator", "root", "rita"])
def test_conversations_are_not_changed_there(
    request: pytest.FixtureRequest, who: str, said: Conversation
) -> None:
    browser = signed_in(request.getfixturevalue(who))
    answer = browser.post(
        f"{CONVERSATIONS}{said.pk}/change/",
        {"title": "Mine", "model": "x", "system_prompt": "x", "public_id": "x", "deleted_at": ""},
    )
    assert answer.status_code == 404
    said.refresh_from_db()
    assert said.title == f"{SECRET} title"


def test_the_rows_are_read_in_a_fixed_number_of_queries(
    operator: User, alice: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(30):
        row = Conversation.objects.create(model="crimson-falcon-4")
        row.participants.create(user=alice, role="owner")
    browser = signed_in(operator)
    with django_assert_max_num_queries(20, connection=connection):
        browser.get(CONVERSATIONS)


# --- The transcript -------------------------------------------------------------------------------


def test_a_reviewer_reads_the_whole_branch(rita: User, said: Conversation) -> None:
    page = signed_in(rita).get(transcript(said)).content.decode()
    assert f"<strong>{SECRET}</strong> question" in page
    assert f"{SECRET} answer" in page
    assert f"{SECRET} reasoning" in page
    assert f"{SECRET} prompt" in page
    assert "The model server gave up." in page
    assert "<script>alert" not in page
    assert "<form" not in page


def test_a_transcript_has_pages_as_long_as_set(
    rita: User, said: Conversation, settings: Settings
) -> None:
    settings.TRANSCRIPT_PAGE = 1
    browser = signed_in(rita)
    first, second = (
        browser.get(transcript(said), {"page": number}).content.decode() for number in (1, 2)
    )
    assert f"{SECRET} answer" not in first
    assert f"{SECRET} answer" in second


def test_deleted_conversations_can_be_reviewed(rita: User, said: Conversation) -> None:
    Conversation.objects.update(deleted_at="2026-01-02T03:04:05Z")
    page = signed_in(rita).get(transcript(said)).content.decode()
    assert f"{SECRET} answer" in page
    assert "Deleted 2026-01-02" in page


@pytest.mark.parametrize("who", ["alice", "charlie", "operator", "root"])
def test_nobody_else_reads_it(request: pytest.FixtureRequest, who: str, said: Conversation) -> None:
    browser = signed_in(request.getfixturevalue(who))
    answer = browser.get(transcript(said))
    assert answer.status_code == 404
    assert SECRET not in answer.content.decode()
    assert not AuditEntry.objects.filter(verb="conversation.reviewed").exists()


def test_somebody_signed_out_is_asked_to_sign_in(client: Client, said: Conversation) -> None:
    assert client.get(transcript(said))["Location"].startswith("/admin/login/")


def test_a_revoked_right_reads_nothing_more(rita: User, operator: User, said: Conversation) -> None:
    browser = signed_in(rita)
    people.revoke_review(grant=rita.review_grants.get(), actor=operator)
    assert browser.get(transcript(said)).status_code == 404


def test_an_operator_with_the_right_keeps_running_the_portal(
    operator: User, root: User, said: Conversation
) -> None:
    people.grant_review(user=operator, actor=root, reason="Complaint")
    browser = signed_in(operator)
    assert browser.get(transcript(said)).status_code == 200
    assert browser.get(PEOPLE).status_code == 200


def test_the_row_leads_to_the_transcript_for_those_who_may_read_it(
    rita: User, operator: User, said: Conversation
) -> None:
    row = f"{CONVERSATIONS}{said.pk}/change/"
    assert transcript(said) in signed_in(rita).get(row).content.decode()
    assert transcript(said) not in signed_in(operator).get(row).content.decode()


def test_each_view_leaves_an_entry(rita: User, said: Conversation) -> None:
    browser = signed_in(rita)
    browser.get(transcript(said))
    browser.get(transcript(said))
    entries = AuditEntry.objects.filter(verb="conversation.reviewed", actor=rita)
    assert [entry.object_id for entry in entries] == [said.public_id] * 2


def test_a_view_that_fails_leaves_an_entry_too(
    rita: User, said: Conversation, settings: Settings
) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    browser = signed_in(rita)
    browser.raise_request_exception = False
    assert browser.get(transcript(said)).status_code == 500
    assert AuditEntry.objects.filter(verb="conversation.reviewed", actor=rita).count() == 1


def test_the_transcript_is_only_for_looking(rita: User, said: Conversation) -> None:
    assert signed_in(rita).post(transcript(said)).status_code == 405


def test_a_long_transcript_comes_in_pages(
    rita: User, conversation: Conversation, alice: User
) -> None:
    parent = None
    for depth in range(205):
        parent = Message.objects.create(
            conversation=conversation,
            role=Author.USER,
            author=alice,
            parent=parent,
            depth=depth,
            text=f"line {depth}.",
            request_id=uuid4(),
        )
    Conversation.objects.filter(pk=conversation.pk).update(head=parent)
    browser = signed_in(rita)
    assert "line 204." not in browser.get(transcript(conversation)).content.decode()
    assert "line 204." in browser.get(transcript(conversation) + "?page=2").content.decode()


# --- The trail ------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["operator", "root", "rita"])
def test_nobody_deletes_or_changes_the_trail(
    request: pytest.FixtureRequest, who: str, alice: User
) -> None:
    user = request.getfixturevalue(who)
    people.set_name(user=alice, actor=alice, name="Al")
    entry = AuditEntry.objects.get(verb="person.named")
    browser = signed_in(user)
    before = AuditEntry.objects.count()
    browser.post(f"{TRAIL}{entry.pk}/delete/", {"post": "yes"})
    browser.post(f"{TRAIL}{entry.pk}/change/", {"verb": "nothing", "actor_label": "nobody"})
    browser.post(f"{TRAIL}add/", {"verb": "nothing"})
    browser.post(
        TRAIL, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    )
    assert AuditEntry.objects.count() == before
    entry.refresh_from_db()
    assert entry.verb == "person.named"
