"""What viewers of a growing answer are sent: how often, and that all of them see the same."""

import asyncio
import random
from typing import Any

import pytest
from pytest_django import Settings

from conversations import access, actions, events
from conversations.markdown import render
from conversations.models import Conversation, Generation, State, User
from conversations.relay import Relay
from tests.dictation import Dictation
from tests.markdown_page import parse
from tests.relays import answer_of, ask, db, kept, settled
from tests.upstream import ScriptedUpstream
from tests.viewers import Shown, Viewer, session_of, tree_of_article, until

pytestmark = pytest.mark.django_db(transaction=True)

# Everything that grows in its own way: lists, a table, a fence, a quote, a formula, code points
# beyond the basic plane.
PIECES = [
    "# A title\n\nFirst *words* 🎉 of ",
    "a paragraph.\n\n- one\n- two\n  - in",
    "ner\n- three\n\n",
    "| a | b |\n| - | - |\n| 1 | 2 |\n",
    "| 3 | 4 |\n\n",
    "```python\nprint(1)\nfor x in",
    " y:\n    pass\n```\n\n",
    "> quoted\n> more\n\n",
    "A formula $x^2$ and <b>raw</b> HTML.\n\n",
    "The last li",
    "ne.",
]
WHOLE = "".join(PIECES)


@pytest.fixture
def dictation(upstream: ScriptedUpstream) -> Dictation:
    dictation = Dictation()
    upstream.script("dictated", by=dictation)
    return dictation


async def test_all_viewers_see_the_same_however_they_came(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as early, Viewer(cookie) as gappy, Viewer(cookie) as back:
        for viewer in (early, gappy, back):
            await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        name = generation.public_id
        gappy.skip = {(name, 2), (name, 3), (name, 6)}
        everybody = [early, gappy, back]
        for number, piece in enumerate(PIECES):
            if number == 4:
                await back.watch("")
            if number == 6:
                await back.watch(conversation)
            dictation.say(piece)
            await early.next("frame", number + 1)
            if number == 5:
                late = await Viewer(cookie).__aenter__()
                await late.watch(conversation)
                await late.next("key")
                everybody.append(late)
        said = early.answers[name]
        for viewer in everybody:
            await until(lambda viewer=viewer: viewer.answers[name].seq == said.seq)  # type: ignore[misc]
            assert viewer.answers[name].shape == said.shape
        assert said.shape == parse(render(WHOLE)).shape()
        dictation.finish()
        for viewer in everybody:
            article = (await viewer.next("settled"))["html"]
            assert tree_of_article(article).shape() == said.shape
        await settled(generation)
        message = await db(answer_of, generation)
        assert parse(message.rendered).shape() == said.shape
        await late.__aexit__()


async def test_random_pieces_and_random_gaps_end_in_the_same_page(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    chance = random.Random(7)
    text = WHOLE * 2
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as whole, Viewer(cookie) as gappy:
        for viewer in (whole, gappy):
            await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        name = generation.public_id
        gappy.skip = {(name, number) for number in range(1, 500) if chance.random() < 0.2}
        position = 0
        while position < len(text):
            step = chance.randint(1, 40)
            dictation.say(text[position : position + step])
            position += step
        await kept(generation, text)
        gappy.skip.clear()
        for viewer in (whole, gappy):
            await until(
                lambda viewer=viewer: (  # type: ignore[misc]
                    name in viewer.answers
                    and viewer.answers[name].shape == parse(render(text)).shape()
                )
            )
        assert gappy.all("key")
        dictation.finish()
        article = (await gappy.next("settled"))["html"]
        assert tree_of_article(article).shape() == parse(render(text)).shape()


async def test_the_first_words_come_at_once_and_then_at_most_25_frames_a_second(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        await ask(conversation, alice)
        await dictation.asked.wait()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(200):
            dictation.say(f"word{number} ")
            await asyncio.sleep(0.005)
            if number == 10:
                assert viewer.all("frame"), "the first words were held back"
        elapsed = loop.time() - begun
        dictation.finish()
        await viewer.next("settled")
        frames = viewer.all("frame")
        assert 5 <= len(frames) <= 25 * (elapsed + 0.5) + 2
        assert [frame["n"] for frame in frames] == list(range(1, len(frames) + 1))


async def test_under_load_the_pace_stretches_between_its_two_rates(settings: Settings) -> None:
    from conversations.relay.pace import interval

    settings.RELAY_FRAMES_PER_SECOND, settings.RELAY_FRAMES_PER_SECOND_LOADED = 25, 8
    settings.RELAY_FRAMES_PER_PROCESS = 500
    assert [interval(running) for running in (0, 1, 20)] == [0.04, 0.04, 0.04]
    assert interval(40) == pytest.approx(0.08)
    assert [interval(running) for running in (63, 1000)] == [0.125, 0.125]


async def test_a_tick_says_how_far_an_answer_is(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        dictation.say("One")
        await viewer.next("frame")
        seen = len(viewer.received)
        await until(
            lambda: {"t": "tick", "g": generation.public_id, "n": 1} in viewer.received[seen:]
        )


async def test_who_missed_the_last_frame_notices_by_the_tick(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        name = generation.public_id
        viewer.skip = {(name, 1)}
        dictation.say("Lost once")
        await until(lambda: viewer.text(name) == "Lost once")
        assert viewer.all("key")


async def test_reasoning_is_shown_in_frames_keyframes_and_the_settled_article(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User
) -> None:
    from tests.upstream.answers import chunk

    cookie = await db(session_of, alice)
    async with Viewer(cookie) as viewer, Viewer(cookie) as late:
        await viewer.watch(conversation)
        generation = await ask(conversation, alice)
        name = generation.public_id
        dictation.event(chunk(reasoning_content="Let me <think>"))
        await viewer.next("frame")
        dictation.event(chunk(reasoning_content=" more"))
        dictation.say("Answer")
        await until(lambda: viewer.text(name) == "Answer")
        await late.watch(conversation)
        await late.next("key")
        assert viewer.answers[name].reasoning == late.answers[name].reasoning
        assert late.answers[name].reasoning == "Let me <think> more"
        dictation.finish()
        article = (await viewer.next("settled"))["html"]
        assert "Let me &lt;think&gt; more" in article


async def test_who_joins_while_an_answer_continues_sees_its_beginning(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    first, second = Dictation(), Dictation()
    upstream.script("dictated", by=first).script("dictated", by=second)
    first.say("One *two")
    first.finish("length")
    generation = await ask(conversation, alice)
    await settled(generation)
    message = await db(answer_of, generation)
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        claimed = await db(_go_on, message.public_id, alice)
        await viewer.next("changed")  # upon which a page fetches the thread
        viewer.answers[claimed.public_id] = shown = Shown()
        shown.tree = parse(message.rendered)
        second.say("* three")
        await until(lambda: shown.shape == parse(render("One *two* three")).shape())
        async with Viewer(await db(session_of, alice)) as late:
            await late.watch(conversation)
            await until(lambda: late.text(claimed.public_id) == "One two three")
        second.finish()
        article = (await viewer.next("settled"))["html"]
    assert "<em>two</em> three" in article


async def test_an_answer_that_goes_on_in_the_middle_of_a_block_is_seen_right(
    relay: Relay, upstream: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    """Where it broke off pages show all of it; a growing one holds back what may yet change."""
    begun, rest = "1. a\n2. b\n\n3. c\n`", "``py\nx = 1\n```\n"
    first, second = Dictation(), Dictation()
    upstream.script("dictated", by=first).script("dictated", by=second)
    first.say(begun)
    first.finish("length")
    generation = await ask(conversation, alice)
    await settled(generation)
    message = await db(answer_of, generation)
    async with Viewer(await db(session_of, alice)) as viewer:
        await viewer.watch(conversation)
        claimed = await db(_go_on, message.public_id, alice)
        await viewer.next("changed")
        viewer.answers[claimed.public_id] = shown = Shown()
        shown.tree = parse(message.rendered)
        second.say(rest)
        await until(lambda: shown.shape == parse(render(begun + rest)).shape())
        second.finish()
        await viewer.next("settled")


def _go_on(public_id: str, person: User) -> Generation:
    message = access.message(person, public_id, to="write")
    actions.generations.go_on(answer=message, actor=person)
    return Generation.objects.open().get(question=message.parent)


# --- Mailboxes ------------------------------------------------------------------------------------


async def test_a_viewer_that_never_acknowledges_gets_a_bounded_number_of_messages(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.MAILBOX_FRAMES, settings.MAILBOX_PATIENCE = 8, 0.5
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as good, Viewer(cookie, acknowledges=False) as mute:
        await good.watch(conversation)
        await mute.watch(conversation)
        generation = await ask(conversation, alice)
        for number in range(30):
            dictation.say(f"word{number} ")
            await good.next("frame", number + 1)
            if mute.code is not None:
                break
        assert await mute.closed() == 4408
        assert len(mute.all("frame")) <= 8
        assert len(mute.received) <= 16
        dictation.finish()
        await good.next("settled")
        assert (await settled(generation)).state == State.DONE


async def test_a_viewer_that_catches_up_gets_one_keyframe(
    relay: Relay, dictation: Dictation, conversation: Conversation, alice: User, settings: Settings
) -> None:
    settings.MAILBOX_FRAMES = 8
    cookie = await db(session_of, alice)
    async with Viewer(cookie) as good, Viewer(cookie, acknowledges=False) as slow:
        await good.watch(conversation)
        await slow.watch(conversation)
        generation = await ask(conversation, alice)
        name = generation.public_id
        for number in range(12):
            dictation.say(f"word{number} ")
            await good.next("frame", number + 1)
        await until(lambda: name in slow.answers)
        assert slow.answers[name].seq < good.answers[name].seq
        keys = len(slow.all("key"))
        await slow.send({"t": "ack", "n": len(slow.received)})
        await until(lambda: slow.answers[name].seq == good.answers[name].seq)
        assert slow.answers[name].shape == good.answers[name].shape
        assert len(slow.all("key")) == keys + 1


class Line:
    """A connection that notes what it is given."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.caught_up = 0

    async def write(self, wire: str) -> None:
        self.written.append(wire)

    async def hang_up(self, code: int) -> None: ...

    async def catch_up(self) -> None:
        self.caught_up += 1

    async def reauthorise(self) -> None: ...


def mailbox(line: Line, frames: int = 4, size: int = 1000) -> events.Mailbox:
    return events.Mailbox(line, user="u", session_hash="", frames=frames, size=size)


async def test_a_mailbox_skips_what_may_be_skipped_and_delivers_the_rest() -> None:
    line = Line()
    box = mailbox(line)
    for number in range(10):
        await box.put(f"frame {number}", skippable=True)
    await box.put("settled", skippable=False)
    assert line.written == ["frame 0", "frame 1", "frame 2", "frame 3", "settled"]
    assert not box.overflowing


async def test_a_mailbox_overflows_at_twice_its_limit_and_takes_no_more() -> None:
    line = Line()
    box = mailbox(line)
    for number in range(20):
        await box.put(f"settled {number}", skippable=False)
    assert len(line.written) == 8
    assert box.overflowing


async def test_a_mailbox_is_bounded_by_size_as_well() -> None:
    line = Line()
    box = mailbox(line, frames=1000, size=100)
    for _ in range(50):
        await box.put("x" * 30, skippable=True)
    assert len(line.written) == 4
    assert box.behind_since is not None


async def test_what_is_not_acknowledged_by_half_is_still_behind() -> None:
    line = Line()
    box = mailbox(line)
    for _ in range(6):
        await box.put("frame", skippable=True)
    await box.acknowledge(1)
    assert line.caught_up == 0
    assert box.behind_for() > 0
    await box.acknowledge(3)
    assert line.caught_up == 1
    assert box.behind_for() == 0


@pytest.mark.parametrize("received", [-1, 0, 10**30])
async def test_acknowledging_nonsense_breaks_nothing(received: Any) -> None:
    line = Line()
    box = mailbox(line)
    await box.put("frame", skippable=True)
    await box.acknowledge(received)
    for _ in range(10):
        await box.put("frame", skippable=True)
    assert len(line.written) <= 5
