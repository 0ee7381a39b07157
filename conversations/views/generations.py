"""Answers on their way and ended: stopped, and what the model was asked."""

from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from conversations import access, actions
from conversations.relay.prompt import compose
from conversations.upstream import ChatMessage, InvalidRequest
from conversations.views.requests import SignedInRequest


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
    row = access.generation(request.user, generation, to="read")
    context = {"generation": row, "parameters": row.request.get("parameters", {})}
    try:
        messages = compose(row).messages
    except InvalidRequest as error:
        context["refusal"] = error.message
    else:
        context["messages"] = list(_beginnings(messages, settings.REQUEST_SHOWN_CHARS))
    return render(request, "conversations/_request_sheet.html", context)


def _beginnings(messages: tuple[ChatMessage, ...], room: int) -> Iterator[tuple[str, str, int]]:
    """Role, as much of the text as fits into what is left of the room, and how much does not."""
    for message in messages:
        text = message.content[:room]
        room -= len(text)
        yield message.role, text, len(message.content) - len(text)
