"""Other answers to a question: asked for, gone on with, voted for, chosen."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from conversations import access, actions
from conversations.actions.refusals import TooOften
from conversations.forms import VoteForm
from conversations.models import Message
from conversations.throttling import Turnstile
from conversations.views.requests import SignedInRequest

votes = Turnstile()


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


@login_required
@require_POST
def vote(request: SignedInRequest, message: str) -> HttpResponse:
    """`given` is whether the person's vote among several drafts is to be this one's."""
    row = access.message(request.user, message, to="read")
    # Each counts as a change of the conversation: whoever reads along would push the others' news
    # out of what is looked back at.
    if not votes.lets(request.user.public_id, settings.VOTES_PER_PERSON):
        raise TooOften
    form = VoteForm(request.POST)
    form.is_valid()
    given = form.cleaned_data.get("given", False)
    actions.votes.vote(answer=row, person=request.user, is_given=given)
    return HttpResponse(status=204)


def _answer(request: SignedInRequest, public_id: str, act: Callable[..., Message]) -> HttpResponse:
    row = access.message(request.user, public_id, to="write")
    act(answer=row, actor=request.user)
    return HttpResponse(status=204)
