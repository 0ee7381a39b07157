"""Stopping an answer."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from conversations import access, actions
from conversations.views.requests import SignedInRequest


@login_required
@require_POST
def stop(request: SignedInRequest, generation: str) -> HttpResponse:
    """Whoever is faster; stopping what has ended is no error."""
    row = access.generation(request.user, generation, to="write")
    actions.generations.stop(generation=row, actor=request.user)
    return HttpResponse(status=204)
