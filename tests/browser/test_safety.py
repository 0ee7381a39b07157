"""Attacks in every place that shows text: nothing runs, nothing leaves, nothing is reported.

What runs, asks for another server, opens a dialog or offends the content policy fails a test by
its `watch`; here the pages are looked at besides.
"""

import pytest
from playwright.sync_api import Page, expect

from conversations import actions
from conversations.actions import people
from conversations.markdown import render
from conversations.models import Conversation, Message, State, User
from tests.browser.portal import HOSTILE_MODEL
from tests.browser.rows import add_turn, conversation_of, newcomer
from tests.browser.thread import (
    Visit,
    answer,
    field,
    rows,
    send,
    until_ready,
    until_settled,
    words,
)
from tests.test_markdown import ATTACKS
from tests.upstream import ScriptedUpstream

# In what a message shows nothing may stand that acts by itself or that htmx listens to.
ACTIVE = """
() => [...document.querySelectorAll(".text *, .reasoning-text *, .state *")].flatMap((one) => {
  const wrong = one.getAttributeNames().filter((name) =>
    /^on|^hx-|^data-hx-|^(style|src|srcset|srcdoc|action|formaction|ping|background)$/.test(name));
  const tag = one.localName;
  if (one.closest(".state-acts, .bar")) return [];
  if (/^(script|iframe|object|embed|form|input|textarea|select|base|meta|link|style|img|video)$/
    .test(tag)) wrong.push(tag);
  if (one.hasAttribute("href") && !/^(https?|mailto):/.test(one.href) && tag !== "use") {
    wrong.push(one.href);
  }
  return wrong.map((what) => `${what} in ${one.outerHTML.slice(0, 120)}`);
})
"""


def active(page: Page) -> list[str]:
    found: list[str] = page.evaluate(ACTIVE)
    return found


def swallows(attack: str) -> bool:
    """Would take what comes after it for its own: an open fence, a comment."""
    return not render(f"{attack}\n\nprobe").rstrip().endswith("<p>probe</p>")


def batches(size: int) -> list[str]:
    """All attacks, many to a text; those that swallow the rest stand at the end of one."""
    last = [attack for attack in ATTACKS if swallows(attack)]
    rest = [attack for attack in ATTACKS if not swallows(attack)]
    texts = [rest[at : at + size] for at in range(0, len(rest), size)]
    while len(texts) < len(last):
        texts.append([])
    for text, attack in zip(texts, last, strict=False):
        text.append(attack)
    return ["\n\n".join(text) for text in texts]


def typable(text: str) -> str:
    """Without NUL, which is no character of a form: browsers and our forms alike refuse it."""
    return text.replace("\0", "")


def chunks_of(length: int) -> list[str]:
    """The attacks on one line each, as many together as fit into a field of this length."""
    texts = [""]
    for attack in (" ".join(typable(one).split()) for one in ATTACKS):
        if len(texts[-1]) + len(attack) + 1 > length:
            texts.append("")
        texts[-1] = f"{texts[-1]} {attack}".strip()[:length]
    return texts


def test_the_corpus_is_whole() -> None:
    assert len(ATTACKS) > 350
    together = "\n\n".join(batches(40))
    assert all(attack in together for attack in ATTACKS)


@pytest.mark.parametrize("part", range(4))
def test_attacks_that_stream_in_do_nothing_live_or_stored(
    visit: Visit, alice: User, conversation: Conversation, upstream: ScriptedUpstream, part: int
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    texts = batches(40)[part::4]
    for seed, text in enumerate(texts):
        upstream.script("recited", text=text, seed=seed)
        send(page, f"Attack {seed}")
        expect(page.locator("#messages > .answer")).to_have_count(seed + 1)
        while page.locator("#messages > [data-live]").count():
            assert active(page) == []
            page.wait_for_timeout(150)
        assert active(page) == []
        assert _stored(page) == text.replace("\0", "\ufffd")  # no column of text takes a NUL
    page.reload()
    until_ready(page)
    expect(page.locator("#messages > .answer")).to_have_count(len(texts))
    assert active(page) == []


def _stored(page: Page) -> str:
    name = answer(page).get_attribute("id") or ""
    return Message.objects.get(public_id=name.removeprefix("m-")).text


def test_attacks_in_peoples_messages_and_the_models_reasoning_do_nothing(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    for text in batches(15):
        said = add_turn(conversation, alice, text, text)
        said.reasoning = text
        said.save(update_fields=["reasoning"])
    page = visit(alice, f"/c/{conversation.public_id}/")
    assert page.locator("#messages > .person > .text").count() > 20
    for fold in page.locator("details.reasoning > summary").all()[:5]:
        fold.click()
    assert active(page) == []


def test_attacks_in_a_branch_that_is_offered_and_in_what_is_said_of_it_do_nothing(
    visit: Visit, alice: User, bob: User, shared: Conversation
) -> None:
    add_turn(shared, alice, "Why?", "So.")
    shared.refresh_from_db()
    fork = actions.forks.fork(conversation=shared, actor=bob, at=shared.head)
    for text in batches(40):
        said = add_turn(fork, bob, text, text)
        said.reasoning = text
        said.save(update_fields=["reasoning"])
    page = visit(alice)
    for text in chunks_of(5_000):
        offer = actions.offers.make(fork=fork, original=shared, actor=bob, text=text)
        page.goto(f"/c/{shared.public_id}/")
        until_ready(page)
        expect(page.locator("#queue .offer")).to_be_visible()
        page.goto(f"/o/{offer.public_id}/")
        until_ready(page)
        assert page.locator(".offer-text").inner_text().split() == text.split()
        assert active(page) == []


def test_attacks_typed_into_the_field_do_nothing_on_their_way(
    visit: Visit, alice: User, conversation: Conversation, upstream: ScriptedUpstream
) -> None:
    page = visit(alice, f"/c/{conversation.public_id}/")
    other = page.context.new_page()
    other.goto(f"/c/{conversation.public_id}/")
    until_ready(other)
    texts = [typable(text) for text in batches(100)]
    for number, text in enumerate(texts):
        upstream.script("recited", text="Seen.")
        send(page, text)
        expect(page.locator("#messages > .answer")).to_have_count(number + 1)
        until_settled(page)
        expect(words(page)).to_have_text("Seen.")
    assert active(page) == []
    until_settled(other)
    expect(other.locator("#messages > .answer")).to_have_count(len(texts))
    assert active(other) == []
    field(page).fill(texts[0])
    page.reload()
    until_ready(page)
    expect(field(page)).to_have_value(texts[0])


def test_attacks_in_titles_do_nothing(visit: Visit, alice: User) -> None:
    for title in chunks_of(110):
        conversation_of(alice, title=title)
    titles = chunks_of(110)
    page = visit(alice)
    page.locator("#list").hover()
    while rows(page).count() < len(titles):
        page.mouse.wheel(0, 4_000)
        page.wait_for_timeout(100)
    shown = rows(page).locator(".row-title").all_inner_texts()
    assert sorted(" ".join(title.split()) for title in shown) == sorted(titles)

    rows(page).first.locator(".row").click()
    expect(page.locator("#title h1")).to_have_text(titles[-1])
    for attack in ATTACKS[:3]:
        title = " ".join(attack.split())[:110]
        page.locator("#title").get_by_role("button", name="Rename").click()
        page.get_by_label("Title", exact=True).fill(title)
        page.get_by_label("Title", exact=True).press("Enter")
        expect(page.locator("#title h1")).to_have_text(title)
        expect(page).to_have_title(f"{title} · Chatweb")
        expect(rows(page).first.locator(".row-title")).to_have_text(title)


def test_attacks_in_settings_stay_text_in_their_fields(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    prompt = typable("\n\n".join(ATTACKS))[:19_000]
    conversation.system_prompt = prompt
    conversation.parameters = {"stop": ATTACKS[:4]}
    conversation.save()
    page = visit(alice, f"/c/{conversation.public_id}/")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("System prompt")).to_have_value(prompt)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    conversation.refresh_from_db()
    assert conversation.system_prompt == prompt


def test_attacks_in_names_do_nothing(visit: Visit, alice: User) -> None:
    conversation = conversation_of(alice)
    for name in chunks_of(80):
        person = newcomer(name)
        add_turn(conversation, person, "Hi", "Hello", state=State.STOPPED, stopped_by=person)
    operator = people.add(
        email="olga@example.com", actor=None, name=chunks_of(80)[0], is_operator=True
    )
    page = visit(alice, f"/c/{conversation.public_id}/")
    expect(page.locator("#messages > article")).to_have_count(60)
    while more := page.locator("#messages").get_attribute("data-older"):
        page.locator("#thread").evaluate("box => box.scrollTo(0, 0)")
        expect(page.locator("#messages")).not_to_have_attribute("data-older", more)
    shown = page.locator("#messages > .person > .by [id^=by-]").all_inner_texts()
    assert [" ".join(name.split()) for name in shown] == chunks_of(80)
    assert active(page) == []

    page = visit(operator, "/people/")
    while page.get_by_role("link", name="Next").count():
        page.get_by_role("link", name="Next").click()
        until_ready(page)


def test_attacks_in_a_servers_complaint_do_nothing(
    visit: Visit, alice: User, conversation: Conversation, upstream: ScriptedUpstream
) -> None:
    for text in chunks_of(480):
        add_turn(conversation, alice, "Hi", "", state=State.FAILED, error_message=text)
        add_turn(conversation, alice, "Hi", "", state=State.INTERRUPTED, error_message=text)
    page = visit(alice, f"/c/{conversation.public_id}/")
    assert page.locator(".state.failed").count() > 10
    assert active(page) == []
    upstream.script("complaining", message=ATTACKS[5])
    send(page, "Hello")
    expect(page.locator(".state.failed").last).to_contain_text(ATTACKS[5])
    assert active(page) == []


def test_attacks_in_names_of_models_do_nothing(page: Page, upstream: ScriptedUpstream) -> None:
    page.locator("[data-model-chip]").click()
    page.get_by_role("option").last.click()
    expect(page.locator("[data-model-chip]")).to_have_text(HOSTILE_MODEL)
    expect(field(page)).to_have_attribute("placeholder", f"Message {HOSTILE_MODEL}")
    upstream.script("recited", text="Hello")
    send(page, "Hi")
    expect(answer(page).locator(".by [id^=by-]")).to_have_text(HOSTILE_MODEL)
    until_settled(page)
    assert active(page) == []


def test_attacks_do_nothing_to_rita_who_reads_the_transcript(
    visit: Visit, alice: User, conversation: Conversation
) -> None:
    for text in batches(15):
        add_turn(conversation, alice, text, text)
    conversation.title, conversation.system_prompt = chunks_of(110)[0], "\n".join(ATTACKS)
    conversation.save()
    operator = newcomer("Olga")
    people.set_operator(user=operator, actor=None, is_operator=True)
    rita = newcomer("Rita")
    people.grant_review(user=rita, actor=operator, reason="A complaint")
    rita.refresh_from_db()
    page = visit(rita, f"/admin/conversations/conversation/{conversation.public_id}/transcript/")
    assert page.locator(".said").count() > 40
    expect(page.locator(".text").first).to_be_visible()
    assert active(page) == []
