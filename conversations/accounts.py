"""How allauth's pages act on our rows: nobody signs up, and what ends a session is told."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from django.contrib.auth import login
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from conversations.actions import people
from conversations.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    error_messages: dict[str, Any] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("This email address and password do not belong together."),
        "too_many_login_attempts": _("Too many attempts. Wait five minutes, then try again."),
        "enter_current_password": _("This is not your current password."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 allauth's signature
        """People come by invitation."""
        return False

    def authentication_failed(
        self,
        request: HttpRequest,  # noqa: ARG002 allauth's signature
        **credentials: Any,
    ) -> None:
        people.sign_in_failed(email=credentials.get("email", ""))

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        people.signed_in(user=user)

    def logout(self, request: HttpRequest) -> None:
        if isinstance(request.user, User) and request.session.session_key:
            people.signed_out(user=request.user, session_key=request.session.session_key)
        super().logout(request)

    def set_password(self, user: User, password: str) -> None:
        people.set_password(user=user, password=password)

    def get_password_change_redirect_url(
        self,
        request: HttpRequest,  # noqa: ARG002 allauth's signature
    ) -> str:
        return reverse("account")


def sign_in(request: HttpRequest, user: User) -> None:
    """Signs the person in without a password; whoever used this browser before is signed out."""
    sign_out(request)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    people.signed_in(user=user)


def sign_out(request: HttpRequest) -> None:
    if request.user.is_authenticated:
        get_adapter(request).logout(request)
