"""The operators' page: who is here, inviting, suspending. To others it does not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from conversations.actions import people
from conversations.actions.refusals import Refused
from conversations.forms_people import InvitationForm
from conversations.models import User
from conversations.views import sidebar
from conversations.views.requests import SignedInRequest

Rest = ParamSpec("Rest")
View = Callable[Concatenate[SignedInRequest, Rest], HttpResponse]


def operators_only(view: View[Rest]) -> View[Rest]:
    @wraps(view)
    def guarded(
        request: SignedInRequest, /, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> HttpResponse:
        if not people.is_operator(request.user):
            raise Http404
        return view(request, *args, **kwargs)

    return login_required(guarded)


@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def collection(request: SignedInRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, InvitationForm())
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    person = people.add(actor=request.user, **form.cleaned_data)
    return _page_with_link(request, person)


@require_POST
@operators_only
def links(request: SignedInRequest, person: str) -> HttpResponse:
    return _page_with_link(request, _person(person))


@require_POST
@operators_only
def suspension(request: SignedInRequest, person: str) -> HttpResponse:
    row = _person(person)
    try:
        people.suspend(user=row, actor=request.user)
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, _("%(name)s is suspended.") % {"name": row.display_name})
    return redirect("people")


@require_POST
@operators_only
def reactivation(request: SignedInRequest, person: str) -> HttpResponse:
    row = _person(person)
    people.reactivate(user=row, actor=request.user)
    messages.success(request, _("%(name)s may sign in again.") % {"name": row.display_name})
    return redirect("people")


def _person(public_id: str) -> User:
    return get_object_or_404(User, public_id=public_id)


def _page_with_link(request: SignedInRequest, person: User) -> HttpResponse:
    """Shown in this one answer alone: the token is kept nowhere, so there is no page to go to."""
    try:
        token = people.invite(user=person, actor=request.user)
    except Refused as refusal:
        messages.error(request, refusal.message)
        return redirect("people")
    address = request.build_absolute_uri(reverse("link", args=[token]))
    return _page(request, InvitationForm(), invited=person, address=address)


def _page(
    request: SignedInRequest, form: InvitationForm, *, status: int = 200, **context: object
) -> HttpResponse:
    everybody = User.objects.order_by("-is_active", "email").prefetch_related("groups")
    page = Paginator(everybody, settings.PEOPLE_PAGE).get_page(request.GET.get("page"))
    context |= {
        "form": form,
        "people": page,
        "operators": people.OPERATORS,
        "hours": settings.SIGNIN_LINK_HOURS,
        **sidebar.frame(request.user),
    }
    return render(request, "people/collection.html", context, status=status)
