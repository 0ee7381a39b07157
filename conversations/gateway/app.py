"""What programs see, under /v1/: in front of the pages, with no cookie, session or CSRF token.

Each request shows a key. What this portal may not be asked, and what it cannot do, is told as
OpenAI's error object, whatever goes wrong.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import Error as AnyDatabaseError

from chatweb import logs
from conversations import access, catalogue, openapi
from conversations.actions import keys
from conversations.counts import counts
from conversations.gateway import body, problems
from conversations.gateway.answering import Answering
from conversations.gateway.calls import calls
from conversations.gateway.completions import Writing, answer
from conversations.gateway.database import database
from conversations.gateway.metering import Charge
from conversations.gateway.objects import Objects
from conversations.gateway.problems import Problem
from conversations.origins import App, Scope
from conversations.upstream import UpstreamError

log = logging.getLogger(__name__)

ROOT = "/v1"
MODELS = "/v1/models"
BLANKS = " \t"  # those of HTTP alone
RETRY_AFTER = 5  # seconds, when the database is away
Offered = tuple[catalogue.Model, ...]


class Caller:
    """Whose key it was, and what they may use."""

    def __init__(self, admitted: access.Admitted, offered: Offered) -> None:
        assert admitted.key is not None  # noqa: S101  asked for by key
        self.admitted = admitted
        self.key = admitted.key
        self.offered = offered

    def model(self, model_id: str) -> catalogue.Model:
        for model in self.offered:
            if model.id == model_id:
                return model
        raise problems.no_model(model_id)


class Gateway:
    """Answers what begins with /v1; all else goes on."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path != ROOT and not path.startswith(f"{ROOT}/"):
            await self.app(scope, receive, send)
            return
        answering = Answering(send, bodiless=scope["method"] == "HEAD")
        begun = time.monotonic()
        view = _view(path)
        try:
            await _answer(scope, receive, answering, view)
        finally:
            counts.request(view, answering.status or 499, time.monotonic() - begun)


async def _answer(scope: Scope, receive: Any, answering: Answering, view: str) -> None:
    try:
        await _routed(scope, receive, answering, view)
    except Problem as problem:
        await answering.fail(problem)
    except UpstreamError as error:
        await answering.fail(problems.of_upstream(error))
    except AnyDatabaseError:
        counts.database_error()
        log.exception("a call without a database")
        await answering.fail(problems.database_away(RETRY_AFTER))
    except asyncio.CancelledError:
        await answering.fail(problems.restarting())
        raise
    except Exception:
        await answering.fail(problems.internal())
        raise


View = Callable[[Caller, Scope, Any, Answering], Awaitable[None]]


async def _routed(scope: Scope, receive: Any, answering: Answering, view: str) -> None:
    method, path = scope["method"], scope["path"]
    if view not in VIEWS:
        raise problems.no_address(method, path)
    allowed, run = VIEWS[view]
    if method not in allowed:
        raise problems.no_method(method, ", ".join(allowed))
    if run is None:
        # The same for everybody, so nobody has to show a key for it.
        await answering.json(openapi.document())
        return
    if settings.SECURE and not _is_secure(scope):
        raise problems.insecure()
    caller = await _caller(scope)
    try:
        await run(caller, scope, receive, answering)
    finally:
        await _note_use(caller)


def _view(path: str) -> str:
    """The name of what answers there, for the metrics too; a model's id may have slashes."""
    if path == "/v1/chat/completions":
        return "v1_completions"
    if path == MODELS:
        return "v1_models"
    if path == "/v1/openapi.json":
        return "v1_openapi"
    return "v1_model" if path.startswith(f"{MODELS}/") and path != f"{MODELS}/" else ""


# --- Who asks -------------------------------------------------------------------------------------


async def _caller(scope: Scope) -> Caller:
    token = _token(scope)
    found = await database.ask(_look_up, token)
    if found is None:
        raise problems.bad_key()
    caller = Caller(*found)
    logs.person.set(lambda: caller.admitted.user.public_id)
    return caller


def _look_up(token: str) -> tuple[access.Admitted, Offered] | None:
    admitted = access.authorise("key", token)
    if admitted is None or admitted.key is None:
        return None
    allows = admitted.key.allows
    mine = catalogue.models_for(admitted.user)
    return admitted, tuple(model for model in mine if allows(model.id))


def _token(scope: Scope) -> str:
    given = _headers(scope, b"authorization")
    if not given:
        raise problems.no_key()
    scheme, _blank, token = given[0].decode("latin-1").strip(BLANKS).partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise problems.bad_key()
    return token.strip(BLANKS)


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _is_secure(scope: Scope) -> bool:
    if settings.BEHIND_PROXY:
        return _headers(scope, b"x-forwarded-proto") == [b"https"]
    return bool(scope["scheme"] == "https")


async def _note_use(caller: Caller) -> None:
    if keys.is_noted(caller.key):
        return
    try:
        await database.ask(keys.used, key=caller.key)
    except AnyDatabaseError:
        # Nobody's call fails because of this.
        counts.database_error()
        log.warning("the last use of a key could not be noted")


# --- What is asked --------------------------------------------------------------------------------


async def _models(caller: Caller, _scope: Scope, _receive: Any, answering: Answering) -> None:
    data = [_as_object(model) for model in caller.offered]
    await answering.json({"object": "list", "data": data})


async def _model(caller: Caller, scope: Scope, _receive: Any, answering: Answering) -> None:
    model_id = scope["path"].removeprefix(f"{MODELS}/")
    await answering.json(_as_object(caller.model(model_id)))


def _as_object(model: catalogue.Model) -> dict[str, Any]:
    created = int(model.known_since.timestamp()) if model.known_since else 0
    return {"id": model.id, "object": "model", "created": created, "owned_by": "chatweb"}


async def _completions(caller: Caller, _scope: Scope, receive: Any, answering: Answering) -> None:
    begun = time.monotonic()
    outcome = "failed"
    try:
        asked = body.read(await _whole_body(receive))
        model = caller.model(asked.request.model)
        stayed = await _answered(
            caller, asked.completed(model.parameters), model, receive, answering
        )
        outcome = "done" if stayed else "left"
    except Problem as problem:
        outcome = problem.code or outcome
        raise
    except UpstreamError as error:
        outcome = error.code
        raise
    finally:
        counts.call_ended(outcome, time.monotonic() - begun)


async def _answered(
    caller: Caller, asked: body.Asked, model: catalogue.Model, receive: Any, answering: Answering
) -> bool:
    """Whether the caller stayed for all of it."""
    upstream = catalogue.upstream(model.upstream)
    if upstream is None:
        raise problems.no_model(model.id)
    objects = Objects(asked.request)
    places = 1 if upstream.gives_choices else asked.request.n
    charge = Charge(caller.key, model, asked.request, objects.id, times=places)
    await charge.take_share(answering)
    took = 0
    try:
        with calls.place(caller.admitted, places) as call:
            asked = replace(asked, request=await charge.reserve())
            call.reference = charge.reference
            writing = Writing(asked, objects, calls.client(upstream), answering)
            try:
                return await answer(writing, call, receive)
            finally:
                took = await charge.settle(writing.used)
    finally:
        await charge.even_out(took)


async def _whole_body(receive: Any) -> bytes:
    """The server holds it to this limit already, before it is stored; other servers may not."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    read_so_far = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise problems.invalid(None, "The body broke off.", "invalid_json")
        read_so_far += message.get("body", b"")
        if len(read_so_far) > most:
            raise problems.too_large(most)
        if not message.get("more_body", False):
            return bytes(read_so_far)


READING = ("GET", "HEAD")
VIEWS: dict[str, tuple[tuple[str, ...], View | None]] = {
    "v1_openapi": (READING, None),
    "v1_completions": (("POST",), _completions),
    "v1_models": (READING, _models),
    "v1_model": (READING, _model),
}
