"""One-time links, and a person's own account."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from conversations import accounts
from conversations.actions import links, people
from conversations.forms_people import AccountForm, FirstAccountForm
from conversations.models import User
from conversations.views import sidebar
from conversations.views.requests import SignedInRequest


@sensitive_variables("token")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, token: str) -> HttpResponse:
    """Only the button uses the link up: mail scanners and previews open every address they see."""
    response = _use(request, token) if request.method == "POST" else _offer(request, token)
    # The address holds the token. `no-referrer` would keep it as well, but then browsers send
    # `Origin: null` with the form, and the CSRF check refuses that.
    response["Referrer-Policy"] = "strict-origin"
    return response


def _offer(request: HttpRequest, token: str) -> HttpResponse:
    found = links.find(token=token)
    if found is None:
        return render(request, "accounts/link_gone.html", status=410)
    context = {"person": found.user, "replaces_password": people.replaces_password(found)}
    return render(request, "accounts/link.html", context)


def _use(request: HttpRequest, token: str) -> HttpResponse:
    person = people.use_link(token=token)
    if person is None:
        return render(request, "accounts/link_gone.html", status=410)
    accounts.sign_in(request, person)
    if person.email == people.FIRST_EMAIL:
        return redirect("account")
    return redirect(_password_page(person))


def _password_page(person: User) -> str:
    return reverse("new") if person.has_usable_password() else reverse("account_set_password")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account(request: SignedInRequest) -> HttpResponse:
    form = _account_form(request)
    context = {"form": form, **sidebar.frame(request.user)}
    if request.method != "POST":
        return render(request, "accounts/account.html", context)
    if not form.is_valid():
        return render(request, "accounts/account.html", context, status=422)
    _change_account(request.user, **form.cleaned_data)
    messages.success(request, _("Saved."))
    return redirect("account" if request.user.has_usable_password() else "account_set_password")


def _account_form(request: SignedInRequest) -> AccountForm:
    is_first = request.user.email == people.FIRST_EMAIL
    form_class = FirstAccountForm if is_first else AccountForm
    if request.method == "POST":
        return form_class(request.POST)
    return form_class(initial={"name": request.user.name})


def _change_account(user: User, *, name: str, email: str = "") -> None:
    people.set_name(user=user, actor=user, name=name)
    if email:
        people.set_email(user=user, actor=user, email=email)
