"""Drafts as pages see them: all grow at once, and whoever comes later sees the same."""

import pytest

from conversations import actions, fragments
from conversations.actions.asking import Asked
from conversations.models import Conversation, Reservation, UsageRecord, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.drafts import answers, ask, columns
from tests.relays import db
from tests.upstream import ScriptedUpstream
from tests.viewers import Viewer, session_of, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dictations(upstream: ScriptedUpstream) -> list[Dictation]:
    both = [Dictation(), Dictation()]
    for one in both:
        upstream.script("dictated", by=one)
    return both


async def test_both_grow_for_everybody_and_who_asked_hears_once_that_they_are_there(
    relay: Relay, dictations: list[Dictation], shared: Conversation, alice: User, bob: User
) -> None:
    async with (
        Viewer(await db(session_of, bob)) as his,
        Viewer(await db(session_of, alice)) as hers,
    ):
        await his.watch(shared)
        sent = await db(ask, shared, alice, Asked(2))
        first, second = await db(answers, sent)
        for dictation, word in zip(dictations, ("One", "Other"), strict=True):
            await dictation.asked.wait()
            dictation.say(word)
        await until(lambda: len(his.answers) == 2 and all(one.seq for one in his.answers.values()))
        # Whoever joins in the middle gets each of them whole.
        await hers.watch(shared)
        await until(
            lambda: {m["m"] for m in hers.all("key")} == {first.public_id, second.public_id}
        )
        dictations[1].finish()
        await until(lambda: len(his.all("settled")) == 1)
        dictations[0].say(" more")
        dictations[0].finish()
        await until(lambda: len(his.all("settled")) == 2)
        await until(lambda: bool(hers.all("notice")))
        assert [one["text"] for one in hers.all("notice")] == ["Your answer is there."]
        assert hers.all("notice")[0]["c"] == shared.public_id
        settled = {one["m"]: one["html"] for one in his.all("settled")}
        await db(shared.refresh_from_db)
        for article in await db(columns, shared):
            assert settled[article.message.public_id] == await db(fragments.article, article)
    assert await db(UsageRecord.objects.count) == 2
    assert not await db(Reservation.objects.exists)


async def test_a_vote_that_moves_shows_in_both_answers_as_a_fresh_page_shows_them(
    relay: Relay, dictations: list[Dictation], shared: Conversation, alice: User, bob: User
) -> None:
    sent = await db(ask, shared, alice, Asked(2))
    first, second = await db(answers, sent)
    async with Viewer(await db(session_of, alice)) as hers:
        await hers.watch(shared)
        for answer in (first, second):
            await db(actions.votes.vote, answer=answer, person=bob, is_given=True)
        await until(lambda: len(hers.all("added")) == 2)
        await db(shared.refresh_from_db)
        moved = hers.all("added")[-1]
        assert moved["rev"] == shared.revision
        fresh = [await db(fragments.article, one) for one in await db(columns, shared)]
        assert moved["html"] == "".join(fresh)
        assert "Bob" not in fresh[0]
        assert "Bob" in fresh[1]
        for dictation in dictations:
            await dictation.asked.wait()
            dictation.finish()
