"""Answers on their way and ended: stopped, and what the model was asked."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from conversations import access, actions
from conversations.models import Draft, Generation
from conversations.relay.prompt import compose
from conversations.upstream import ChatMessage, InvalidRequest
from conversations.views.requests import SignedInRequest

SHEET = "conversations/_request_sheet.html"


@login_required
@require_POST
def stop(request: SignedInRequest, generation: str) -> HttpResponse:
    """Whoever is faster; stopping what has ended is no error."""
    row = access.generation(request.user, generation, to="write")
    actions.generations.stop(generation=row, actor=request.user)
    return HttpResponse(status=204)


@login_required
@require_GET
def asked(request: SignedInRequest, generation: str) -> HttpResponse:
    """What the model saw: composed from the table as it was for sending."""
    return _sheet(request, access.generation(request.user, generation, to="read"))


@login_required
@require_GET
def copied(request: SignedInRequest, message: str) -> HttpResponse:
    """The same of an answer that was copied. Its record stays where it was written: whoever may not
    read there is told so."""
    row = access.message(request.user, message, to="read")
    if row.copied_generation is None:
        raise Http404
    try:
        original = access.generation(request.user, row.copied_generation.public_id, to="read")
    except Http404:
        return render(request, SHEET, {"copied": True})
    return _sheet(request, original, copied=True)


def _sheet(request: SignedInRequest, row: Generation, *, copied: bool = False) -> HttpResponse:
    context: dict[str, Any] = {
        "generation": row,
        "parameters": row.request.get("parameters", {}),
        "draft": _draft(row),
        "copied": copied,
    }
    try:
        messages = compose(row).messages
    except InvalidRequest as error:
        context["refusal"] = error.message
    else:
        context["messages"] = list(_beginnings(messages, settings.REQUEST_SHOWN_CHARS))
    return render(request, SHEET, context)


def _draft(generation: Generation) -> Draft | None:
    """As one of several answers that were asked for together."""
    if generation.drafts == 1:
        return None
    rows = Draft.objects.select_related("chosen_by")
    return rows.filter(message__choices__generation=generation).first()


def _beginnings(messages: tuple[ChatMessage, ...], room: int) -> Iterator[tuple[str, str, int]]:
    """Role, as much of the text as fits into what is left of the room, and how much does not."""
    for message in messages:
        text = message.content[:room]
        room -= len(text)
        yield message.role, text, len(message.content) - len(text)
