"""Votes for drafts, and the one that people go on with."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import actions, catalogue
from conversations.actions.asking import ONE, Asked
from conversations.actions.refusals import (
    Decided,
    NotTakingPart,
    TurnRunning,
)
from conversations.actions.turns import Place
from conversations.models import (
    Audience,
    Conversation,
    LanguageModel,
    Participant,
    Role,
    User,
    decisions,
)
from tests.drafts import (
    BROKEN,
    answered,
    answers,
    ask,
    claimed,
    settle,
    shown,
)
from tests.test_shares import signed_in

pytestmark = pytest.mark.django_db

# --- Votes and the choice ------------------------------------------------------------------------


def votes(conversation: Conversation) -> list[list[str]]:
    (decision,) = decisions(conversation)
    return [[person.name for person in decision.votes[draft]] for draft in decision.drafts]


def test_a_vote_is_given_moved_and_taken_back(shared: Conversation, alice: User, bob: User) -> None:
    first, second, _third = answered(shared, alice)
    actions.votes.vote(answer=first, person=bob, is_given=True)
    actions.votes.vote(answer=first, person=bob, is_given=True)
    actions.votes.vote(answer=second, person=alice, is_given=True)
    assert votes(shared) == [["Bob"], ["Alice"], []]
    actions.votes.vote(answer=second, person=bob, is_given=True)
    assert votes(shared) == [[], ["Alice", "Bob"], []]
    actions.votes.vote(answer=first, person=bob, is_given=False)
    assert votes(shared) == [[], ["Alice", "Bob"], []], "there was none to take back"
    actions.votes.vote(answer=second, person=bob, is_given=False)
    assert votes(shared) == [[], ["Alice"], []]


def test_nobody_votes_for_what_is_on_a_branch_that_was_left(
    shared: Conversation, alice: User, bob: User
) -> None:
    """Pages that show the other branch would be told of an answer that is not in it."""
    first = ask(shared, alice, ONE)
    settle(claimed()[0])
    drafts = answered(shared, alice)
    actions.messages.branch(
        conversation=shared,
        author=alice,
        text="Another beginning",
        request_id=uuid4(),
        place=Place(instead=first.question),
    )
    with pytest.raises(Decided):
        actions.votes.vote(answer=drafts[1], person=bob, is_given=True)


def test_of_what_waits_another_model_that_is_offered_no_more_is_left_out(
    shared: Conversation, alice: User
) -> None:
    ask(shared, alice, ONE)
    actions.queue.send(
        conversation=shared,
        author=alice,
        text="And both?",
        request_id=uuid4(),
        asked=Asked(1, ("indigo-owl-4",)),
    )
    settle(claimed()[0])
    LanguageModel.objects.create(
        model_id="indigo-owl-4", upstream="main", edited_at=timezone.now(), is_offered=False
    )
    catalogue.forget()
    assert actions.queue.sweep() == 1
    assert [choice.generation.model for choice in claimed()] == [shared.model]


def test_the_queue_goes_on_below_a_branch_that_was_taken(
    shared: Conversation, alice: User, bob: User
) -> None:
    """Whatever became of the answer that stood there before."""
    ask(shared, alice, ONE)
    settle(claimed()[0])
    shared.refresh_from_db()
    fork = actions.forks.fork(conversation=shared, actor=bob, at=shared.head)
    ask(fork, bob, ONE)
    settle(claimed()[0])
    fork.refresh_from_db()
    offer = actions.offers.make(fork=fork, original=shared, actor=bob, text="")
    ask(shared, alice, ONE)
    actions.queue.send(conversation=shared, author=alice, text="More", request_id=uuid4())
    settle(claimed()[0], BROKEN)
    assert actions.queue.sweep() == 0
    actions.offers.take(offer=offer, actor=bob)
    assert actions.queue.sweep() == 1


def test_viewers_vote_and_only_who_takes_part(
    client: Client, shared: Conversation, alice: User, bob: User, charlie: User
) -> None:
    first, second, _third = answered(shared, alice)
    Participant.objects.filter(user=bob).update(role=Role.VIEWER)
    for person, status in ((bob, 204), (charlie, 404)):
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        address = f"/m/{second.public_id}/vote/"
        assert client.post(address, {"given": "on"}).status_code == status
    assert votes(shared) == [[], ["Bob"], []]
    with pytest.raises(NotTakingPart):  # whoever had access a moment ago
        actions.votes.vote(answer=second, person=charlie, is_given=True)
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(f"/m/{first.public_id}/head/").status_code == 404
    assert client.post(f"/m/{second.public_id}/vote/").status_code == 204
    assert votes(shared) == [[], [], []]


def test_whoever_votes_too_often_waits(
    shared: Conversation, alice: User, bob: User, settings: Settings
) -> None:
    settings.VOTES_PER_PERSON = 3
    first, *_others = answered(shared, alice)
    hers, his = signed_in(alice), signed_in(bob)
    address = f"/m/{first.public_id}/vote/"
    shared.refresh_from_db()
    before = shared.revision
    statuses = [his.post(address, {"given": given}).status_code for given in ("on", "", "on")]
    assert statuses == [204] * 3
    refused = his.post(address)
    assert (refused.status_code, "Wait a minute" in refused.content.decode()) == (409, True)
    shared.refresh_from_db()
    assert (votes(shared)[0], shared.revision) == (["Bob"], before + 3)
    assert hers.post(address, {"given": "on"}).status_code == 204  # counts for herself


def test_choosing_one_makes_it_the_head_and_the_others_are_rejected(
    shared: Conversation, alice: User, bob: User
) -> None:
    first, second, third = answered(shared, alice)
    assert len(shown(shared)) == 3
    actions.votes.vote(answer=third, person=alice, is_given=True)
    actions.conversations.choose_head(conversation=shared, actor=bob, message=second)
    (decision,) = decisions(shared)
    assert (decision.chosen, decision.chosen_by, decision.is_explicit) == (second, bob, True)
    assert decision.rejected == (first, third)
    assert decision.votes == {first: (), second: (), third: (alice,)}
    assert shown(shared) == []
    assert shared.head == second
    with pytest.raises(Decided):
        actions.votes.vote(answer=first, person=bob, is_given=True)
    # Looking at the others afterwards decides nothing.
    actions.conversations.choose_head(conversation=shared, actor=alice, message=first)
    assert next(decisions(shared)).chosen == second
    # Going on below another one does.
    ask(shared, alice, Asked(), "Go on")
    (decision,) = decisions(shared)
    assert (decision.chosen, decision.chosen_by, decision.is_explicit) == (first, alice, False)
    assert decision.rejected == (second, third)


@pytest.mark.parametrize("text", ["And then?", "@bob look"])
def test_going_on_below_them_chooses_the_one_that_leads(
    shared: Conversation, alice: User, text: str
) -> None:
    first, *others = answered(shared, alice)
    if "@" in text:
        Conversation.objects.update(answers="called")
    actions.queue.send(conversation=shared, author=alice, text=text, request_id=uuid4())
    (decision,) = decisions(shared)
    assert (decision.chosen, decision.is_explicit) == (first, False)
    assert decision.rejected == tuple(others)


def test_nothing_is_chosen_while_one_is_written(shared: Conversation, alice: User) -> None:
    sent = ask(shared, alice)
    settle(claimed()[1])
    with pytest.raises(TurnRunning):
        actions.conversations.choose_head(
            conversation=shared, actor=alice, message=answers(sent)[1]
        )
    assert next(decisions(shared)).rejected == ()


def test_what_was_noted_under_them_stays_in_sight(
    shared: Conversation, alice: User, bob: User
) -> None:
    first, second, _third = answered(shared, alice)
    said = actions.messages.note(
        conversation=shared, author=bob, text="The second, I think", request_id=uuid4()
    )
    actions.conversations.choose_head(conversation=shared, actor=alice, message=second)
    said.message.refresh_from_db()
    assert said.message.parent == second
    # Once one is chosen a note belongs to the way on that it was written on.
    actions.conversations.choose_head(conversation=shared, actor=alice, message=first)
    ask(shared, alice, Asked(), "Go on")
    said.message.refresh_from_db()
    assert said.message.parent == second


def test_other_readers_see_the_one_that_leads_alone(
    client: Client, shared: Conversation, alice: User, rita: User
) -> None:
    answered(shared, alice)
    share, _token = actions.shares.make(
        conversation=shared,
        actor=alice,
        audience=Audience.PEOPLE,
        is_live=True,
        lifetime=timedelta(days=1),
    )
    for person, address in (
        (rita, f"/shared/{share.public_id}/"),
        (rita, f"/admin/conversations/conversation/{shared.public_id}/transcript/"),
    ):
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        page = client.get(address)
        assert page.status_code == 200, address
        assert "Answer 0." in page.content.decode()
        assert "Answer 1." not in page.content.decode()
        assert "vote/" not in page.content.decode()


def test_what_the_model_saw_tells_which_of_them_it_is(
    client: Client, shared: Conversation, alice: User
) -> None:
    _first, second, _third = answered(shared, alice)
    actions.conversations.choose_head(conversation=shared, actor=alice, message=second)
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    generation = second.choices.get().generation
    page = client.get(f"/g/{generation.public_id}/request/").content.decode()
    assert "2 of 3 · chosen by Alice" in page
