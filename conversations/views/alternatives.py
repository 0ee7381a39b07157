"""Other answers to a question: asked for, gone on with, chosen."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from conversations import access, actions
from conversations.models import Message
from conversations.views.requests import SignedInRequest


@login_required
@require_POST
def create(request: SignedInRequest, message: str) -> HttpResponse:
    """Another answer beside this one."""
    return _answer(request, message, actions.generations.retry)


@login_required
@require_POST
def go_on(request: SignedInRequest, message: str) -> HttpResponse:
    """More of this answer."""
    return _answer(request, message, actions.generations.go_on)


@login_required
@require_POST
def choose(request: SignedInRequest, message: str) -> HttpResponse:
    """The branch through this message becomes the one that everybody sees."""
    row = access.message(request.user, message, to="write")
    actions.conversations.choose_head(
        conversation=row.conversation, actor=request.user, message=row
    )
    return HttpResponse(status=204)  # every page hears of it by its socket


def _answer(request: SignedInRequest, public_id: str, act: Callable[..., Message]) -> HttpResponse:
    row = access.message(request.user, public_id, to="write")
    act(answer=row, actor=request.user)
    return HttpResponse(status=204)
