"""The way back from a fork: offered in its page, compared and decided on a page of its own."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from conversations import access
from conversations.actions import offers
from conversations.actions.messages import title_from
from conversations.actions.refusals import Refused
from conversations.forms_sharing import OfferForm
from conversations.fragments import Article
from conversations.models import Kind, Message, MessageQuerySet, Offer
from conversations.views import sidebar, thread_page
from conversations.views.requests import SignedInRequest

SHEET = "conversations/_offer_sheet.html"


@login_required
@require_GET
def origin(request: SignedInRequest, conversation: str) -> HttpResponse:
    """What stands over a fork."""
    row = access.conversation(request.user, conversation, to="read")
    if row.forked_from_id is None:
        raise Http404
    context = {"conversation": row, **thread_page.company(request.user, row)}
    context |= thread_page.fork(request.user, row)
    return render(request, "conversations/_fork.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    """Of a fork. GET gives the form, POST offers the branch that it has now."""
    fork = access.conversation(request.user, conversation, to="own")
    found = access.origin(request.user, fork)
    if found is None:
        raise Http404
    original = access.conversation(request.user, found.public_id, to="write")
    form = OfferForm(request.POST or None)
    context = {"conversation": fork, "origin": original, "form": form}
    if request.method == "GET":
        return render(request, SHEET, context)
    if not form.is_valid():
        return render(request, SHEET, context, status=422)
    text = form.cleaned_data["text"]
    try:
        offers.make(fork=fork, original=original, actor=request.user, text=text)
    except Refused as refused:
        form.add_error("text", refused.message)
        return render(request, SHEET, context, status=409)
    return HttpResponse(status=204)


@login_required
@require_GET
def offer(request: SignedInRequest, offer: str) -> HttpResponse:
    """What stands there now, and what is offered; of one that was decided only how."""
    row = access.offer(request.user, offer, to="read")
    context = {
        "offer": row,
        "conversation": row.conversation,
        "is_mine": row.offered_by == request.user,
        "may_decide": access.may(request.user, row.conversation, to="write"),
        "shared": True,  # to be read: nothing can be done to the messages here
        **(_compared(row) if row.is_open else {}),
        **sidebar.frame(request.user),
    }
    return render(request, "conversations/offer.html", context)


@login_required
@require_POST
def taking(request: SignedInRequest, offer: str) -> HttpResponse:
    row = access.offer(request.user, offer, to="decide")
    return _decided(request, row, offers.take, _("All see the branch that was offered now."))


@login_required
@require_POST
def decline(request: SignedInRequest, offer: str) -> HttpResponse:
    row = access.offer(request.user, offer, to="decide")
    return _decided(request, row, offers.decline, _("The branch was declined."))


@login_required
@require_POST
def withdrawal(request: SignedInRequest, offer: str) -> HttpResponse:
    row = access.offer(request.user, offer, to="withdraw")
    return _decided(request, row, offers.withdraw, _("The branch is not offered any more."))


def _decided(
    request: SignedInRequest, row: Offer, act: Callable[..., None], done: str
) -> HttpResponse:
    if request.htmx:
        act(offer=row, actor=request.user)
        return HttpResponse(status=204)
    try:
        act(offer=row, actor=request.user)
    except Refused as refused:
        messages.error(request, refused.message)
        return redirect("offer", row.public_id)
    messages.success(request, done)
    return redirect("thread", row.conversation.public_id)


def _compared(offer: Offer) -> dict[str, Any]:
    """`now` and `offered`, both from where they part, the beginning of each; how many `more` there
    are; and how the message `before` both begins."""
    here, there = _path(offer.conversation.head_id), _path(offer.base_id)
    common = 0
    while here[common : common + 1] and here[common : common + 1] == there[common : common + 1]:
        common += 1
    most = settings.TRANSCRIPT_PAGE
    now = [Article.of(row) for row in _rows(here[common:][:most])]
    offered = [Article.of(row) for row in _rows(there[common:][:most])]
    rows = offer.messages().for_thread().prefetch_related("versions")
    offered += [Article.as_it_was(row, offer.offered_at) for row in rows[: most - len(offered)]]
    return {
        "before": _beginning(here[common - 1]) if common else "",
        "now": now,
        "offered": offered,
        "more_now": len(here) - common - len(now),
        "more_offered": len(there) - common + offer.size - len(offered),
    }


def _beginning(message_id: int) -> str:
    text = Message.objects.values_list("text", flat=True).get(pk=message_id)
    return title_from(text) or "…"


def _path(message_id: int | None) -> list[int]:
    branch = Message.objects.branch_to(message_id).filter(kind=Kind.TURN, deleted_at=None)
    return list(branch.values_list("pk", flat=True))


def _rows(ids: list[int]) -> MessageQuerySet:
    return Message.objects.filter(pk__in=ids).order_by("depth").for_thread()
