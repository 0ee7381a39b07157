"""axe finds nothing on any page, in either theme, wide or narrow."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, ViewportSize, expect

from conversations import actions
from conversations.actions import people
from conversations.models import Audience, Conversation, Participant, Purpose, Role, State, User
from tests.browser.dictation import Dictate
from tests.browser.rows import add_turn, conversation_of, newcomer
from tests.browser.thread import Visit, answer, send, until_ready, words
from tests.browser.watch import Watch

WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
LOOKS: tuple[tuple[Literal["light", "dark"], ViewportSize], ...] = (
    ("light", WIDE),
    ("dark", WIDE),
    ("dark", PHONE),
)
ANSWER = """# A heading

Some *words* with `code` and [a link](https://example.com/), and ~~struck~~ **strong** ones.

| Name | Rows |
|------|-----:|
| one  | 1    |

```python
def greet(name: str = "you") -> None:  # says hello
    print(f"hello {name}", 1 + 2)
```

- [x] done
- [ ] not yet

> A quote[^1], and a formula: $x^2$

[^1]: A footnote.
"""


@cache
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def violations(page: Page) -> list[str]:
    """Runs axe in a world of its own: the page's content policy allows it no script."""
    debugger = page.context.new_cdp_session(page)
    frame = debugger.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = debugger.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]

    def run(expression: str) -> Any:
        answer = debugger.send(
            "Runtime.evaluate",
            {
                "expression": expression,
                "contextId": world,
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    run(f"{axe()};0")
    found = run("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    debugger.detach()
    return [
        f"{one['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found
        for node in one["nodes"]
    ]


def look(page: Page) -> None:
    """Both themes on a wide screen, and a phone."""
    for scheme, size in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_timeout(200)  # what changes colour or place has done so
        assert violations(page) == [], f"{scheme}, {size['width']} wide: {page.url}"


# --- Not signed in --------------------------------------------------------------------------------


def test_signing_in(visit: Visit) -> None:
    page = visit(None)
    look(page)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist").first).to_be_visible()
    look(page)


def test_a_one_time_link_good_and_gone(visit: Visit, watch: Watch) -> None:
    watch.allow("410")
    token = people.make_link(
        user=newcomer("Nora"),
        purpose=Purpose.SIGN_IN,
        actor=None,
        lifetime=timedelta(hours=1),
    )
    page = visit(None, f"/link/{token}/")
    look(page)
    page.goto("/link/gone/")
    look(page)


# --- The thread -----------------------------------------------------------------------------------


def test_a_new_conversation(page: Page) -> None:
    look(page)


def every_ending(alice: User) -> Conversation:
    conversation = conversation_of(alice, ("How does it look?", ANSWER), title="Every ending")
    for ending in (
        {"state": State.STOPPED, "finish_reason": "", "stopped_by": alice},
        {"state": State.INTERRUPTED, "finish_reason": "", "error_message": "It broke off."},
        {
            "state": State.FAILED,
            "finish_reason": "",
            "error_message": "Too many requests.",
            "retry_at": timezone.now() + timedelta(minutes=5),
        },
        {"finish_reason": "length"},
        {"finish_reason": "content_filter"},
        {"finish_reason": "tool_calls"},
    ):
        said = add_turn(conversation, alice, "And now?", "So far so good.", **ending)
        said.reasoning = "Let me think."
        said.save(update_fields=["reasoning"])
    return conversation


def test_a_thread_with_every_ending_and_a_growing_answer(
    visit: Visit, alice: User, dictate: Dictate
) -> None:
    page = visit(alice, f"/c/{every_ending(alice).public_id}/")
    dictation = dictate()
    send(page, "One more")
    dictation.wait_until_asked()
    expect(answer(page)).to_contain_text("waiting for the first word")
    look(page)
    dictation.say("Growing\n\n```python\nprint(1)\n")
    expect(words(page)).to_contain_text("print(1)")
    look(page)


OPENED: dict[str, Callable[[Page], None]] = {
    "settings": lambda page: page.get_by_role("button", name="Settings").click(),
    "models": lambda page: page.locator("[data-model-chip]").click(),
    "account menu": lambda page: page.get_by_role("button", name="Alice").click(),
    "row menu": lambda page: page.locator("[data-row-menu]").first.click(),
    "renaming": lambda page: page.locator("#title").get_by_role("button", name="Rename").click(),
    "renaming a row": lambda page: page.locator("#rows .row").first.press("F2"),
    "deleted": lambda page: page.locator("#rows .row").last.press("Delete"),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_opens_over_the_thread(visit: Visit, alice: User, name: str) -> None:
    conversation_of(alice, title="Another one", at=timezone.now() - timedelta(days=2))
    conversation = conversation_of(alice, ("Hello", "Hello."), title="Open")
    page = visit(alice, f"/c/{conversation.public_id}/")
    OPENED[name](page)
    look(page)


def test_the_details_of_an_owner_and_of_a_viewer(
    visit: Visit, alice: User, bob: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("422")
    Participant.objects.create(conversation=conversation, user=bob, role=Role.VIEWER)
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.locator("#who").click()
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("button", name="Copy the link")).to_be_visible()
    page.get_by_label("Name, team or email address").press_sequentially("bob")
    expect(page.locator(".candidates").first).to_be_visible()
    look(page)
    page.locator(".participant .chip").last.click()
    look(page)
    page.keyboard.press("Escape")
    page.get_by_label("Name, team or email address").fill("nobody@example.org")
    page.keyboard.press("Enter")
    expect(page.locator("#invite-error")).to_be_visible()
    look(page)
    page = visit(bob, f"/c/{conversation.public_id}/")
    look(page)
    page.locator("#who").click()
    page.get_by_role("button", name="Leave", exact=True).click()
    look(page)


def test_an_invite_link_good_and_gone(
    visit: Visit, alice: User, bob: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("410")
    token = actions.invitelinks.make(
        conversation=conversation,
        actor=alice,
        role=Role.VIEWER,
        lifetime=timedelta(hours=1),
        max_uses=None,
    )
    page = visit(bob, f"/link/join/{token}/")
    look(page)
    page.goto("/link/join/gone/")
    look(page)


@pytest.mark.parametrize("is_live", [True, False])
def test_what_is_shared(visit: Visit, alice: User, bob: User, watch: Watch, is_live: bool) -> None:
    watch.allow("404")
    conversation = every_ending(alice)
    share, _none = actions.shares.make(
        conversation=conversation,
        actor=alice,
        audience=Audience.PEOPLE,
        is_live=is_live,
        lifetime=timedelta(hours=1),
    )
    look(visit(bob, f"/shared/{share.public_id}/"))
    look(visit(alice, "/account/shares/"))
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.locator("#who").click()
    page.locator("#details-history").scroll_into_view_if_needed()
    look(page)


def test_the_list_of_shortcuts(page: Page) -> None:
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    look(page)


def test_the_drawer_on_a_phone(visit: Visit, alice: User) -> None:
    conversation_of(alice, title="Another one", at=timezone.now() - timedelta(days=2))
    page = visit(alice, viewport=PHONE)
    page.get_by_role("button", name="Show conversations").click()
    page.wait_for_timeout(300)
    for scheme, _size in LOOKS[:2]:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_timeout(200)
        assert violations(page) == []


def test_settings_with_an_error(
    visit: Visit, alice: User, conversation: Conversation, watch: Watch
) -> None:
    watch.allow("422")
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Stop sequences").fill("a\nb\nc\nd\ne")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field-error")).to_be_visible()
    look(page)


# --- Other pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/account/",
        "/accounts/password/change/",
        "/accounts/logout/",
        "/programs/",
        "/programs/reference/",
    ],
)
def test_the_pages_of_an_account(visit: Visit, alice: User, path: str) -> None:
    look(visit(alice, path))


def test_choosing_a_password(visit: Visit, alice: User) -> None:
    alice.set_unusable_password()
    alice.save(update_fields=["password"])
    look(visit(alice, "/accounts/password/set/"))


def test_the_people(visit: Visit, alice: User, bob: User) -> None:
    people.set_operator(user=alice, actor=None, is_operator=True)
    people.suspend(user=bob, actor=alice)
    page = visit(alice, "/people/")
    look(page)
    page.get_by_label("Email address").fill(f"{alice.public_id}@example.org")
    page.get_by_role("button", name="Make the link").click()
    until_ready(page)
    expect(page.get_by_role("button", name="Copy the link")).to_be_visible()
    look(page)


def test_the_keys_of_a_program(visit: Visit, alice: User) -> None:
    page = visit(alice, "/account/keys/")
    look(page)
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_label("indigo-owl-4").check()
    page.get_by_role("button", name="Make the key").click()
    until_ready(page)
    expect(page.get_by_role("button", name="Copy the key")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Revoke… Nightly report").click()
    expect(page.get_by_role("dialog", name="Revoke a key")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_text("“Nightly report” is revoked.").first).to_be_visible()


def test_a_page_that_is_not_there(visit: Visit, alice: User, watch: Watch) -> None:
    watch.allow("404")
    look(visit(alice, "/c/22222222222222222222/"))


def test_the_transcript(visit: Visit, alice: User) -> None:
    operator, rita = newcomer("Olga"), newcomer("Rita")
    people.set_operator(user=operator, actor=None, is_operator=True)
    people.grant_review(user=rita, actor=operator, reason="A complaint")
    rita.refresh_from_db()
    conversation = every_ending(alice)
    look(visit(rita, f"/admin/conversations/conversation/{conversation.public_id}/transcript/"))
