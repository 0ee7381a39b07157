"""A branch that is offered back: what of the fork is shown, to whom, and what taking it does."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from conversations import access, actions, events
from conversations.actions import offers
from conversations.actions.copies import StillWriting, TooMuchToCopy
from conversations.actions.offers import NothingToOffer, OfferDecided, PlaceGone, TooManyOffers
from conversations.actions.refusals import NotAnOwner, RightLost
from conversations.models import (
    Author,
    Choice,
    Conversation,
    Draft,
    Generation,
    Message,
    Offer,
    OfferState,
    Participant,
    Role,
    State,
    User,
    What,
)
from tests import drafts
from tests.browser.rows import add_turn
from tests.conftest import person
from tests.queues import end
from tests.test_forks import branch, fork, texts
from tests.test_shares import signed_in
from tests.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(shared: Conversation, alice: User) -> Conversation:
    add_turn(shared, alice, "Why is it slow?", "It reads every row.")
    return shared


@pytest.fixture
def mine(talk: Conversation, bob: User) -> Conversation:
    """Bob's fork, in which he went on."""
    row = fork(talk, bob)
    add_turn(row, bob, "And an index?", "That would help.")
    return row


def make(mine: Conversation, actor: User, text: str = "") -> Offer:
    mine.refresh_from_db()
    original = mine.forked_from
    assert original is not None
    return offers.make(fork=mine, original=original, actor=actor, text=text)


def page_of(client: Client, offer: Offer) -> str:
    return client.get(f"/o/{offer.public_id}/").content.decode()


# --- What is offered, and what is not -------------------------------------------------------------


def test_what_is_offered_is_what_the_fork_has_beyond(
    talk: Conversation, mine: Conversation, bob: User
) -> None:
    offer = make(mine, bob, "Look")
    assert (offer.base, offer.size, offer.head) == (talk.head, 2, mine.head)
    assert [one.text for one in offer.messages()] == ["And an index?", "That would help."]
    line = talk.changes.get(what=What.OFFERED)
    assert line.actor == bob


def test_a_question_in_new_words_is_offered_from_where_it_differs(
    talk: Conversation, alice: User, mine: Conversation
) -> None:
    hers = fork(talk, alice)
    first = branch(hers)[0]
    again = Message.objects.create(
        conversation=hers, role=Author.USER, author=alice, text="Why so slow?"
    )
    assert first.parent is None
    hers.head = again
    hers.save()
    offer = make(hers, alice)
    assert (offer.base, offer.since) == (None, 0)
    offers.take(offer=offer, actor=alice)
    assert texts(talk) == ["Why so slow?"]
    wordings = talk.messages.filter(parent=None).values_list("text", flat=True)
    assert set(wordings) == {"Why is it slow?", "Why so slow?"}


def test_nothing_else_of_the_fork_is_to_be_seen_through_it(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    other, asked = branch(mine)[1], branch(mine)[2]
    actions.messages.note(conversation=mine, author=bob, text="Hidden note", request_id=uuid4())
    Message.objects.create(
        conversation=mine, parent=other, depth=2, role=Author.USER, author=bob, text="Hidden branch"
    )
    mine.system_prompt = "Hidden prompt"
    mine.save()
    offer = make(mine, bob)
    add_turn(mine, bob, "Hidden later", "Hidden too")
    client = signed_in(alice)
    page = page_of(client, offer)
    assert "That would help." in page
    assert "Hidden" not in page
    assert mine.public_id not in page
    for path in (
        f"/c/{mine.public_id}/",
        f"/c/{mine.public_id}/origin/",
        f"/m/{asked.public_id}/text/",
        f"/g/{Generation.objects.filter(conversation=mine)[0].public_id}/request/",
    ):
        assert client.get(path).status_code == 404
    offers.take(offer=offer, actor=alice)
    assert not any("Hidden" in text for text in talk.messages.values_list("text", flat=True))


def test_an_answer_that_is_continued_later_stays_as_it_was_offered(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    answer = branch(mine)[-1]
    asked = answer.parent
    assert asked is not None
    later = Generation.objects.create(
        conversation=mine,
        question=asked,
        model="crimson-falcon-4",
        upstream="main",
        state=State.DONE,
        finish_reason="stop",
        settled_at=timezone.now(),
    )
    Choice.objects.create(generation=later, message=answer, starts_at=len(answer.text))
    answer.text, answer.reasoning = answer.text + " Hidden rest", "Hidden thought"
    answer.save()
    assert "Hidden" not in page_of(signed_in(alice), offer)
    anew = make(mine, bob)  # the head is the same, what it says is not
    assert anew != offer
    offer.refresh_from_db()
    assert offer.state == OfferState.WITHDRAWN
    assert "Hidden rest" in page_of(signed_in(alice), anew)
    Offer.objects.filter(pk=anew.pk).update(offered_at=offer.offered_at)
    offers.take(offer=Offer.objects.get(pk=anew.pk), actor=alice)
    assert texts(talk)[-1] == "That would help."
    assert branch(talk)[-1].reasoning == ""


# --- Who may --------------------------------------------------------------------------------------


def test_only_who_takes_part_reads_it_and_only_who_writes_decides(
    talk: Conversation, mine: Conversation, alice: User, bob: User, charlie: User
) -> None:
    offer = make(mine, bob)
    path = f"/o/{offer.public_id}/"
    assert signed_in(charlie).get(path).status_code == 404
    reader = person("Dana")
    Participant.objects.create(conversation=talk, user=reader, role=Role.VIEWER)
    assert "Owners and editors decide" in page_of(signed_in(reader), offer)
    for verb in ("taking/", "decline/", "withdrawal/"):
        assert signed_in(reader).post(path + verb).status_code == 404
    assert signed_in(alice).post(path + "withdrawal/").status_code == 404
    actions.participants.remove(conversation=talk, actor=alice, person=bob)
    assert signed_in(bob).get(path).status_code == 404
    assert signed_in(bob).get(f"/c/{mine.public_id}/offers/").status_code == 404
    assert signed_in(bob).get(f"/c/{mine.public_id}/").status_code == 200


def test_who_lost_a_right_meanwhile_neither_offers_nor_decides(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    part = Participant.objects.filter(conversation=talk, user=bob)
    part.update(role=Role.VIEWER)
    for act in (offers.take, offers.decline):
        with pytest.raises(RightLost):
            act(offer=offer, actor=bob)
    with pytest.raises(RightLost):
        make(mine, bob, "Again")
    offers.withdraw(offer=offer, actor=bob)
    with pytest.raises(NotAnOwner):
        make(mine, alice)


@pytest.mark.parametrize("is_removed", [True, False])
def test_with_its_maker_an_offer_goes_and_stays_gone(
    talk: Conversation,
    mine: Conversation,
    alice: User,
    bob: User,
    is_removed: bool,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    hidden, hers = fork(talk, bob, at=branch(talk)[0]), fork(talk, alice)
    add_turn(hidden, bob, "Deleted meanwhile", "Yes.")
    add_turn(hers, alice, "Of who stays", "Yes.")
    gone, staying = [make(mine, bob), make(hidden, bob)], make(hers, alice)
    actions.conversations.delete(conversation=hidden, actor=bob)
    seen = Conversation.objects.get(pk=mine.pk).revision
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "tell", heard.append)
    with django_capture_on_commit_callbacks(execute=True):
        if is_removed:
            actions.participants.remove(conversation=talk, actor=alice, person=bob)
        else:
            actions.participants.leave(conversation=talk, person=bob)
    actions.conversations.restore(conversation=hidden, actor=bob)
    assert list(Offer.objects.open()) == [staying]
    actor = alice if is_removed else bob
    assert talk.changes.filter(what=What.WITHDREW, actor=actor, person=bob).count() == 2
    assert f"{actor.name} withdrew it." in page_of(signed_in(alice), gone[0])
    (card,) = [event for event in heard if isinstance(event, events.QueueChanged)]
    assert [one.public_id in card.html for one in (*gone, staying)] == [False, False, True]
    assert Conversation.objects.get(pk=mine.pk).revision > seen
    assert "nobody else sees it" in signed_in(bob).get(f"/c/{mine.public_id}/").content.decode()


def test_with_its_fork_an_offer_is_gone_until_that_is_restored(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    client = signed_in(alice)
    actions.conversations.delete(conversation=mine, actor=bob)
    assert client.get(f"/o/{offer.public_id}/").status_code == 404
    assert offer.public_id not in client.get(f"/c/{talk.public_id}/").content.decode()
    with pytest.raises(OfferDecided):
        offers.take(offer=offer, actor=alice)
    actions.conversations.restore(conversation=mine, actor=bob)
    assert offer.public_id in client.get(f"/c/{talk.public_id}/").content.decode()


# --- Offering -------------------------------------------------------------------------------------


def test_nothing_is_offered_where_nothing_was_added_or_an_answer_is_written(
    talk: Conversation, bob: User, settings: Settings
) -> None:
    row = fork(talk, bob)
    with pytest.raises(NothingToOffer):
        make(row, bob)
    actions.messages.branch(
        conversation=row,
        author=bob,
        text="And now?",
        request_id=uuid4(),
        place=actions.turns.Place(below=branch(row)[1]),
    )
    client = signed_in(bob)
    refused = client.post(f"/c/{row.public_id}/offers/", {"text": "Look"})
    assert refused.status_code == 409
    assert "An answer is being written." in refused.content.decode()
    end(row)
    settings.FORK_MESSAGES = 1
    with pytest.raises(TooMuchToCopy):
        make(row, bob)
    settings.OFFER_MAX_CHARS = 3
    assert client.post(f"/c/{row.public_id}/offers/", {"text": "Look"}).status_code == 422
    assert not Offer.objects.exists()


def test_of_a_fork_one_is_open_and_offering_the_same_twice_is_once(
    talk: Conversation, mine: Conversation, bob: User
) -> None:
    first = make(mine, bob)
    assert make(mine, bob) == first
    second = make(mine, bob, "With a word")
    assert second != first
    assert Offer.objects.open().get() == second


def test_as_many_are_open_as_the_setting_says(
    talk: Conversation, mine: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    settings.OFFERS_PER_CONVERSATION = 1
    make(mine, bob)
    make(mine, bob, "In its place")
    hers = fork(talk, alice)
    add_turn(hers, alice, "Another way", "Yes.")
    with pytest.raises(TooManyOffers):
        make(hers, alice)


# --- Deciding -------------------------------------------------------------------------------------


def test_taking_copies_the_messages_and_leaves_what_stood_there_a_step_away(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    add_turn(talk, alice, "Never mind", "Fine.")
    before = texts(talk)
    offer = make(mine, bob)
    offers.take(offer=offer, actor=alice)
    assert texts(talk) == [*texts(mine)]
    question, answer = branch(talk)[-2:]
    assert (question.author, question.created_at) == (bob, branch(mine)[-2].created_at)
    assert [question.copied_from, answer.copied_from] == branch(mine)[-2:]
    assert answer.copied_generation == Generation.objects.get(choices__message=mine.head)
    shown = access.message(alice, question.public_id, to="read")
    assert (shown.alternative_number, shown.alternatives) == (2, 2)
    other = talk.messages.get(text="Never mind")
    actions.conversations.choose_head(conversation=talk, actor=alice, message=other)
    assert texts(talk) == before
    line = talk.changes.get(what=What.TOOK)
    assert (line.actor, line.person) == (alice, bob)


def test_where_nothing_was_said_since_the_branch_goes_on(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offers.take(offer=make(mine, bob), actor=alice)
    assert texts(talk) == texts(mine)
    assert branch(talk)[-1].depth == 3
    unread = Conversation.objects.shared_with(alice).with_attention().get(pk=talk.pk).unread
    assert unread == 2


def test_what_was_taken_is_not_offered_again(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offers.take(offer=make(mine, bob), actor=alice)
    with pytest.raises(NothingToOffer):
        make(mine, bob)
    add_turn(mine, bob, "And then?", "Done.")
    offer = make(mine, bob)
    talk.refresh_from_db()
    assert (offer.base, offer.size) == (talk.head, 2)
    offers.take(offer=offer, actor=alice)
    assert texts(talk) == texts(mine)


@pytest.mark.django_db(transaction=True)
def test_two_who_take_at_once_take_it_once(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    at_once(
        *[lambda: offers.take(offer=Offer.objects.get(pk=offer.pk), actor=alice)] * 3,
        lambda: offers.take(offer=Offer.objects.get(pk=offer.pk), actor=bob),
    )
    assert talk.messages.filter(text="And an index?").count() == 1
    assert texts(talk) == texts(mine)


@pytest.mark.django_db(transaction=True)
def test_taking_and_declining_at_once_does_one_of_them(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    results = at_once(
        lambda: offers.take(offer=Offer.objects.get(pk=offer.pk), actor=alice),
        lambda: offers.decline(offer=Offer.objects.get(pk=offer.pk), actor=alice),
        lambda: offers.withdraw(offer=Offer.objects.get(pk=offer.pk), actor=bob),
    )
    assert sum(isinstance(one, OfferDecided) for one in results) == 2
    offer.refresh_from_db()
    assert (len(texts(talk)) == 4) == (offer.state == OfferState.TAKEN)


def test_taking_waits_for_an_answer_and_stops_where_its_place_is_gone(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    actions.messages.branch(
        conversation=talk,
        author=alice,
        text="Meanwhile",
        request_id=uuid4(),
        place=actions.turns.Place(below=branch(talk)[1]),
    )
    with pytest.raises(StillWriting):
        offers.take(offer=offer, actor=alice)
    end(talk)
    assert offer.base is not None
    Message.objects.filter(pk=offer.base.pk).update(deleted_at=timezone.now())
    with pytest.raises(PlaceGone):
        offers.take(offer=Offer.objects.get(pk=offer.pk), actor=alice)
    assert Offer.objects.open().exists()


@pytest.mark.parametrize(
    ("act", "state", "said"),
    [
        (offers.take, OfferState.TAKEN, "Alice took it"),
        (offers.decline, OfferState.DECLINED, "Alice declined it"),
    ],
)
def test_what_was_decided_shows_how_and_nothing_of_the_fork(
    mine: Conversation,
    alice: User,
    bob: User,
    act: Any,
    state: OfferState,
    said: str,
) -> None:
    offer = make(mine, bob)
    act(offer=offer, actor=alice)
    act(offer=offer, actor=alice)  # pressed twice
    offer.refresh_from_db()
    assert (offer.state, offer.decided_by) == (state, alice)
    page = page_of(signed_in(alice), offer)
    assert said in page
    assert "That would help." not in page
    with pytest.raises(OfferDecided):
        offers.withdraw(offer=offer, actor=bob)


def test_all_hear_of_it_as_it_happens_and_the_maker_of_what_became_of_it(
    talk: Conversation,
    mine: Conversation,
    alice: User,
    bob: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "tell", heard.append)
    with django_capture_on_commit_callbacks(execute=True):
        offer = make(mine, bob, "Look")
    with django_capture_on_commit_callbacks(execute=True):
        offers.take(offer=offer, actor=alice)
    notices = [event for event in heard if isinstance(event, events.Notice)]
    assert [(event.user, event.conversation, event.text) for event in notices] == [
        (alice.public_id, talk.public_id, "Bob offers a branch."),
        (bob.public_id, talk.public_id, "Alice took your branch."),
    ]
    (card,) = [event for event in heard if isinstance(event, events.QueueChanged)]
    assert offer.public_id in card.html


def test_a_branch_that_goes_on_from_one_of_several_drafts_chooses_it(
    shared: Conversation, alice: User, bob: User
) -> None:
    _first, second, _third = drafts.answered(shared, alice)
    row = fork(shared, bob, at=second)
    add_turn(row, bob, "More of this", "Yes.")
    assert drafts.shown(shared)
    offers.take(offer=make(row, bob), actor=alice)
    assert texts(shared) == ["Which?", "Answer 1.", "More of this", "Yes."]
    assert drafts.shown(shared) == []
    chosen = Draft.objects.exclude(chosen_at=None).get()
    assert (chosen.message, chosen.chosen_by) == (second, alice)


# --- The pages ------------------------------------------------------------------------------------


def test_the_page_of_a_fork_offers_and_says_how_it_fares(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    client = signed_in(bob)
    path = f"/c/{mine.public_id}/origin/"
    assert "Offer back" in client.get(path).content.decode()
    form = client.get(f"/c/{mine.public_id}/offers/").content.decode()
    assert "Everybody in “Slow export”" in form
    assert client.post(f"/c/{mine.public_id}/offers/", {"text": "Look"}).status_code == 204
    assert "offered to the others" in client.get(path).content.decode()
    offers.decline(offer=Offer.objects.get(), actor=alice)
    assert "Alice declined" in client.get(path).content.decode()
    Participant.objects.filter(conversation=talk, user=bob).update(role=Role.VIEWER)
    assert "Offer back" not in client.get(path).content.decode()
    assert client.get(f"/c/{talk.public_id}/origin/").status_code == 404


def test_the_comparison_begins_where_the_two_part(
    talk: Conversation, mine: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    first = branch(talk)[1]
    add_turn(talk, alice, "Never mind", "Fine.")
    offer = make(mine, bob, "I <b>tried</b> an index")
    client = signed_in(alice)
    page = page_of(client, offer)
    assert "I &lt;b&gt;tried&lt;/b&gt; an index" in page
    assert page.count(first.text) == 1  # what both go on from
    for text in ("Never mind", "Fine.", "And an index?", "That would help."):
        assert text in page
    settings.TRANSCRIPT_PAGE = 1
    assert page_of(client, offer).count("and 1 more message") == 2


def test_a_refusal_is_said_on_the_page(
    talk: Conversation, mine: Conversation, alice: User, bob: User
) -> None:
    offer = make(mine, bob)
    offers.withdraw(offer=offer, actor=bob)
    answer = signed_in(alice).post(f"/o/{offer.public_id}/taking/", follow=True)
    page = answer.content.decode()
    assert page.count("Somebody was faster") == 1
    assert "Bob withdrew it" in page
