"""The messages of a conversation: listed, sent, and given as plain Markdown."""

from collections.abc import Mapping

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from conversations import access, actions, catalogue
from conversations.actions.refusals import Refused
from conversations.forms import PlacedMessageForm
from conversations.models import Author, Conversation, Message, User
from conversations.views import thread_page
from conversations.views.requests import SignedInRequest

PAGE = "conversations/thread.html"


@login_required
@require_http_methods(["GET", "POST"])
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    if request.method == "POST":
        row = access.conversation(request.user, conversation, to="write")
        return _send(request, row)
    row = access.conversation(request.user, conversation, to="read")
    before = None
    if anchor := request.GET.get("before"):
        before = access.message(request.user, anchor, to="read")
    context = thread_page.messages(row, before if before and before.conversation == row else None)
    return render(request, f"{PAGE}#messages", context)


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
    if row.author != request.user or row.role != Author.USER:
        raise Http404
    form = PlacedMessageForm(initial={"text": row.text, "instead": row.public_id})
    return _composer(request, row.conversation, form)


@login_required
@require_GET
def branch(request: SignedInRequest, message: str) -> HttpResponse:
    """The composer for what follows this answer on another branch."""
    row = access.message(request.user, message, to="write")
    if row.role != Author.ASSISTANT:
        raise Http404
    return _composer(request, row.conversation, PlacedMessageForm(initial={"below": row.public_id}))


@login_required
@require_GET
def text(request: SignedInRequest, message: str) -> HttpResponse:
    """The Markdown of a message, for copying."""
    row = access.message(request.user, message, to="read")
    return HttpResponse(row.text, content_type="text/plain; charset=utf-8")


def _send(request: SignedInRequest, conversation: Conversation) -> HttpResponse:
    form = PlacedMessageForm(request.POST)
    if not form.is_valid():
        return _composer(request, conversation, form, status=422)
    place = _place(request.user, conversation, form.cleaned_data)
    try:
        sent = actions.messages.send(
            conversation=conversation,
            author=request.user,
            text=form.cleaned_data["text"],
            request_id=form.cleaned_data["request_id"],
            **place,
        )
    except Refused as refused:
        return _composer(request, conversation, form, refused.message, status=409)
    response = _composer(request, conversation)
    if place["instead"] or place["below"]:
        return response  # the thread's other branch comes by the socket, as for everybody
    response.write(f'<template data-place="messages">{sent.html}</template>')
    return response


def _place(
    user: User, conversation: Conversation, ids: Mapping[str, str]
) -> dict[str, Message | None]:
    """The messages that were named, of this conversation: `instead` and `below`."""
    place = dict.fromkeys(("instead", "below"), None) | {
        name: access.message(user, public_id, to="write")
        for name in ("instead", "below")
        if (public_id := ids[name])
    }
    if any(message and message.conversation != conversation for message in place.values()):
        raise Http404
    return place


def _composer(
    request: SignedInRequest,
    conversation: Conversation,
    form: PlacedMessageForm | None = None,
    refusal: str = "",
    *,
    status: int = 200,
) -> HttpResponse:
    """The composer: emptied, or with what was typed and why it was not taken."""
    context = {
        "conversation": conversation,
        "composer": thread_page.composer(request.user, form, refusal),
        "models": catalogue.models_for(request.user),
        "current_model": catalogue.find(conversation.model),
    }
    return render(request, f"{PAGE}#composer", context, status=status)
