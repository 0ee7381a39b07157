"""A real portal, a real browser, and people who have come to it for the first time."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection as database
from playwright.sync_api import Page, expect

from conversations.models import Conversation, Participant, Role, User
from tests.browser.dictation import Dictate, Dictation
from tests.browser.portal import Portal
from tests.browser.rows import conversation_of, newcomer, session_of
from tests.browser.thread import Visit, until_ready
from tests.browser.watch import Watch
from tests.upstream import ScriptedUpstream

CHROMIUM = Path("/usr/bin/chromium")

# Playwright's synchronous interface runs a loop in this thread, where Django then refuses to work.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "on"
expect.set_options(timeout=10_000)


# --- What the whole run shares ------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing: install Debian's chromium")
        pytest.skip(f"{CHROMIUM} is missing: install Debian's chromium")
    return browser_type_launch_args | {
        "executable_path": str(CHROMIUM),
        "args": ["--no-sandbox", "--disable-dev-shm-usage"],
    }


@pytest.fixture(scope="session")
def base_url(portal: Portal) -> str:
    return portal.url


@pytest.fixture(scope="session")
def shared_upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream.in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def portal(
    shared_upstream: ScriptedUpstream,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Portal]:
    """One for the run; the tests put people and conversations into the same tables."""
    running = Portal(tmp_path_factory.mktemp("portal"), shared_upstream.base_url)
    database.settings_dict["NAME"] = str(running.tables)
    try:
        running.start()
        with django_db_blocker.unblock():
            yield running
            database.close()
    finally:
        running.end()
        shutil.rmtree(running.data, ignore_errors=True)


# --- What a test has for itself -----------------------------------------------------------------


@pytest.fixture
def upstream(shared_upstream: ScriptedUpstream) -> ScriptedUpstream:
    shared_upstream.forget()
    return shared_upstream


@pytest.fixture
def dictate(upstream: ScriptedUpstream) -> Iterator[Dictate]:
    """Each call makes the next answer one that the test dictates."""
    begun: list[Dictation] = []

    def begin() -> Dictation:
        dictation = Dictation()
        begun.append(dictation)
        upstream.script("by_a_test", dictation=dictation)
        return dictation

    yield begin
    for one in begun:
        if one.asked.is_set() and not one.over.is_set():
            one.finish()


@pytest.fixture
def watch(portal: Portal) -> Iterator[Watch]:
    """Fails the test for what no page may do, and the portal for what it logs."""
    watch = Watch(portal.url)
    yield watch
    assert watch.unexpected() == []
    assert portal.complaints() == ""


@pytest.fixture
def visit(new_context: Any, watch: Watch, portal: Portal) -> Visit:
    def visit(person: User | None, path: str = "/", **options: Any) -> Page:
        context = new_context(**options)
        watch.over(context)
        if person is not None:
            cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session_of(person)}
            context.add_cookies([cookie | {"url": portal.url}])
        page: Page = context.new_page()
        page.goto(path)
        if page.locator("script[src*='js/app.']").count():
            until_ready(page)
        return page

    return visit


@pytest.fixture
def alice(portal: Portal) -> User:
    """Owns the conversation."""
    return newcomer("Alice")


@pytest.fixture
def bob(portal: Portal) -> User:
    """Takes part in it."""
    return newcomer("Bob")


@pytest.fixture
def conversation(alice: User) -> Conversation:
    return conversation_of(alice)


@pytest.fixture
def page(visit: Visit, alice: User) -> Page:
    """Alice's, at a new conversation."""
    return visit(alice)


@pytest.fixture
def shared(conversation: Conversation, bob: User) -> Conversation:
    Participant.objects.create(conversation=conversation, user=bob, role=Role.EDITOR)
    return conversation


@pytest.fixture
def hers(visit: Visit, alice: User, shared: Conversation) -> Page:
    """Alice's page; she owns the conversation."""
    return visit(alice, f"/c/{shared.public_id}/")


@pytest.fixture
def his(visit: Visit, bob: User, shared: Conversation) -> Page:
    """Bob's."""
    return visit(bob, f"/c/{shared.public_id}/")
