"""Each generation goes to the server of its model, with that server's key and no other's."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from django.test import AsyncClient
from pytest_django import Settings

from chatweb.upstreams import Server
from conversations import actions, catalogue, health, metrics
from conversations.models import Conversation, State, User
from conversations.relay import Relay, learn_models
from tests.relays import ask, db, load, settled
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def lab(upstream: ScriptedUpstream, settings: Settings) -> AsyncIterator[ScriptedUpstream]:
    """A second server, with a model and a key of its own."""
    async with ScriptedUpstream(key="lab-key") as scripted:
        settings.UPSTREAM_MODELS = ["crimson-falcon-4"]
        settings.UPSTREAM_SERVERS = {
            "lab": Server("lab", scripted.base_url, "lab-key", models=("indigo-owl-4",))
        }
        yield scripted


async def test_each_model_is_asked_of_its_own_server(
    lab: ScriptedUpstream,
    relay: Relay,
    upstream: ScriptedUpstream,
    conversation: Conversation,
    alice: User,
) -> None:
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.upstream) == (State.DONE, "main")
    conversation.model = "indigo-owl-4"
    await conversation.asave()
    row = await settled(await ask(conversation, alice))
    assert (row.state, row.upstream) == (State.DONE, "lab")
    assert [request.json["model"] for request in lab.requests] == ["indigo-owl-4"]
    assert [request.json["model"] for request in upstream.requests] == ["crimson-falcon-4"]
    assert "lab-key" not in str([request.headers for request in upstream.requests])


async def test_what_was_queued_for_a_server_that_is_gone_fails_in_words(
    lab: ScriptedUpstream,
    relay: Relay,
    settings: Settings,
    conversation: Conversation,
    alice: User,
) -> None:
    conversation.model = "indigo-owl-4"
    await conversation.asave()
    relay.is_draining = True
    generation = await ask(conversation, alice)
    settings.UPSTREAM_SERVERS = {}
    relay.is_draining = False
    row = await settled(generation)
    assert (row.state, row.error_code) == (State.FAILED, "no_upstream")
    assert "not set up any more" in row.error_message


async def test_whether_an_answer_can_be_continued_is_its_servers_word(
    lab: ScriptedUpstream, conversation: Conversation, alice: User
) -> None:
    generation = await ask(conversation, alice)
    (choice,) = await db(actions.generations.claim, worker="w", most=1)
    kept = actions.generations.Kept(
        generation_id=generation.pk, message_id=choice.message_id, text="Half", reasoning=""
    )
    outcome = actions.generations.Settlement(
        state=State.INTERRUPTED, error_code="x", error_message="y"
    )
    await db(
        actions.generations.settle, generation=generation, worker="w", kept=kept, outcome=outcome
    )
    conversation.model = "indigo-owl-4"  # on a server that begins anew
    await conversation.asave()
    with pytest.raises(actions.refusals.NothingToAnswer):
        await db(_go_on, choice.message.pk, alice)
    main, lab_server = catalogue.upstream("main"), catalogue.upstream("lab")
    assert main is not None
    assert main.can_continue
    assert lab_server is not None
    assert not lab_server.can_continue
    assert (await db(load, generation)).state == State.INTERRUPTED


def _go_on(message: int, actor: User) -> None:
    from conversations.models import Message

    answer = Message.objects.for_thread().select_related("conversation").get(pk=message)
    actions.generations.go_on(answer=answer, actor=actor)


async def test_no_servers_key_reaches_a_log_or_a_page(
    lab: ScriptedUpstream,
    relay: Relay,
    settings: Settings,
    conversation: Conversation,
    alice: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    canary = "canary-lab-key-8213"
    settings.METRICS_TOKEN = "a-token-of-this-test"
    settings.UPSTREAM_SERVERS = {
        "lab": Server("lab", lab.base_url, canary, models=("indigo-owl-4",))
    }
    caplog.set_level(logging.DEBUG)
    conversation.model = "indigo-owl-4"
    await conversation.asave()
    learning = asyncio.ensure_future(learn_models())
    row = await settled(await ask(conversation, alice))
    learning.cancel()
    await asyncio.wait({learning})
    assert (row.state, row.error_code) == (State.FAILED, "bad_key")
    client = AsyncClient()
    await client.aforce_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    shown = [
        (await client.get(address)).content.decode()
        for address in ("/", f"/c/{conversation.public_id}/", "/usage/mine/")
    ]
    shown += [str((await health.report()).parts), (await metrics.page()).decode(), caplog.text]
    shown += [repr(catalogue.upstreams()), repr(await db(catalogue.models)), row.error_detail]
    assert "lab" in caplog.text
    assert [text for text in shown if canary in text] == []
