"""Who gets what from every address: a matrix made from the URLconf.

Each address is asked with each verb by each person for a conversation of theirs, somebody else's,
a deleted one and one that does not exist. An address that nobody has thought about fails here.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django import Settings

from conversations import actions
from conversations.actions import keys
from conversations.models import (
    Audience,
    Colour,
    Conversation,
    Draft,
    Generation,
    Key,
    Message,
    Participant,
    QueuedTurn,
    Role,
    State,
    User,
)
from tests.browser.rows import add_turn
from tests.conftest import person

pytestmark = pytest.mark.django_db

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TO_SIGN_IN = 302
HIDDEN = 404
NOT_ALLOWED = 405

# --- What is expected -----------------------------------------------------------------------------

EVERYBODY = (
    "anonymous",
    "charlie",
    "former",
    "viewer",
    "editor",
    "owner",
    "suspended",
    "operator",
    "root",
)
SIGNED_OUT = {"anonymous", "suspended"}
MAY = {
    "read": {"viewer", "editor", "owner"},
    "write": {"editor", "owner"},
    "own": {"owner"},
    # Of a turn that waits and of a fork, which are the editor's.
    "author": {"editor"},
    "author or owner": {"editor", "owner"},
    "signed in": {"charlie", "former", "viewer", "editor", "owner", "operator", "root"},
    "operate": {"operator", "root"},
}
WHOSE = ("theirs", "foreign", "deleted", "missing")


@dataclass(frozen=True)
class Verb:
    """Who may, what they then get, and with which form."""

    right: str
    status: int
    form: dict[str, Any] = field(default_factory=dict)
    whose: str = "theirs"


@dataclass(frozen=True)
class Route:
    verbs: dict[str, Verb]


def message_form() -> dict[str, Any]:
    return {"text": "Hello", "request_id": str(uuid4())}


SETTINGS_FORM = {"model": "indigo-owl-4", "temperature": "1"}
INVITATION_FORM = {"who": "zoe@example.com", "role": "viewer"}
LABEL_FORM = {"name": "Quarter", "colour": "blue"}
ROUTES = {
    "new": Route({"GET": Verb("signed in", 200)}),
    "conversations": Route(
        {
            "GET": Verb("signed in", 200),
            "POST": Verb("signed in", 200, message_form() | SETTINGS_FORM),
        }
    ),
    "thread": Route({"GET": Verb("read", 200)}),
    "messages": Route({"GET": Verb("read", 200), "POST": Verb("write", 200, message_form())}),
    "composer": Route({"GET": Verb("write", 200)}),
    "scope": Route({"GET": Verb("write", 200), "POST": Verb("write", 200)}),
    "message_scope": Route({"GET": Verb("write", 200)}),
    "queue_next": Route({"POST": Verb("write", 204)}),
    "queued_turn": Route(
        {
            "GET": Verb("author", 200),
            "POST": Verb("author", 204, {"text": "Edited"}),
            "DELETE": Verb("author or owner", 200),
        }
    ),
    "queued_place": Route({"POST": Verb("own", 204, {"beside": "another"})}),
    "queued_now": Route({"POST": Verb("author or owner", 204)}),
    "title": Route({"POST": Verb("write", 200, {"title": "Mine"})}),
    "settings": Route({"POST": Verb("write", 200, SETTINGS_FORM)}),
    "callees": Route({"GET": Verb("write", 200)}),
    "mute": Route({"POST": Verb("read", 204), "DELETE": Verb("read", 204)}),
    "deletion": Route({"POST": Verb("own", 204), "DELETE": Verb("own", 204, whose="deleted")}),
    "labels": Route({"GET": Verb("read", 200), "POST": Verb("read", 200, LABEL_FORM)}),
    # A label is its maker's alone: here the owner's.
    "label": Route({"POST": Verb("own", 200, LABEL_FORM), "DELETE": Verb("own", 200)}),
    "label_mark": Route({"POST": Verb("own", 200)}),
    "details": Route({"GET": Verb("read", 200)}),
    "history": Route({"GET": Verb("read", 200, {"before": "1"})}),
    "candidates": Route({"GET": Verb("own", 200)}),
    "participants": Route({"POST": Verb("own", 200, INVITATION_FORM)}),
    "participant": Route({"DELETE": Verb("own", 200)}),
    "role": Route({"POST": Verb("own", 200, {"role": "editor"})}),
    "ownership": Route({"POST": Verb("own", 200)}),
    "departure": Route({"POST": Verb("read", 204)}),
    "invite_links": Route({"POST": Verb("own", 200, {"role": "viewer", "days": "7"})}),
    "invite_link": Route({"DELETE": Verb("own", 200)}),
    "shares": Route({"POST": Verb("own", 200, {"audience": "people", "days": "7"})}),
    "share": Route({"DELETE": Verb("own", 200)}),
    "shared": Route({"GET": Verb("signed in", 200), "HEAD": Verb("signed in", 200)}),
    "own_shares": Route({"GET": Verb("signed in", 200)}),
    "share_revocation": Route({"POST": Verb("own", 302)}),
    "alternatives": Route({"POST": Verb("write", 204)}),
    "vote": Route({"POST": Verb("read", 204, {"given": "on"})}),
    "continuations": Route({"POST": Verb("write", 204)}),
    "head": Route({"POST": Verb("write", 204)}),
    # A question is its author's alone: here the owner's.
    "rewording": Route({"GET": Verb("own", 200)}),
    "branch": Route({"GET": Verb("write", 200)}),
    "text": Route({"GET": Verb("read", 200)}),
    "forks": Route({"POST": Verb("write", 200)}),
    "message_forks": Route({"POST": Verb("write", 200)}),
    # Of an answer in the editor's own fork.
    "copied_request": Route({"GET": Verb("author", 200)}),
    "origin": Route({"GET": Verb("author", 200)}),
    "offers": Route({"GET": Verb("author", 200), "POST": Verb("author", 204, {"text": "Better"})}),
    # Made by the editor, and to be read where the owner is.
    "offer": Route({"GET": Verb("read", 200)}),
    "offer_taking": Route({"POST": Verb("write", 302)}),
    "offer_decline": Route({"POST": Verb("write", 302)}),
    "offer_withdrawal": Route({"POST": Verb("author", 302)}),
    "request": Route({"GET": Verb("read", 200)}),
    "stop": Route({"POST": Verb("write", 204)}),
    "account": Route(
        {
            "GET": Verb("signed in", 200),
            "HEAD": Verb("signed in", 200),
            "POST": Verb("signed in", 422),
        }
    ),
    "keys": Route(
        {
            "GET": Verb("signed in", 200),
            "HEAD": Verb("signed in", 200),
            "POST": Verb("signed in", 422),
        }
    ),
    "programs": Route({"GET": Verb("signed in", 200), "HEAD": Verb("signed in", 200)}),
    "reference": Route({"GET": Verb("signed in", 200), "HEAD": Verb("signed in", 200)}),
    # Keys are nobody's but their person's, whatever they take part in.
    "revocation": Route({"POST": Verb("own", 302)}),
    "people": Route(
        {
            "GET": Verb("operate", 200),
            "HEAD": Verb("operate", 200),
            "POST": Verb("operate", 422),
        }
    ),
    **{
        name: Route({"GET": Verb(right, 200), "HEAD": Verb(right, 200)})
        for name, right in {
            "usage": "operate",
            "usage_table": "operate",
            "my_usage": "signed in",
            "my_usage_table": "signed in",
        }.items()
    },
    "links": Route({"POST": Verb("operate", 200)}),
    "suspension": Route({"POST": Verb("operate", 302)}),
    "reactivation": Route({"POST": Verb("operate", 302)}),
}
# Pages for people who are not signed in, or that are the same for all; tried further below.
OPEN = {
    "brand",
    "link",
    "join",
    "shared_link",
    "account_login",
    "account_logout",
    "account_inactive",
}
PASSWORDS = {"account_change_password", "account_set_password"}


# --- What there is --------------------------------------------------------------------------------


def patterns(resolver: Any = None, before: str = "") -> Iterator[tuple[str, str]]:
    """Name and path of every address, with the placeholders still in it."""
    for one in (resolver or get_resolver()).url_patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, path)
        elif isinstance(one, URLPattern):
            yield one.name or "", path


OURS = {name: path for name, path in patterns() if not path.startswith("admin/")}


def test_every_address_is_in_the_matrix() -> None:
    assert set(OURS) == set(ROUTES) | OPEN | PASSWORDS


class World:
    """Everybody, and a conversation of each kind with a question and a broken-off answer."""

    def __init__(self) -> None:
        names = [name for name in EVERYBODY if name != "anonymous"]
        self.people = {name: person(name.capitalize()) for name in names}
        self.people["root"].is_superuser = self.people["root"].is_staff = True
        self.people["root"].save()
        actions.people.set_operator(user=self.people["operator"], actor=None, is_operator=True)
        self.stranger, self.another_owner = person("Zoe"), person("Yara")
        self.rows = {
            "theirs": self._rows(self.people["owner"]),
            "foreign": self._rows(self.stranger),
            "deleted": self._rows(self.people["owner"]),
            "missing": dict.fromkeys(
                (
                    "conversation",
                    "message",
                    "question",
                    "generation",
                    "key",
                    "turn",
                    "link",
                    "share",
                    "copy",
                    "fork",
                    "offer",
                    "label",
                ),
                "z" * 20,
            ),
        }
        QueuedTurn.objects.filter(
            place=2, conversation__public_id=self.rows["theirs"]["conversation"]
        ).update(public_id="another")
        for whose in ("theirs", "deleted"):
            self._share(self.rows[whose]["conversation"])
        for whose in ("theirs", "foreign", "deleted"):
            actor = self.stranger if whose == "foreign" else self.people["editor"]
            self._fork(self.rows[whose], actor)
        gone = [self.rows["deleted"][name] for name in ("conversation", "fork")]
        Conversation.objects.filter(public_id__in=gone).update(deleted_at=timezone.now())
        Key.objects.filter(public_id=self.rows["deleted"]["key"]).update(revoked_at=timezone.now())
        self.clients = {name: self._client(name) for name in EVERYBODY}
        suspended = self.people["suspended"]
        suspended.is_active = False
        suspended.save()

    def _rows(self, owner: User) -> dict[str, str]:
        conversation = Conversation.objects.create(model="crimson-falcon-4", title="Secret title")
        Participant.objects.create(conversation=conversation, user=owner, role=Role.OWNER)
        sent = actions.messages.send(
            conversation=conversation, author=owner, text="Secret question", request_id=uuid4()
        )
        Message.objects.filter(pk=sent.answer.pk).update(text="Secret answer")
        Draft.objects.create(question=sent.question, number=0, message=sent.answer)
        generation = Generation.objects.get(conversation=conversation)
        generation.state, generation.settled_at = State.INTERRUPTED, timezone.now()
        generation.save()
        turns = [
            QueuedTurn.objects.create(
                conversation=conversation,
                author=self.stranger if owner == self.stranger else self.people["editor"],
                text="Secret turn",
                html_version=0,
                request_id=uuid4(),
                place=place,
            )
            for place in (1, 2)
        ]
        key, _token = keys.make(user=owner, actor=owner, name="Nightly")
        actions.invitelinks.make(
            conversation=conversation,
            actor=owner,
            role=Role.VIEWER,
            lifetime=timedelta(days=1),
            max_uses=None,
        )
        label = actions.labels.make(
            conversation=conversation,
            person=owner,
            name=f"Secret label {conversation.pk}",
            colour=Colour.RED,
        )
        share, _none = actions.shares.make(
            conversation=conversation,
            actor=owner,
            audience=Audience.PEOPLE,
            is_live=True,
            lifetime=timedelta(days=1),
        )
        return {
            "conversation": conversation.public_id,
            "share": share.public_id,
            "link": conversation.invite_links.get().public_id,
            "message": sent.answer.public_id,
            "question": sent.question.public_id,
            "generation": generation.public_id,
            "key": key.public_id,
            "turn": turns[0].public_id,
            "label": label.public_id,
        }

    def _fork(self, rows: dict[str, str], actor: User) -> None:
        conversation = Conversation.objects.get(public_id=rows["conversation"])
        fork = actions.forks.fork(conversation=conversation, actor=actor, at=conversation.head)
        copy = fork.head
        assert copy is not None
        add_turn(fork, actor, "Secret thought", "Secret idea")
        offer = actions.offers.make(
            fork=fork, original=conversation, actor=actor, text="Secret word"
        )
        rows |= {"fork": fork.public_id, "copy": copy.public_id, "offer": offer.public_id}

    def _share(self, public_id: str) -> None:
        conversation = Conversation.objects.get(public_id=public_id)
        for name in ("viewer", "editor"):
            Participant.objects.create(
                conversation=conversation, user=self.people[name], role=Role(name)
            )
        for owner in (self.people["suspended"], self.another_owner):
            Participant.objects.create(conversation=conversation, user=owner, role=Role.OWNER)
        former = self.people["former"]
        Participant.objects.create(conversation=conversation, user=former, role=Role.OWNER)
        actions.participants.remove(
            conversation=conversation, actor=self.people["owner"], person=former
        )

    def _client(self, name: str) -> Client:
        client = Client()
        if name != "anonymous":
            client.force_login(
                self.people[name], backend="django.contrib.auth.backends.ModelBackend"
            )
        return client

    def path(self, name: str, whose: str) -> str:
        whom = self.people["viewer"] if name in {"participant", "role", "ownership"} else None
        rows = self.rows[whose] | {"person": (whom or self.stranger).public_id, "token": "unknown"}
        if name == "rewording":
            rows["message"] = rows["question"]
        if name == "copied_request":
            rows["message"] = rows["copy"]
        if name in {"origin", "offers"}:
            rows["conversation"] = rows["fork"]
        return "/" + re.sub(r"<\w+:(\w+)>", lambda found: rows[found[1]], OURS[name])

    def ask(
        self, who: str, verb: str, path: str, form: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The answer, with everything that it changed undone."""
        with transaction.atomic():
            data = form if verb in {"GET", "POST"} else None
            response: Any = getattr(self.clients[who], verb.lower())(path, data or {})
            transaction.set_rollback(True)
        return response  # type: ignore[no-any-return]


@pytest.fixture
def world(db: None, settings: Settings) -> World:
    settings.SIDEBAR_PAGE = 5
    return World()


def names_a_row(name: str) -> bool:
    return bool(re.search(r"<slug:(conversation|message|generation|key|turn|offer)>", OURS[name]))


def combinations() -> Iterator[tuple[str, str, str, str]]:
    """All people at what is theirs; at what is not, those who might come furthest."""
    for name, route in ROUTES.items():
        for verb, who in itertools.product(route.verbs, EVERYBODY):
            yield name, verb, who, route.verbs[verb].whose
        if names_a_row(name):
            for verb, who, whose in itertools.product(route.verbs, ("owner", "root"), WHOSE):
                if whose != route.verbs[verb].whose:
                    yield name, verb, who, whose


def expected(name: str, verb: str, who: str, whose: str) -> int:
    rule = ROUTES[name].verbs[verb]
    if who in SIGNED_OUT:
        return TO_SIGN_IN
    if who not in MAY[rule.right]:
        return HIDDEN
    return rule.status if whose == rule.whose or not names_a_row(name) else HIDDEN


def test_everybody_gets_what_is_theirs_and_nothing_else(world: World) -> None:
    wrong = {}
    for name, verb, who, whose in combinations():
        response = world.ask(who, verb, world.path(name, whose), ROUTES[name].verbs[verb].form)
        wanted = expected(name, verb, who, whose)
        if response.status_code != wanted:
            wrong[name, verb, who, whose] = (response.status_code, wanted)
        if wanted in {HIDDEN, TO_SIGN_IN}:
            assert b"Secret" not in response.content, (name, verb, who, whose)
        if who not in SIGNED_OUT:
            assert {"private", "no-store"} <= cache_control(response), (name, verb, who, whose)
    assert wrong == {}


def test_verbs_that_mean_nothing_are_refused_without_looking(world: World) -> None:
    for name, route in ROUTES.items():
        for verb in set(VERBS) - set(route.verbs):
            for who in ("anonymous", "charlie", "owner", "operator"):
                response = world.ask(who, verb, world.path(name, "foreign"))
                refused = TO_SIGN_IN if who == "anonymous" else HIDDEN
                assert response.status_code in {NOT_ALLOWED, refused}, (name, verb, who)
                assert b"Secret" not in response.content


def cache_control(response: HttpResponse) -> set[str]:
    return {part.strip() for part in response.headers.get("Cache-Control", "").split(",")}


def test_password_pages_are_for_people_who_are_signed_in(world: World) -> None:
    for name in PASSWORDS:
        for who in EVERYBODY:
            response = world.ask(who, "GET", world.path(name, "theirs"))
            assert response.status_code in ({302} if who in SIGNED_OUT else {200, 302})
            if who not in SIGNED_OUT:
                assert {"private", "no-store"} <= cache_control(response), name


def test_open_pages_give_nothing_away(world: World) -> None:
    for name in OPEN:
        for who in EVERYBODY:
            for verb in ("GET", "POST"):
                response = world.ask(who, verb, world.path(name, "theirs"))
                assert response.status_code in {200, 302, 405, 410}, (name, who, verb)
                assert b"Secret" not in response.content
                if name != "brand" and who not in SIGNED_OUT:
                    assert {"private", "no-store"} <= cache_control(response), name


def test_the_stylesheet_of_the_brand_is_the_same_for_all(world: World) -> None:
    pages = {world.ask(who, "GET", "/brand.css").content for who in EVERYBODY}
    assert len(pages) == 1


def test_nothing_changes_without_a_csrf_token(world: World) -> None:
    for client in world.clients.values():
        client.handler.enforce_csrf_checks = True
    for name, route in ROUTES.items():
        for verb in {"POST", "DELETE"} & set(route.verbs):
            who = "operator" if route.verbs[verb].right == "operate" else "owner"
            response = world.ask(who, verb, world.path(name, "theirs"), route.verbs[verb].form)
            assert response.status_code == 403, (name, verb)
            assert {"private", "no-store"} <= cache_control(response)


def test_a_way_that_leads_nowhere_is_not_found(world: World) -> None:
    for who in EVERYBODY:
        assert world.ask(who, "GET", "/nowhere/").status_code == 404
        assert world.ask(who, "GET", "/c/x/y/z/").status_code == 404
