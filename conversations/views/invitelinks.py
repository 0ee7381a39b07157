"""Invite links: made and withdrawn in the details drawer, and joined by."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from conversations import access
from conversations.actions import invitelinks
from conversations.actions.refusals import Refused
from conversations.forms_sharing import InviteLinkForm
from conversations.models import Conversation
from conversations.views import details
from conversations.views.requests import SignedInRequest


@login_required
@require_POST
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="own")
    form = InviteLinkForm(request.POST)
    if not form.is_valid():
        return details.page(request, row, link_form=form, status=422)
    return _make(request, row, form)


@login_required
@require_http_methods(["DELETE"])
def invite_link(request: SignedInRequest, conversation: str, link: str) -> HttpResponse:
    row = access.invite_link(request.user, conversation, link)
    try:
        invitelinks.withdraw(link=row, actor=request.user)
    except Refused as refused:
        return details.page(request, row.conversation, refusal=refused.message, status=409)
    return details.page(request, row.conversation, done=_("The link lets nobody in any more."))


@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def join(request: SignedInRequest, token: str) -> HttpResponse:
    """Only the button joins: previews and scanners open every address they see."""
    response = _joined(request, token) if request.method == "POST" else _offer(request, token)
    # The address holds the token; see accounts.link.
    response["Referrer-Policy"] = "strict-origin"
    return response


@sensitive_variables("token", "address")
def _make(request: SignedInRequest, row: Conversation, form: InviteLinkForm) -> HttpResponse:
    """Shown in this one answer alone: the token is kept nowhere."""
    try:
        token = invitelinks.make(
            conversation=row,
            actor=request.user,
            role=form.cleaned_data["role"],
            lifetime=form.lifetime,
            max_uses=form.cleaned_data["max_uses"],
        )
    except Refused as refused:
        form.add_error(None, refused.message)
        return details.page(request, row, link_form=form, status=409)
    address = request.build_absolute_uri(reverse("join", args=[token]))
    return details.page(request, row, address=address)


@sensitive_variables("token")
def _offer(request: SignedInRequest, token: str, refusal: str = "") -> HttpResponse:
    link = invitelinks.find(token=token)
    if link is None:
        return render(request, "accounts/join_gone.html", status=410)
    if link.conversation.participants.filter(user=request.user).exists():
        return redirect("thread", link.conversation.public_id)
    context = {"link": link, "refusal": refusal}
    return render(request, "accounts/join.html", context, status=409 if refusal else 200)


@sensitive_variables("token")
def _joined(request: SignedInRequest, token: str) -> HttpResponse:
    try:
        conversation = invitelinks.join(token=token, person=request.user)
    except invitelinks.LinkGone:
        return render(request, "accounts/join_gone.html", status=410)
    except Refused as refused:
        return _offer(request, token, refused.message)
    return redirect("thread", conversation.public_id)
