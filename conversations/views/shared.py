"""What readers from outside see of a conversation: its words, and nothing that could be done."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from conversations import access
from conversations.fragments import Article
from conversations.models import Kind, Message, Share
from conversations.views.branches import Branches
from conversations.views.requests import SignedInRequest

PAGE = "conversations/shared.html"


@require_safe
@login_required
def shared(request: SignedInRequest, share: str) -> HttpResponse:
    return _page(request, access.shared(request.user, share))


@sensitive_variables("token")
@require_safe
def by_link(request: HttpRequest, token: str) -> HttpResponse:
    """For whoever has the address, signed in or not."""
    try:
        response = _page(request, access.shared_by_link(token))
    except Http404:
        response = render(request, "conversations/shared_gone.html", status=410)
    # The address is the secret: it goes with no link that an answer holds, and into no search.
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response


def _page(request: HttpRequest, share: Share) -> HttpResponse:
    if request.GET.get("rev") == str(share.conversation.revision) and not _grows(share):
        return HttpResponse(status=204)  # a live page has it all
    end = share.conversation.head_id if share.is_live else share.head_id
    tree = Branches(share) if share.with_branches else None
    through = request.GET.get("through", "") if tree else ""
    if tree and through:
        end = tree.end(through)
    page = _messages(share, end, request.GET.get("page"))
    for message in page:
        message.ways = tree.ways(message) if tree else None
    context: dict[str, Any] = {
        "share": share,
        "conversation": share.conversation,
        "page": page,
        "articles": [_article(share, message) for message in page],
        "shared": True,
        "through": through,
        "poll_seconds": settings.SHARE_POLL_SECONDS if share.is_live else 0,
    }
    part = "#messages" if request.headers.get("HX-Request") else ""
    response = render(request, f"{PAGE}{part}", context)
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response


def _grows(share: Share) -> bool:
    """An answer is being written: its words come without a new revision."""
    return share.conversation.generations.filter(settled_at=None).exists()


def _messages(share: Share, end: int | None, number: str | None) -> "Page[Message]":
    """The branch to this message, oldest first, with its notes where they are shared; what was
    deleted is gone here as well."""
    branch = Message.objects.branch_to(end, with_notes=share.with_notes).filter(deleted_at=None)
    if not share.with_notes:
        branch = branch.filter(kind=Kind.TURN)
    elif not share.is_live:
        branch = branch.exclude(kind=Kind.NOTE, created_at__gt=share.created_at)
    rows = branch.for_thread().prefetch_related("versions")
    return Paginator(rows, settings.TRANSCRIPT_PAGE).get_page(number)


def _article(share: Share, message: Message) -> Article:
    message.reasoning = ""
    if share.is_live:
        return Article.of(message)
    return Article.as_it_was(message, share.created_at)
