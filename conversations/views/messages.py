"""The messages of a conversation: listed, sent, and given as plain Markdown."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_http_methods

from conversations import access, actions, catalogue, fragments
from conversations.actions.refusals import Refused
from conversations.actions.turns import Place, Said, Sent
from conversations.forms import PlacedMessageForm
from conversations.models import Author, Conversation, Kind, QueuedTurn
from conversations.views import scopes, thread_page
from conversations.views.requests import SignedInRequest

PAGE = "conversations/thread.html"


@login_required
@require_http_methods(["GET", "POST"])
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    if request.method == "POST":
        row = access.conversation(request.user, conversation, to="write")
        return _send(request, row)
    row = access.conversation(request.user, conversation, to="read")
    company = thread_page.company(request.user, row)
    before = None
    if anchor := request.GET.get("before"):
        before = access.message(request.user, anchor, to="read")
    context = thread_page.messages(row, before if before and before.conversation == row else None)
    response = render(request, f"{PAGE}#messages", context | company)
    if not anchor:  # the newest page, which makes a stale one whole
        queue = fragments.waiting(row)
        response.write(render_to_string("conversations/_queue.html", queue, request))
        response.write(render_to_string(f"{PAGE}#who", context | company, request))
    return response


@login_required
@require_GET
def composer(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="write")
    return _composer(request, row)


@login_required
@require_GET
def rewording(request: SignedInRequest, message: str) -> HttpResponse:
    """The composer with one's own question, to be said in new words."""
    row = access.message(request.user, message, to="write")
    if row.author != request.user or row.role != Author.USER or row.kind != Kind.TURN:
        raise Http404
    placed = {"text": row.text, "instead": row.public_id}
    form = PlacedMessageForm(initial=placed, user=request.user)
    asked_with = {name: row.scope[name] for name in ("from", "only") if name in row.scope}
    chip = scopes.shown(row.conversation, Place(instead=row), asked_with)
    return _composer(request, row.conversation, form, scope=chip)


@login_required
@require_GET
def branch(request: SignedInRequest, message: str) -> HttpResponse:
    """The composer for what follows this answer on another branch."""
    row = access.message(request.user, message, to="write")
    if row.role != Author.ASSISTANT:
        raise Http404
    form = PlacedMessageForm(initial={"below": row.public_id}, user=request.user)
    return _composer(request, row.conversation, form)


@login_required
@require_GET
def text(request: SignedInRequest, message: str) -> HttpResponse:
    """The Markdown of a message, for copying."""
    row = access.message(request.user, message, to="read")
    return HttpResponse(row.text, content_type="text/plain; charset=utf-8")


def _send(request: SignedInRequest, conversation: Conversation) -> HttpResponse:
    form = PlacedMessageForm(request.POST, user=request.user)
    if not form.is_valid():
        return _refuse(request, conversation, form, status=422)
    fields = form.cleaned_data
    place = scopes.place_of(request.user, conversation, fields)
    scope = scopes.read(conversation, place, fields)
    if scope is None:
        form.add_error("seen", scopes.gone())
        return _refuse(request, conversation, form, status=422)
    what = {"conversation": conversation, "author": request.user, **form.message()}
    sent: Sent | Said | QueuedTurn
    try:
        if not place.is_end:
            sent = actions.messages.branch(**what, place=place, scope=scope)
        elif fields["note"]:
            del what["asked"]
            sent = actions.messages.note(**what)
        else:
            sent = actions.queue.send(**what, scope=scope)
    except Refused as refused:
        return _refuse(request, conversation, form, refused.message, status=409)
    # Whoever writes notes goes on with notes, until they say otherwise: the model would read what
    # was meant for people.
    empty = PlacedMessageForm(initial={"note": fields["note"]}, user=request.user)
    response = _composer(request, conversation, empty)
    if not place.is_end:
        return response  # the thread's other branch comes by the socket, as for everybody
    if isinstance(sent, QueuedTurn):
        kind, html = "queue", fragments.queue(conversation)
    else:
        kind, html = "messages", sent.html
    response.write(f'<template data-place="{kind}">{html}</template>')
    return response


def _refuse(
    request: SignedInRequest,
    conversation: Conversation,
    form: PlacedMessageForm,
    refusal: str = "",
    *,
    status: int,
) -> HttpResponse:
    """The composer with what was typed and chosen, and why it was not taken."""
    scope = scopes.kept(request.user, conversation, form)
    return _composer(request, conversation, form, refusal, scope=scope, status=status)


def _composer(
    request: SignedInRequest,
    conversation: Conversation,
    form: PlacedMessageForm | None = None,
    refusal: str = "",
    *,
    scope: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "conversation": conversation,
        "composer": thread_page.composer(request.user, form, refusal) | {"scope": scope},
        "models": catalogue.models_for(request.user),
        "current_model": catalogue.find(conversation.model),
    }
    return render(request, f"{PAGE}#composer", context, status=status)
