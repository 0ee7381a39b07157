"""The messages of a conversation: listed, sent, and given as plain Markdown."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from conversations import access, actions, catalogue
from conversations.actions.refusals import Refused
from conversations.forms import MessageForm
from conversations.models import Conversation
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
def text(request: SignedInRequest, message: str) -> HttpResponse:
    """The Markdown of a message, for copying."""
    row = access.message(request.user, message, to="read")
    return HttpResponse(row.text, content_type="text/plain; charset=utf-8")


def _send(request: SignedInRequest, conversation: Conversation) -> HttpResponse:
    form = MessageForm(request.POST)
    if not form.is_valid():
        return _composer(request, conversation, form, status=422)
    try:
        sent = actions.messages.send(
            conversation=conversation, author=request.user, **form.cleaned_data
        )
    except Refused as refused:
        return _composer(request, conversation, form, refused.message, status=409)
    response = _composer(request, conversation)
    response.write(f'<template data-place="messages">{sent.html}</template>')
    return response


def _composer(
    request: SignedInRequest,
    conversation: Conversation,
    form: MessageForm | None = None,
    refusal: str = "",
    *,
    status: int = 200,
) -> HttpResponse:
    """The composer: emptied, or with what was typed and why it was not taken."""
    context = {
        "conversation": conversation,
        "composer": thread_page.composer(form, refusal),
        "models": catalogue.models(),
        "current_model": catalogue.find(conversation.model),
    }
    return render(request, f"{PAGE}#composer", context, status=status)
