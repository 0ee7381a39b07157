"""Who takes part: found, invited, given a role, removed; and leaving. All but leaving answer with
the details drawer as it then is."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from conversations import access, actions
from conversations.actions.refusals import Refused, TooOften
from conversations.forms_sharing import InviteForm, RoleForm
from conversations.models import Conversation, User
from conversations.throttling import Turnstile
from conversations.views import details
from conversations.views.requests import SignedInRequest

searches = Turnstile()


@login_required
@require_GET
def candidates(request: SignedInRequest, conversation: str) -> HttpResponse:
    """Whom one might invite, for what was typed so far."""
    row = access.conversation(request.user, conversation, to="own")
    found = _found(request.user, row, request.GET.get("who", ""))
    return render(request, f"{details.PAGE}#candidates", found | {"conversation": row})


@login_required
@require_POST
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    """Invites somebody, or a team."""
    row = access.conversation(request.user, conversation, to="own")
    if not _may_search(request.user):
        return details.page(request, row, refusal=TooOften().message, status=409)
    form = InviteForm(request.POST, inviter=request.user)
    if form.is_valid():
        try:
            return details.page(request, row, done=_invite(row, request.user, form))
        except Refused as refused:
            form.add_error("who", refused.message)
    found = _found(request.user, row, request.POST.get("who", ""))
    return details.page(request, row, invite_form=form, status=422, **found)


@login_required
@require_POST
def role(request: SignedInRequest, conversation: str, person: str) -> HttpResponse:
    participant = access.participant(request.user, conversation, person)
    form = RoleForm(request.POST)
    if not form.is_valid():
        row = participant.conversation
        return details.page(request, row, refusal=_("There is no such role."), status=422)
    return _act(
        request,
        participant.conversation,
        actions.participants.set_role,
        person=participant.user,
        role=form.cleaned_data["role"],
    )


@login_required
@require_http_methods(["DELETE"])
def participant(request: SignedInRequest, conversation: str, person: str) -> HttpResponse:
    row = access.participant(request.user, conversation, person)
    return _act(request, row.conversation, actions.participants.remove, person=row.user)


@login_required
@require_POST
def ownership(request: SignedInRequest, conversation: str, person: str) -> HttpResponse:
    """Hands it over: they own it, and one is an editor."""
    row = access.participant(request.user, conversation, person)
    return _act(request, row.conversation, actions.participants.hand_over, person=row.user)


@login_required
@require_POST
def departure(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="read")
    try:
        actions.participants.leave(conversation=row, person=request.user)
    except Refused as refused:
        return details.page(request, row, refusal=refused.message, status=409)
    messages.success(request, _("You have left the conversation."))
    return HttpResponse(status=204, headers={"HX-Redirect": reverse("new")})


def _act(request: SignedInRequest, row: Conversation, act: Any, **what: Any) -> HttpResponse:
    try:
        act(conversation=row, actor=request.user, **what)
    except Refused as refused:
        return details.page(request, row, refusal=refused.message, status=409)
    if not row.participants.filter(user=request.user).exists():
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("new")})
    return details.page(request, row)


def _invite(row: Conversation, actor: User, form: InviteForm) -> str:
    """Says what was done. Raises Refused."""
    invited, role = form.cleaned_data["person"], form.cleaned_data["role"]
    if team := form.cleaned_data["team"]:
        count = actions.participants.invite_team(
            conversation=row, actor=actor, team=team, role=role
        )
        return ngettext(
            "%(n)d person of %(team)s takes part now.",
            "%(n)d people of %(team)s take part now.",
            count,
        ) % {"n": count, "team": team.name}
    actions.participants.invite(conversation=row, actor=actor, person=invited, role=role)
    return _("%(name)s takes part now.") % {"name": invited.display_name}


def _found(user: User, row: Conversation, text: str) -> dict[str, Any]:
    """`found` people and `teams`, a handful of each; nothing for a single letter."""
    text = text.strip()
    found: dict[str, Any] = {"searched": len(text) > 1, "found": []}
    if len(text) < 2 or "\0" in text:
        return found
    if not _may_search(user):
        return found | {"too_often": TooOften().message}
    people = access.people_by_name(text)
    teams = access.teams_known_to(user).filter(name__icontains=text)
    most = settings.PEOPLE_FOUND
    return found | {
        "found": access.marked_as_in(people, row)[:most],
        "teams": teams[:most],
    }


def _may_search(user: User) -> bool:
    return searches.lets(user.public_id, settings.PEOPLE_SEARCHES)
