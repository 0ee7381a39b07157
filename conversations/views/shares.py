"""Shares as their owners see them: made and revoked in the details drawer, and all of one's own on
a page."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from conversations import access
from conversations.actions import shares
from conversations.actions.refusals import Refused
from conversations.forms_sharing import ShareForm
from conversations.views import details, sidebar
from conversations.views.requests import SignedInRequest


@sensitive_variables("token")
@login_required
@require_POST
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="own")
    form = ShareForm(request.POST)
    if not form.is_valid():
        return details.page(request, row, share_form=form, status=422)
    try:
        share, token = shares.make(
            conversation=row,
            actor=request.user,
            audience=form.cleaned_data["audience"],
            is_live=form.cleaned_data["is_live"],
            lifetime=form.lifetime,
            with_notes=form.cleaned_data["notes"],
            with_branches=form.cleaned_data["branches"],
        )
    except Refused as refused:
        form.add_error(None, refused.message)
        return details.page(request, row, share_form=form, status=409)
    path = (
        reverse("shared_link", args=[token]) if token else reverse("shared", args=[share.public_id])
    )
    address = request.build_absolute_uri(path)
    return details.page(request, row, share_address=address, is_secret=share.is_secret)


@login_required
@require_http_methods(["DELETE"])
def share(request: SignedInRequest, conversation: str, share: str) -> HttpResponse:
    row = access.share(request.user, conversation, share)
    try:
        shares.revoke(share=row, actor=request.user)
    except Refused as refused:
        return details.page(request, row.conversation, refusal=refused.message, status=409)
    return details.page(request, row.conversation, done=_("It is shared no more."))


@login_required
@require_GET
def own(request: SignedInRequest) -> HttpResponse:
    """What the person shares, of all conversations."""
    pages = Paginator(access.shares_of(request.user), settings.PEOPLE_PAGE)
    context = {"shares": pages.get_page(request.GET.get("page")), **sidebar.frame(request.user)}
    return render(request, "accounts/shares.html", context)


@login_required
@require_POST
def revocation(request: SignedInRequest, share: str) -> HttpResponse:
    row = access.own_share(request.user, share)
    try:
        shares.revoke(share=row, actor=request.user)
    except Refused as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, _("It is shared no more."))
    return redirect("own_shares")
