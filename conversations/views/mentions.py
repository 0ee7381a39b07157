"""Whom one may call by name while writing."""

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from conversations import access
from conversations.models import Answers, User
from conversations.views.requests import SignedInRequest

ASSISTANT = "assistant"  # as it is called in every language
LISTED = 6  # as many as one takes in at a glance; another letter brings others


@login_required
@require_GET
def candidates(request: SignedInRequest, conversation: str) -> HttpResponse:
    """Those who take part and whose name, or a part of it, begins as `q` does; and the
    assistant, where it answers only when it is called."""
    row = access.conversation(request.user, conversation, to="write")
    begin = request.GET.get("q", "")[:80].replace("\0", "").strip()
    people = User.objects.filter(participations__conversation=row, is_active=True)
    people = people.exclude(pk=request.user.pk).order_by("name", "pk")
    if begin:
        unnamed = Q(name="", email__istartswith=begin)
        people = people.filter(
            Q(name__istartswith=begin) | Q(name__icontains=f" {begin}") | unnamed
        )
    calls = row.answers == Answers.CALLED and ASSISTANT.startswith(begin.lower())
    context = {"people": people[:LISTED], "assistant": ASSISTANT if calls else ""}
    return render(request, "conversations/_callees.html", context)
