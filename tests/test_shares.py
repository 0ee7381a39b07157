"""Shared to be read: by whom, what of it, until when, and nothing else."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from chatweb import logs
from conversations import actions
from conversations.actions import participants, people, refusals, shares
from conversations.models import (
    Audience,
    AuditEntry,
    Author,
    Choice,
    Conversation,
    Generation,
    Kind,
    Message,
    MessageVersion,
    Participant,
    Role,
    Share,
    State,
    User,
)
from tests.browser.rows import add_turn
from tests.conftest import person

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def talk(conversation: Conversation, alice: User) -> Conversation:
    add_turn(conversation, alice, "Why is it slow?", "It reads every row.")
    return conversation


def make(
    conversation: Conversation, actor: User, audience: Audience = Audience.PEOPLE, **more: Any
) -> str:
    """Its path."""
    options: dict[str, Any] = {"is_live": False, "lifetime": DAY} | more
    share, token = shares.make(conversation=conversation, actor=actor, audience=audience, **options)
    return f"/link/share/{token}/" if token else f"/shared/{share.public_id}/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text_of(page: Any) -> str:
    assert page.status_code == 200
    return re.sub(r"\s+", " ", page.content.decode())


# --- Who reads ------------------------------------------------------------------------------------


def test_anyone_who_is_signed_in_reads_and_nobody_else(
    talk: Conversation, alice: User, charlie: User
) -> None:
    path = make(talk, alice)
    page = text_of(signed_in(charlie).get(path))
    assert "Slow export" in page
    assert "It reads every row." in page
    assert "Shared read-only by Alice" in page
    outside = Client().get(path)
    assert outside.status_code == 302
    assert outside["Location"].startswith("/accounts/login/")
    suspended = signed_in(charlie)
    people.suspend(user=charlie, actor=alice)
    assert suspended.get(path).status_code == 302


def test_reading_a_share_gives_no_other_right(
    talk: Conversation, alice: User, charlie: User
) -> None:
    path = make(talk, alice)
    client = signed_in(charlie)
    assert client.get(path).status_code == 200
    message = Message.objects.filter(conversation=talk).last()
    assert message is not None
    for address in (
        f"/c/{talk.public_id}/",
        f"/c/{talk.public_id}/messages/",
        f"/c/{talk.public_id}/details/",
        f"/m/{message.public_id}/text/",
    ):
        assert client.get(address).status_code == 404
    assert client.post(path).status_code == 405
    assert talk.participants.count() == 1


def test_a_secret_address_is_read_without_signing_in_where_the_operator_allows_it(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    assert settings.SHARE_LINKS is False
    with pytest.raises(shares.LinksNotAllowed):
        make(talk, alice, Audience.LINK)
    settings.SHARE_LINKS = True
    path = make(talk, alice, Audience.LINK)
    assert "It reads every row." in text_of(Client().get(path))
    settings.SHARE_LINKS = False  # changed their mind
    assert Client().get(path).status_code == 410


def test_a_secret_share_is_not_read_by_its_id_nor_the_other_by_a_token(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    settings.SHARE_LINKS = True
    make(talk, alice, Audience.LINK)
    make(talk, alice)
    secret = Share.objects.get(audience=Audience.LINK)
    public = Share.objects.get(audience=Audience.PEOPLE)
    client = signed_in(alice)
    assert client.get(f"/shared/{secret.public_id}/").status_code == 404
    assert client.get(f"/link/share/{public.public_id}/").status_code == 410
    assert client.get("/link/share/None/").status_code == 410


@pytest.mark.parametrize("audience", Audience)
def test_pages_are_kept_by_nobody_and_found_by_no_search(
    talk: Conversation, alice: User, settings: Settings, audience: Audience
) -> None:
    settings.SHARE_LINKS = True
    page = signed_in(alice).get(make(talk, alice, audience))
    assert {"private", "no-store"} <= set(re.split(r",\s*", page["Cache-Control"]))
    assert "noindex" in page["X-Robots-Tag"]
    assert 'name="robots" content="noindex' in page.content.decode()
    if audience == Audience.LINK:
        assert page["Referrer-Policy"] == "no-referrer"


# --- Until when -----------------------------------------------------------------------------------


def revoke(conversation: Conversation, alice: User) -> None:
    for share in conversation.shares.all():
        shares.revoke(share=share, actor=alice)


def delete(conversation: Conversation, alice: User) -> None:
    actions.conversations.delete(conversation=conversation, actor=alice)


def hand_over(conversation: Conversation, alice: User) -> None:
    otto = person("Otto")
    Participant.objects.create(conversation=conversation, user=otto, role=Role.EDITOR)
    participants.hand_over(conversation=conversation, actor=alice, person=otto)


def suspend(_conversation: Conversation, alice: User) -> None:
    people.suspend(user=alice, actor=person("Olaf"))


def forget(_conversation: Conversation, alice: User) -> None:
    alice.delete()


@pytest.mark.parametrize("change", [revoke, delete, hand_over, suspend, forget])
def test_it_is_shared_no_more(
    talk: Conversation, alice: User, charlie: User, settings: Settings, change: Any
) -> None:
    settings.SHARE_LINKS = True
    for_people, secret = make(talk, alice), make(talk, alice, Audience.LINK)
    client = signed_in(charlie)
    assert client.get(for_people).status_code == client.get(secret).status_code == 200
    change(talk, alice)
    for path, status in ((for_people, 404), (secret, 410)):
        gone = client.get(path)
        assert gone.status_code == status
        assert "reads every row" not in gone.content.decode()


def test_it_ends_by_itself(talk: Conversation, alice: User, settings: Settings) -> None:
    settings.SHARE_LINKS = True
    path = make(talk, alice, Audience.LINK)
    with time_machine.travel(timezone.now() + DAY - timedelta(minutes=1), tick=False):
        assert Client().get(path).status_code == 200
    with time_machine.travel(timezone.now() + DAY, tick=False):
        assert Client().get(path).status_code == 410


# --- What of it -----------------------------------------------------------------------------------


def test_a_live_share_grows_and_a_snapshot_does_not(
    talk: Conversation, alice: User, charlie: User
) -> None:
    live, snapshot = make(talk, alice, is_live=True), make(talk, alice)
    add_turn(talk, alice, "And now?", "Now it is fast.")
    client = signed_in(charlie)
    assert "Now it is fast." in text_of(client.get(live))
    page = text_of(client.get(snapshot))
    assert "It reads every row." in page
    assert "Now it is fast." not in page
    assert "And now?" not in page


def test_a_live_page_asks_for_what_is_new_and_hears_when_there_is_nothing(
    talk: Conversation, alice: User, charlie: User, settings: Settings
) -> None:
    settings.SHARE_POLL_SECONDS = 7
    live, snapshot = make(talk, alice, is_live=True), make(talk, alice)
    client = signed_in(charlie)
    page = text_of(client.get(live))
    assert 'data-poll="7"' in page
    assert 'data-poll="0"' in text_of(client.get(snapshot))
    revision = re.findall(r'data-revision="(\d+)"', page)[0]
    quiet = client.get(live, {"rev": revision}, headers={"HX-Request": "true"})
    assert (quiet.status_code, quiet.content) == (204, b"")
    add_turn(
        talk, alice, "And now?", "Growing", state=State.RUNNING, finish_reason="", settled_at=None
    )
    part = text_of(client.get(live, {"rev": revision}, headers={"HX-Request": "true"}))
    assert "Growing" in part
    assert "<html" not in part


def test_a_snapshot_keeps_the_title_that_it_was_taken_with(
    talk: Conversation, alice: User, client: Client
) -> None:
    live, snapshot = make(talk, alice, is_live=True), make(talk, alice)
    actions.conversations.rename(conversation=talk, actor=alice, title="Now of other things")
    client.force_login(person("Dora"), backend="django.contrib.auth.backends.ModelBackend")
    assert "Now of other things" in text_of(client.get(live))
    page = text_of(client.get(snapshot))
    assert "Slow export" in page
    assert "Now of other things" not in page


def test_an_answer_that_is_being_written_is_not_in_a_snapshot(
    talk: Conversation, alice: User, charlie: User
) -> None:
    add_turn(
        talk, alice, "And now?", "Half an", state=State.RUNNING, finish_reason="", settled_at=None
    )
    page = text_of(signed_in(charlie).get(make(talk, alice)))
    assert "And now?" in page
    assert "Half an" not in page


def test_what_a_continued_answer_grew_by_is_not_in_an_older_snapshot(
    talk: Conversation, alice: User, charlie: User
) -> None:
    path = make(talk, alice)
    answer = Message.objects.get(conversation=talk, role=Author.ASSISTANT)
    assert answer.parent is not None
    more = Generation.objects.create(
        conversation=talk,
        question=answer.parent,
        model="m",
        upstream="main",
        state=State.DONE,
        finish_reason="stop",
        settled_at=timezone.now(),
    )
    Choice.objects.create(generation=more, message=answer, starts_at=len(answer.text))
    answer.text += " Which was secret."
    answer.save(update_fields=["text"])
    page = text_of(signed_in(charlie).get(path))
    assert "It reads every row." in page
    assert "secret" not in page
    assert "secret" in text_of(signed_in(charlie).get(make(talk, alice)))


def test_an_edit_is_not_in_an_older_snapshot_and_a_deletion_is_in_all(
    talk: Conversation, alice: User, charlie: User
) -> None:
    before, live = make(talk, alice), make(talk, alice, is_live=True)
    question = Message.objects.get(conversation=talk, role=Author.USER)
    MessageVersion.objects.create(message=question, text=question.text, replaced_by=alice)
    Message.objects.filter(pk=question.pk).update(text="Edited", edited_at=timezone.now())
    client = signed_in(charlie)
    assert "Why is it slow?" in text_of(client.get(before))
    assert "Edited" in text_of(client.get(live))
    assert "Edited" in text_of(client.get(make(talk, alice)))
    Message.objects.filter(pk=question.pk).update(deleted_at=timezone.now())
    for path in (before, live):
        assert "Why is it slow?" not in text_of(client.get(path))


@pytest.mark.parametrize("is_live", [True, False])
def test_notes_other_branches_thoughts_and_ways_to_act_are_left_out(
    talk: Conversation, alice: User, charlie: User, is_live: bool
) -> None:
    answer = Message.objects.get(conversation=talk, role=Author.ASSISTANT)
    answer.reasoning = "Secret thought"
    answer.save(update_fields=["reasoning"])
    assert answer.parent is not None
    other = {"conversation": talk, "depth": answer.depth}
    Message.objects.create(
        **other, parent=answer.parent, role=Author.ASSISTANT, text="Secret alternative"
    )
    note = Message.objects.create(
        conversation=talk,
        parent=answer,
        depth=answer.depth + 1,
        role=Author.USER,
        author=alice,
        kind=Kind.NOTE,
        text="Secret note",
    )
    Conversation.objects.filter(pk=talk.pk).update(head=note, system_prompt="Secret prompt")
    page = text_of(signed_in(charlie).get(make(talk, alice, is_live=is_live)))
    assert "It reads every row." in page
    assert "Secret" not in page
    for control in ("hx-post", "hx-get", "<form", "/m/", "/g/", f"/c/{talk.public_id}", "1/2"):
        assert control not in page, control
    assert alice.public_id not in page
    assert alice.email not in page


def test_nothing_said_is_nothing_to_share(conversation: Conversation, alice: User) -> None:
    with pytest.raises(shares.NothingToShare):
        make(conversation, alice)
    make(conversation, alice, is_live=True)


def test_a_long_one_comes_in_pages(
    talk: Conversation, alice: User, charlie: User, settings: Settings
) -> None:
    settings.TRANSCRIPT_PAGE = 2
    add_turn(talk, alice, "And now?", "Now it is fast.")
    path = make(talk, alice)
    client = signed_in(charlie)
    first = text_of(client.get(path))
    assert "reads every row" in first
    assert "Now it is fast" not in first
    assert "?page=2" in first
    assert "Now it is fast" in text_of(client.get(path, {"page": "2"}))
    for page in ("0", "x", "99999", "-1"):
        assert client.get(path, {"page": page}).status_code == 200


@pytest.mark.parametrize("is_live", [True, False])
def test_hostile_words_are_text(
    talk: Conversation, alice: User, charlie: User, is_live: bool
) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    User.objects.filter(pk=alice.pk).update(name=hostile)
    Conversation.objects.filter(pk=talk.pk).update(title=hostile)
    add_turn(talk, alice, hostile, hostile)
    page = text_of(signed_in(charlie).get(make(talk, alice, is_live=is_live)))
    assert "<img" not in page
    assert page.count("&lt;img") >= 4


# --- Owners ---------------------------------------------------------------------------------------


def test_only_owners_share_and_revoke(talk: Conversation, alice: User, bob: User) -> None:
    Participant.objects.create(conversation=talk, user=bob, role=Role.EDITOR)
    with pytest.raises(refusals.NotAnOwner):
        make(talk, bob)
    make(talk, alice)
    share = Share.objects.get()
    with pytest.raises(refusals.NotAnOwner):
        shares.revoke(share=share, actor=bob)
    client = signed_in(bob)
    assert "share-form" not in text_of(client.get(f"/c/{talk.public_id}/details/"))
    assert client.post(f"/account/shares/{share.public_id}/revocation/").status_code == 404


def made(client: Client, conversation: Conversation, **form: str) -> Any:
    fields = {"audience": "people", "is_live": "", "days": "7"} | form
    return client.post(f"/c/{conversation.public_id}/shares/", fields)


def test_in_the_drawer_it_is_made_listed_and_revoked(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    settings.SHARE_LINKS = True
    client = signed_in(alice)
    page = text_of(made(client, talk, audience="link", is_live="live"))
    (token,) = set(re.findall(r"http://testserver/link/share/([\w-]+)/", page))
    drawer = text_of(client.get(f"/c/{talk.public_id}/details/"))
    assert token not in drawer
    share = Share.objects.get()
    assert f'id="share-{share.public_id}"' in drawer
    assert "Alice shared it live with whoever has an address" in drawer
    assert share.expires_at - share.created_at == 7 * DAY
    gone = text_of(client.delete(f"/c/{talk.public_id}/shares/{share.public_id}/"))
    assert f'id="share-{share.public_id}"' not in gone
    assert Client().get(f"/link/share/{token}/").status_code == 410
    verbs = AuditEntry.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["share.made", "share.revoked"]


@pytest.mark.parametrize(
    "form", [{"audience": "link"}, {"audience": "all"}, {"days": "365"}, {"is_live": "maybe"}]
)
def test_what_is_not_offered_is_refused(
    talk: Conversation, alice: User, form: dict[str, str], settings: Settings
) -> None:
    assert settings.SHARE_DAYS == 90
    assert made(signed_in(alice), talk, **form).status_code == 422
    assert not Share.objects.exists()


def test_there_are_as_many_as_the_setting_says(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    settings.SHARES_PER_CONVERSATION = 1
    client = signed_in(alice)
    assert made(client, talk).status_code == 200
    refused = made(client, talk)
    assert refused.status_code == 409
    assert "Revoke one first." in refused.content.decode()
    revoke(talk, alice)
    assert made(client, talk).status_code == 200
    settings.SHARES_PER_CONVERSATION = 0
    assert "share-form" not in text_of(client.get(f"/c/{talk.public_id}/details/"))


def test_a_page_lists_what_one_shares_and_revokes_it(
    talk: Conversation, alice: User, bob: User
) -> None:
    path = make(talk, alice)
    client = signed_in(alice)
    page = text_of(client.get("/account/shares/"))
    assert "Slow export" in page
    assert path in page
    assert "Slow export" not in text_of(signed_in(bob).get("/account/shares/"))
    share = Share.objects.get()
    after = client.post(f"/account/shares/{share.public_id}/revocation/", follow=True)
    assert "It is shared no more." in after.content.decode()
    assert path not in after.content.decode()


# --- Where tokens never show ----------------------------------------------------------------------


def test_the_table_and_the_log_hold_no_token(
    talk: Conversation, alice: User, settings: Settings
) -> None:
    settings.SHARE_LINKS = True
    path = make(talk, alice, Audience.LINK)
    token = path.split("/")[3]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert token not in str(cursor.fetchall())
    assert token not in logs.masked(f"Broken: {path}?page=2")
    assert token not in Client().get(path).content.decode()
