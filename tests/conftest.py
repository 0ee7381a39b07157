"""The cast, and what all tests share."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from chatweb import logs
from conversations import actions, catalogue, health
from conversations.actions import people
from conversations.models import Conversation, Generation, Participant, Role, State, User
from conversations.relay import Relay
from tests import programs, relays
from tests.engines import (  # noqa: F401  fixtures
    postgres,
    postgres_database,
    postgres_server,
    postgres_url,
    redis,
    redis_server,
    redis_url,
)
from tests.upstream import ScriptedUpstream
from tests.upstream.stage import KEY, Stage

# Threads share the machine's two cores, so time says nothing about an example.
# Few examples in each run and other ones in the next; CI has the same each time.
hypothesis_settings.register_profile("dev", deadline=None, max_examples=30)
hypothesis_settings.register_profile("ci", deadline=None, max_examples=30, derandomize=True)
hypothesis_settings.register_profile("long", deadline=None, max_examples=2_000)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The suite uses the machine's cores, with one worker more for while others wait for a clock.
    Browsers and whole portals want the cores for themselves."""
    alone = {"browser", "system"} & {Path(argument).name for argument in config.args}
    alone |= {Path(argument).parent.name for argument in config.args} & {"browser", "system"}
    return 0 if alone else min((os.cpu_count() or 1) + 1, 5)


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest) -> bool:
    """The cluster that was made for the session takes its databases along."""
    return "TEST_DATABASE_URL" in os.environ or bool(request.config.getvalue("reuse_db"))


@pytest.fixture(autouse=True)
def _fresh_process_state() -> None:
    """What a process keeps between requests starts empty in each test."""
    catalogue.forget()
    health.begin()
    logs.request_id.set("")
    logs.person.set(str)


@pytest.fixture
def impatient(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections made from now on hardly wait for locks."""
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "sqlite":
        monkeypatch.setitem(options, "timeout", 0.3)
        connection.close()
        yield
        connection.close()
        return
    monkeypatch.setitem(options, "options", "-c lock_timeout=300")
    relays.empty_the_pool()
    yield
    relays.empty_the_pool()


def person(name: str, **fields: object) -> User:
    return User.objects.create_user(
        f"{name.lower()}@example.com", "correct horse battery", name=name, **fields
    )


@pytest.fixture
def alice(db: None) -> User:
    """Owns the conversation."""
    return person("Alice")


@pytest.fixture
def bob(db: None) -> User:
    """Takes part in it."""
    return person("Bob")


@pytest.fixture
def charlie(db: None) -> User:
    """May see nothing of it."""
    return person("Charlie")


@pytest.fixture
def operator(db: None) -> User:
    """Olga runs the portal and takes part in nothing."""
    user = person("Olga")
    people.set_operator(user=user, actor=None, is_operator=True)
    return user


@pytest.fixture
def rita(operator: User) -> User:
    """Reviews."""
    user = person("Rita")
    people.grant_review(user=user, actor=operator, reason="Sampling")
    return user


@pytest.fixture
def conversation(alice: User) -> Conversation:
    """Alice's, with nothing said yet."""
    row = Conversation.objects.create(title="Slow export", model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=alice, role=Role.OWNER)
    return row


@pytest.fixture
def sent(conversation: Conversation, alice: User) -> actions.messages.Sent:
    """Alice's question, whose answer is queued."""
    from uuid import uuid4

    return actions.messages.send(
        conversation=conversation, author=alice, text="Why is it slow?", request_id=uuid4()
    )


@pytest.fixture
def shared(conversation: Conversation, bob: User) -> Conversation:
    """Alice's, in which Bob may write."""
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return conversation


@pytest.fixture
def running(shared: Conversation, sent: actions.messages.Sent) -> Generation:
    """Alice's question, whose answer is being written."""
    Generation.objects.update(state=State.RUNNING, worker="elsewhere:1:a")
    return Generation.objects.get()


@pytest.fixture
async def upstream(settings: Settings) -> AsyncIterator[ScriptedUpstream]:
    """The scripted upstream on this test's loop, as the server in use."""
    async with ScriptedUpstream() as scripted:
        settings.UPSTREAM_BASE_URL = scripted.base_url
        yield scripted


@pytest.fixture
async def relay(transactional_db: None, upstream: ScriptedUpstream) -> AsyncIterator[Relay]:
    """A relay at work on this test's loop."""
    async with relays.running(Relay()) as relay:
        yield relay


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A scripted upstream, and the means to ask it."""
    async with ScriptedUpstream(key=KEY) as server:
        yield Stage(server)


@pytest.fixture
async def keyed(upstream: ScriptedUpstream, settings: Settings) -> ScriptedUpstream:
    """It wants a key, and is asked once."""
    upstream.key = settings.UPSTREAM_API_KEY = programs.UPSTREAM_KEY
    settings.UPSTREAM_RETRIES = 0
    return upstream


@pytest.fixture
async def token(transactional_db: None, alice: User, keyed: ScriptedUpstream) -> AsyncIterator[str]:
    """Alice's key, with the gateway at work."""
    _key, token = await programs.key_of(alice)
    async with programs.gateway_at_work():
        yield token
