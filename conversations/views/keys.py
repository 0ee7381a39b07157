"""A person's own keys for programs."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from conversations import access
from conversations.actions import keys
from conversations.actions.refusals import Refused
from conversations.forms_keys import KeyForm
from conversations.views import sidebar
from conversations.views.requests import SignedInRequest


@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def collection(request: SignedInRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, KeyForm(user=request.user))
    form = KeyForm(request.POST, user=request.user)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        key, token = keys.make(
            user=request.user,
            actor=request.user,
            name=form.cleaned_data["name"],
            expires_at=form.expires_at,
            models=form.cleaned_data["models"],
        )
    except Refused as refusal:
        form.add_error(None, refusal.message)
        return _page(request, form, status=422)
    # Shown in this one answer alone: the key is kept nowhere, so there is no page to go to.
    return _page(request, KeyForm(user=request.user), fresh=key, token=token)


@require_POST
@login_required
def revocation(request: SignedInRequest, key: str) -> HttpResponse:
    row = access.key(request.user, key)
    keys.revoke(key=row, actor=request.user)
    messages.success(request, _("“%(name)s” is revoked.") % {"name": row.name})
    return redirect("keys")


def _page(
    request: SignedInRequest, form: KeyForm, *, status: int = 200, **context: object
) -> HttpResponse:
    context |= {
        "form": form,
        "keys": request.user.keys.kept().order_by("-created_at", "-pk"),
        "most": settings.KEYS_PER_PERSON,
        **sidebar.frame(request.user),
    }
    return render(request, "accounts/keys.html", context, status=status)
