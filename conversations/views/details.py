"""The details drawer of a conversation: loaded when somebody opens it."""

from typing import Any

from django.conf import settings as portal
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from conversations import access
from conversations.forms_sharing import InviteForm, InviteLinkForm, ShareForm
from conversations.models import Conversation, Role, User
from conversations.views.requests import SignedInRequest

PAGE = "conversations/details.html"


@login_required
@require_GET
def details(request: SignedInRequest, conversation: str) -> HttpResponse:
    return page(request, access.conversation(request.user, conversation, to="read"))


@login_required
@require_GET
def history(request: SignedInRequest, conversation: str) -> HttpResponse:
    """What was changed before the change with this number."""
    row = access.conversation(request.user, conversation, to="read")
    before = request.GET.get("before", "")
    if not (before.isascii() and before.isdigit() and len(before) < 19):
        raise Http404
    context = {"conversation": row, **_history(row, int(before))}
    return render(request, "conversations/_changes.html", context)


def page(
    request: SignedInRequest, conversation: Conversation, *, status: int = 200, **news: Any
) -> HttpResponse:
    """What stands in the drawer; `news` are forms with errors, `refusal`, `done`, `address`."""
    context = {**_about(request.user, conversation), **news}
    return render(request, PAGE, context, status=status)


def _about(user: User, conversation: Conversation) -> dict[str, Any]:
    everybody = list(conversation.participants.listed().select_related("via_team"))
    mine = next((one.role for one in everybody if one.user_id == user.pk), None)
    if mine is None:  # removed a moment ago
        raise Http404
    owners = [one for one in everybody if one.role == Role.OWNER and one.user.is_active]
    about: dict[str, Any] = {
        "conversation": conversation,
        "participants": everybody,
        "role": mine,
        "roles": Role.choices,
        "is_owner": mine == Role.OWNER,
        "is_last_owner": [one.user_id for one in owners] == [user.pk],
        "most": portal.PARTICIPANTS_PER_CONVERSATION,
        **_history(conversation),
    }
    if mine == Role.OWNER:
        about["invite_form"] = InviteForm(inviter=user)
        about["find_each_other"] = portal.PEOPLE_FIND_EACH_OTHER
        about["links"] = (
            conversation.invite_links.open().select_related("created_by").order_by("pk")
        )
        about["link_form"] = InviteLinkForm()
        shares = conversation.shares.open().select_related("created_by")
        about["shares"] = shares.order_by("pk")
        about["share_form"] = ShareForm()
        about["shares_allowed"] = portal.SHARES_PER_CONVERSATION > 0
        about["links_allowed"] = portal.INVITE_LINKS_PER_CONVERSATION > 0
    return about


def _history(conversation: Conversation, before: int | None = None) -> dict[str, Any]:
    """`changes`, newest first, and the number of the last where there are `earlier` ones."""
    most = portal.HISTORY_PAGE
    found = list(conversation.changes.newest(most + 1, before))
    return {"changes": found[:most], "earlier": found[most - 1].pk if len(found) > most else None}
