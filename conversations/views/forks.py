"""Branching off for oneself."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from conversations import access, actions
from conversations.models import Conversation, Message
from conversations.views.conversations import opened
from conversations.views.requests import SignedInRequest


@login_required
@require_POST
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    """Of the branch that all see, whole."""
    row = access.conversation(request.user, conversation, to="write")
    return _fork(request, row, row.head)


@login_required
@require_POST
def of_message(request: SignedInRequest, message: str) -> HttpResponse:
    """Of the branch up to this message."""
    row = access.message(request.user, message, to="write")
    return _fork(request, row.conversation, row)


def _fork(request: SignedInRequest, conversation: Conversation, at: Message | None) -> HttpResponse:
    # With the right to write, since a fork is meant to come back, and since whoever reads along
    # would take the words to where their owners have no say.
    fork = actions.forks.fork(conversation=conversation, actor=request.user, at=at)
    return opened(request, fork.public_id)
