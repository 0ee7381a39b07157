"""Every word that people read can be translated: shown in a language that exists only here, in
which each message stands in brackets, no page has words without them but names and what was said.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.template.base import Lexer, Token, TokenType
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone, translation
from django.views import defaults
from pytest_django import Settings

from conversations import actions, audit, fragments, sentences
from conversations.actions import people
from conversations.models import AuditEntry, Conversation, Generation, Message, Purpose, State, User
from conversations.upstream import SENTENCES
from tests.test_house import ROOT, files, name
from tests.translation import code, compile_catalogue, marked, templates
from tests.visible import WORDS, visible

# --- In the source --------------------------------------------------------------------------------

SPEAKING = re.compile(r"\b(?:label|hint|title|shown|note|default(?:_if_none)?)[=:]\"([^\"]*)\"")


def unmarked(source: str) -> str:
    """A template without what is translated, and with what its filters would say for it."""
    kept: list[str] = []
    inside = False
    for token in Lexer(source).tokenize():
        command = token.contents.split()[0] if token.contents.split() else ""
        if token.token_type == TokenType.BLOCK and command in {"blocktranslate", "comment"}:
            inside = True
        elif token.token_type == TokenType.BLOCK and command in {
            "endblocktranslate",
            "endcomment",
        }:
            inside = False
        elif token.token_type == TokenType.TEXT:
            kept.append("" if inside else token.contents)
        else:
            kept.append(_said_by(token))
    return "".join(kept)


def _said_by(token: Token) -> str:
    if token.token_type == TokenType.COMMENT:
        return ""
    said = SPEAKING.findall(re.sub(r"_\(\"[^\"]*\"\)", "", token.contents))
    return " ".join(said) if token.token_type == TokenType.VAR else ""


@pytest.mark.parametrize("path", templates(), ids=name)
def test_every_word_of_a_template_is_marked(path: Path) -> None:
    source = re.sub(r"#[\w-]+", "", unmarked(path.read_text()))  # addresses within the page
    assert {word for text in visible(source) for word in WORDS.findall(text)} == set()


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        '<a title="Hello">{% translate "x" %}</a>',
        '<img alt="Hello">',
        '{{ row.title|default:"Untitled" }}',
        '<input type="submit" value="Send">',
    ],
)
def test_an_unmarked_word_is_found(source: str) -> None:
    assert any(WORDS.search(text) for text in visible(unmarked(source)))


# It translates what others mark.
MARKING = [path for path in code() if path.name != "sentences.py"]


@pytest.mark.parametrize("path", MARKING, ids=name)
def test_what_is_marked_is_a_whole_sentence_that_a_catalogue_can_hold(path: Path) -> None:
    assert None not in list(marked(path.read_text()))


SCRIPTS = files(".js", under=("static",))
QUOTED = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`")
COMMENT = re.compile(r"/\*.*?\*/|(?:^|(?<=\s))//[^\n]*", re.DOTALL | re.MULTILINE)
SENTENCE = re.compile(r"(?:\A|[^.#\[\w-])[^\W\d_]{2,} [^\W\d_]{2,}|\A[A-Z][a-z]+[.!?…]")
CALLED = re.compile(r"""\bword\(([^)]*)\)""")


def said(script: str) -> list[str]:
    """Its literals with two words in a row, which selectors and lists of classes do not have."""
    bare = COMMENT.sub("", script)
    literals = ("".join(found) for found in QUOTED.findall(bare))
    return [text for text in literals if SENTENCE.search(text) and not set(text) & set("<>=")]


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_says_nothing_of_its_own(path: Path) -> None:
    assert said(path.read_text()) == []


def test_a_script_that_would_is_found() -> None:
    assert said('toast("Copied to it"); x = `Wait for it`; // "a comment"') != []
    assert said('find(".head h1"); list("p, li, th")') == []


def test_the_page_has_every_word_that_its_scripts_ask_for_and_no_other() -> None:
    frame = (ROOT / "templates" / "conversations" / "frame.html").read_text()
    held = re.search(r'<template id="words"(.*?)></template>', frame, re.DOTALL)
    assert held is not None
    offered = set(re.findall(r"data-([a-z-]+)=", held[1]))
    scripts = [COMMENT.sub("", path.read_text()) for path in SCRIPTS]
    calls = [call for script in scripts for call in CALLED.findall(script)]
    assert {_dashed(key) for call in calls for key in _quoted(call)} - offered == set()
    assert offered - {_dashed(text) for script in scripts for text in _quoted(script)} == set()


def _dashed(key: str) -> str:
    """As `dataset` names an attribute."""
    return re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", key)


def _quoted(script: str) -> Iterator[str]:
    return ("".join(found) for found in QUOTED.findall(script))


# --- In a page ------------------------------------------------------------------------------------

GROUP = re.compile(r"⟦[^⟦⟧]*⟧")
DATA = (
    "alice@example.com",
    "bob@example.com",
    "olga@example.com",
    "rita@example.com",
    "Alice",
    "Bob",
    "Olga",
    "Rita",
    "Chatweb",
    "crimson-falcon-4",
    "indigo-owl-4",
    "amber-phoenix-4",
    *(person[:2].upper() for person in ("Alice", "Bob", "Charlie", "Olga")),
)


@pytest.fixture
def pseudo(settings: Settings, tmp_path: Path) -> Iterator[None]:
    compile_catalogue(tmp_path, "xx")
    settings.LOCALE_PATHS = [tmp_path]
    settings.LANGUAGES = [("en", "English"), ("xx", "Brackets")]
    settings.FIRST_PROMPTS = []
    yield
    translation.activate("en")


def bare(html: str, *data: str) -> set[str]:
    """Words outside brackets that are no names and nothing that somebody said."""
    left: set[str] = set()
    for text in visible(html):
        rest = text
        while GROUP.search(rest):
            rest = GROUP.sub(" ", rest)
        for known in sorted((*DATA, *data), key=len, reverse=True):
            rest = rest.replace(known, " ")
        left |= set(WORDS.findall(rest))
    return left


def browser(user: User | None = None) -> Client:
    client = Client(headers={"Accept-Language": "xx"})
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(client: Client, address: str, **form: Any) -> str:
    answer = client.post(address, form) if form else client.get(address)
    return answer.content.decode()


def test_brackets_are_seen_and_words_without_them_found(pseudo: None, db: None) -> None:
    html = page(browser(), reverse("account_login"))
    assert "⟦Sign in⟧" in html
    assert 'lang="xx"' in html
    assert bare("<p>⟦Stopped by ⟦Alice⟧.⟧</p>") == set()
    assert bare("<p>⟦One⟧ two</p>") == {"two"}


@pytest.mark.parametrize("name", ["account_login", "account_logout", "account_inactive"])
def test_pages_without_the_frame(pseudo: None, alice: User, name: str) -> None:
    client = browser(alice if name == "account_logout" else None)
    assert bare(page(client, reverse(name))) == set()


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("/accounts/login/", {"login": "alice@example.com", "password": "wrong"}),
        ("/accounts/login/", {"login": "", "password": ""}),
    ],
)
def test_a_sign_in_that_fails(pseudo: None, alice: User, address: str, form: Any) -> None:
    assert bare(page(browser(), address, **form)) == set()


def test_too_many_wrong_passwords(pseudo: None, alice: User) -> None:
    for _ in range(6):
        html = page(browser(), "/accounts/login/", login="alice@example.com", password="wrong")
    assert bare(html) == set()


def test_a_one_time_link(pseudo: None, alice: User, bob: User) -> None:
    token = people.make_link(
        user=bob, purpose=Purpose.SIGN_IN, actor=None, lifetime=timedelta(hours=1)
    )
    for client in (browser(), browser(alice)):
        assert bare(page(client, reverse("link", args=[token]))) == set()
    assert bare(page(browser(), reverse("link", args=["gone"]))) == set()


def test_the_empty_page_and_the_settings(pseudo: None, alice: User) -> None:
    assert bare(page(browser(alice), "/")) == set()


def test_the_empty_page_without_a_model(pseudo: None, alice: User, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL = ""
    assert bare(page(browser(alice), "/")) == set()


def test_the_local_models_note(pseudo: None, alice: User, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL, settings.LOCAL_MODEL_URL = "", "http://127.0.0.1:9/v1"
    assert bare(page(browser(alice), "/"), "SmolLM2-135M-Instruct") == set()


SAID = ("Slow export", "Why is it slow?", "Because it is.", "Let me think.")
ENDS: list[dict[str, Any]] = [
    {"state": State.QUEUED},
    {"state": State.QUEUED, "error_message": SENTENCES[0], "not_before": timezone.now()},
    {"state": State.RUNNING, "first_token_at": timezone.now()},
    {"state": State.DONE, "finish_reason": "stop"},
    {"state": State.DONE, "finish_reason": "length"},
    {"state": State.DONE, "finish_reason": "length", "error_message": SENTENCES[-1]},
    {"state": State.DONE, "finish_reason": "content_filter"},
    {"state": State.DONE, "finish_reason": "tool_calls"},
    {
        "state": State.DONE,
        "finish_reason": "other",
        "error_message": "The server ended the answer with “Why is it slow?”.",
    },
    {"state": State.STOPPED},
    {"state": State.INTERRUPTED},
    {"state": State.INTERRUPTED, "error_message": "The answer was interrupted."},
    {"state": State.FAILED},
    {"state": State.FAILED, "error_message": "The model's server answered with error 502."},
    {
        "state": State.FAILED,
        "error_message": "The model's server refused the request: Why is it slow?",
    },
]


@pytest.fixture
def answered(sent: actions.messages.Sent) -> Generation:
    Message.objects.filter(pk=sent.answer.pk).update(
        text="Because it is.", reasoning="Let me think."
    )
    generation = sent.answer.choices.get().generation
    Generation.objects.update(completion_tokens=3)
    return generation


@pytest.mark.parametrize("end", ENDS, ids=range(len(ENDS)))
def test_a_thread(
    pseudo: None, alice: User, answered: Generation, conversation: Conversation, end: Any
) -> None:
    is_open = end["state"] in {State.QUEUED, State.RUNNING}
    settled = {} if is_open else {"settled_at": timezone.now()}
    by = {"stopped_by": alice} if end["state"] == State.STOPPED else {}
    Generation.objects.update(**end, **settled, **by)
    assert bare(page(browser(alice), f"/c/{conversation.public_id}/"), *SAID) == set()


def test_what_a_form_refuses(pseudo: None, alice: User, conversation: Conversation) -> None:
    client = browser(alice)
    address = f"/c/{conversation.public_id}/"
    for form in (
        {"temperature": "9", "top_p": "x", "max_tokens": "0", "stop": "1\n2\n3\n4\n5"},
        {"model": "nowhere", "max_tokens": "9" * 20},
        {"system_prompt": "x" * 20_001},
    ):
        assert bare(page(client, f"{address}settings/", **form), "nowhere", "x" * 20_001) == set()
    assert bare(page(client, f"{address}title/", title=""), *SAID) == set()
    assert bare(page(client, f"{address}messages/", text=""), *SAID) == set()


def test_what_an_action_refuses(
    pseudo: None,
    alice: User,
    answered: Generation,
    conversation: Conversation,
    settings: Settings,
) -> None:
    form = {"text": "Why is it slow?", "request_id": "9d3f6a54-4c56-4c33-9a3a-2f2f3c6f7d11"}
    again = reverse("alternatives", args=[Message.objects.latest("pk").public_id])
    html = page(browser(alice), again, x="")
    assert "⟦An answer is being written." in html
    assert bare(html) == set()
    page(browser(alice), f"/c/{conversation.public_id}/messages/", **form)
    assert "⟦1 turn waits⟧" in (html := page(browser(alice), f"/c/{conversation.public_id}/"))
    assert bare(html, *SAID) == set()
    settings.QUEUE_PER_PERSON = 1
    form["request_id"] = "9d3f6a54-4c56-4c33-9a3a-2f2f3c6f7d12"
    html = page(browser(alice), f"/c/{conversation.public_id}/messages/", **form)
    assert "⟦1 message of yours waits" in html
    assert bare(html, *SAID) == set()


@pytest.mark.parametrize(
    "name", ["account", "people", "account_change_password", "programs", "reference"]
)
def test_pages_about_people(pseudo: None, operator: User, bob: User, name: str) -> None:
    client = browser(operator)
    assert bare(page(client, reverse(name))) == set()
    assert bare(page(client, reverse(name), email="no address", name="")) == set()


def test_the_keys_of_a_program(pseudo: None, alice: User) -> None:
    client = browser(alice)
    address = reverse("keys")
    assert bare(page(client, address)) == set()
    assert bare(page(client, address, name="", lifetime="x")) == set()
    html = page(client, address, name="Nightly", lifetime="30", models="indigo-owl-4")
    assert bare(re.sub(r"\blt_\w+", "", html), "Nightly") == set()
    client.post(reverse("revocation", args=[alice.keys.get().public_id]))
    assert bare(page(client, address), "Nightly") == set()


def test_an_invitation_and_a_suspension(pseudo: None, operator: User, bob: User) -> None:
    client = browser(operator)
    html = page(client, reverse("people"), email="charlie@example.com", name="Charlie")
    shown = re.sub(r"https?://\S+?(?=[<\"])", "", html)
    assert bare(shown, "charlie@example.com", "Charlie") == set()
    for verb in ("suspension", "reactivation"):
        client.post(reverse(verb, args=[bob.public_id]))
        assert bare(page(client, reverse("people")), "charlie@example.com", "Charlie") == set()


def test_what_the_model_is_to_see(
    pseudo: None, alice: User, answered: Generation, conversation: Conversation
) -> None:
    client = browser(alice)
    address = reverse("scope", args=[conversation.public_id])
    said = Message.objects.latest("pk").public_id
    assert bare(page(client, address), *SAID) == set()
    for seen in (said, "gone"):
        assert bare(page(client, address, sees="only", seen=seen), *SAID) == set()
    Message.objects.filter(parent=None).update(scope={"only": [], "seen": 1, "of": 2})
    assert bare(page(client, f"/c/{conversation.public_id}/"), *SAID) == set()
    asked = reverse("request", args=[answered.public_id])
    assert bare(page(client, asked), *SAID, "user", "temperature") == set()


def test_labels(pseudo: None, alice: User, conversation: Conversation) -> None:
    client = browser(alice)
    address = reverse("labels", args=[conversation.public_id])
    for called in ("Quarter", "Quarter", ""):
        assert bare(page(client, address, name=called, colour="red"), "Quarter", *SAID) == set()
    assert bare(page(client, "/"), "Quarter", *SAID) == set()


def test_choosing_a_password(pseudo: None, alice: User) -> None:
    client = browser(alice)
    html = page(client, reverse("account_change_password"), oldpassword="x", password1="1")
    assert bare(html) == set()
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert bare(page(client, reverse("account_set_password"))) == set()


@pytest.mark.parametrize(
    "view", [defaults.page_not_found, defaults.permission_denied, defaults.server_error]
)
def test_pages_about_errors(pseudo: None, db: None, view: Any) -> None:
    request = RequestFactory().get("/")
    with translation.override("xx"):
        answer = view(request) if view is defaults.server_error else view(request, Exception())
    html = answer.content.decode()
    assert 'lang="xx"' in html
    assert bare(html) == set()


def test_a_page_for_too_many_sign_ins(pseudo: None, db: None, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": "1/m/ip"}
    client = browser()
    client.post("/accounts/login/", {"login": "a@example.com", "password": "x"})
    html = page(client, "/accounts/login/", login="a@example.com", password="x")
    assert "⟦Too many attempts⟧" in html
    assert bare(html) == set()


def test_a_page_that_is_out_of_date(pseudo: None, db: None) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Accept-Language": "xx"})
    assert bare(page(client, reverse("account_login"), login="x")) == set()


# Not marked by Django: alternatives of images.
DJANGO_ALONE = {"Search", "True", "False"}
ADMIN = [
    "index",
    "conversations_user_changelist",
    "conversations_conversation_changelist",
    "conversations_reviewgrant_changelist",
    "conversations_auditentry_changelist",
    "conversations_team_changelist",
    "conversations_key_changelist",
    "conversations_team_add",
    "conversations_reviewgrant_add",
]


@pytest.mark.parametrize("name", ADMIN)
def test_the_admin(
    pseudo: None, operator: User, rita: User, conversation: Conversation, name: str
) -> None:
    audit.record(operator, "conversation.reviewed", conversation)
    html = page(browser(operator), reverse(f"admin:{name}"))
    # The trail is read by programs too: it is the same in every language.
    trail = AuditEntry.objects.values_list("verb", "object_type", "object_id").distinct()
    names = {text for entry in trail for text in entry if text}
    assert bare(html, "Sampling", "system", conversation.public_id, *names) <= DJANGO_ALONE


def test_a_row_of_the_admin(
    pseudo: None, operator: User, rita: User, conversation: Conversation
) -> None:
    client = browser(operator)
    for kind, row in (("user", rita), ("conversation", conversation)):
        html = page(client, reverse(f"admin:conversations_{kind}_change", args=[row.pk]))
        assert bare(html, conversation.public_id) <= DJANGO_ALONE
    form = {"user": operator.pk, "reason": ""}
    html = page(client, reverse("admin:conversations_reviewgrant_add"), **form)
    assert bare(html) <= DJANGO_ALONE


def test_the_transcript(
    pseudo: None, rita: User, answered: Generation, conversation: Conversation
) -> None:
    Generation.objects.update(state=State.FAILED, error_message="The answer was interrupted.")
    html = page(browser(rita), reverse("admin:transcript", args=[conversation.public_id]))
    assert bare(html, "UTC", *SAID) == set()


# --- What is kept in English ----------------------------------------------------------------------


def test_a_sentence_that_is_kept_is_shown_in_the_readers_language(pseudo: None) -> None:
    with translation.override("xx"):
        assert sentences.in_words("The answer was interrupted.") == "⟦The answer was interrupted.⟧"
        assert (
            sentences.in_words("temperature must be a number from 0 to 2.")
            == "⟦temperature must be a number from 0 to 2.⟧"
        )
        assert sentences.in_words("The model's server failed: out of memory") == (
            "⟦The model's server failed.⟧: out of memory"
        )


@pytest.mark.parametrize("text", ["", "CUDA error: out of memory", "100%", "%(name)s", "a\nb"])
def test_a_servers_own_words_stay_as_they_are(pseudo: None, text: str) -> None:
    with translation.override("xx"):
        assert sentences.in_words(text) == text


def test_what_all_see_is_in_the_portals_language_whoever_caused_it(
    pseudo: None, answered: Generation, conversation: Conversation
) -> None:
    with translation.override("xx"):
        messages = conversation.messages.for_thread()
        together = "".join(fragments.article(fragments.Article.of(one)) for one in messages)
        together += fragments.row(conversation, []) + fragments.progress(answered)
    assert "⟦" not in together
