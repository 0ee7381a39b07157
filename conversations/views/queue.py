"""The turns that wait: edited, withdrawn, put in order, sent before their time."""

from contextlib import suppress

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.views.decorators.http import require_POST

from conversations import access, actions
from conversations.actions.refusals import Refused, TurnRunning
from conversations.forms import TurnForm, TurnPlaceForm
from conversations.models import QueuedTurn
from conversations.views.requests import SignedInRequest


@login_required
def turn(request: SignedInRequest, turn: str) -> HttpResponse:
    """GET is its text to edit, POST the edited one; DELETE withdraws it, and gives its author the
    text back."""
    if request.method == "GET":
        row = access.queued_turn(request.user, turn, to="edit")
        return _sheet(request, row, TurnForm(initial={"text": row.text}))
    if request.method == "POST":
        return _edit(request, access.queued_turn(request.user, turn, to="edit"))
    if request.method == "DELETE":
        row = access.queued_turn(request.user, turn, to="withdraw")
        return _withdraw(request, row)
    return HttpResponseNotAllowed(["GET", "POST", "DELETE"])


@login_required
@require_POST
def move(request: SignedInRequest, turn: str) -> HttpResponse:
    row = access.queued_turn(request.user, turn, to="move")
    form = TurnPlaceForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=422)
    actions.queue.move(turn=row, actor=request.user, **form.cleaned_data)
    return HttpResponse(status=204)


@login_required
@require_POST
def send_now(request: SignedInRequest, turn: str) -> HttpResponse:
    row = access.queued_turn(request.user, turn, to="send")
    actions.queue.send_now(turn=row, actor=request.user)
    return HttpResponse(status=204)


@login_required
@require_POST
def send_next(request: SignedInRequest, conversation: str) -> HttpResponse:
    """Whoever is faster; an answer that runs already is what both wanted."""
    row = access.conversation(request.user, conversation, to="write")
    with suppress(TurnRunning):
        actions.queue.send_next(conversation=row, actor=request.user)
    return HttpResponse(status=204)


def _edit(request: SignedInRequest, row: QueuedTurn) -> HttpResponse:
    form = TurnForm(request.POST)
    if not form.is_valid():
        return _sheet(request, row, form, status=422)
    try:
        actions.queue.edit(turn=row, actor=request.user, **form.cleaned_data)
    except Refused as refused:
        form.add_error("text", refused.message)
        return _sheet(request, row, form, status=409)
    return HttpResponse(status=204)


def _withdraw(request: SignedInRequest, row: QueuedTurn) -> HttpResponse:
    actions.queue.withdraw(turn=row, actor=request.user)
    text = row.text if row.author == request.user else ""
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def _sheet(
    request: SignedInRequest, row: QueuedTurn, form: TurnForm, status: int = 200
) -> HttpResponse:
    context = {"turn": row, "form": form}
    return render(request, "conversations/_turn_sheet.html", context, status=status)
