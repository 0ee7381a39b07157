"""The admin as a whole: one way in, one way out, and nothing that is not offered."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models.constants import LOOKUP_SEP
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from conversations import accounts
from conversations.actions import people
from conversations.models import User

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class PortalSite(admin.AdminSite):
    """Its own site, so that no installed app adds a table to it.

    Signing in, signing out and passwords belong to the portal's pages, where attempts are counted
    and open sockets hear of it. What a person may not see does not exist for them.
    """

    site_header = site_title = settings.PORTAL_NAME

    def has_permission(self, request: HttpRequest) -> bool:
        if request.user.is_authenticated and not super().has_permission(request):
            raise Http404
        return super().has_permission(request)

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        def hidden(*args: object, **kwargs: object) -> HttpResponseBase:
            try:
                return view(*args, **kwargs)
            except PermissionDenied:
                raise Http404 from None

        return super().admin_view(cast("View", update_wrapper(hidden, view)), cacheable)

    def login(self, request: HttpRequest, extra_context: object = None) -> HttpResponse:  # noqa: ARG002
        if self.has_permission(request):
            return redirect("admin:index")
        wanted = request.GET.get("next", "")
        return redirect_to_login(wanted or reverse("admin:index"))

    def logout(  # type: ignore[override]  # an answer of its own, not a page of the admin
        self,
        request: HttpRequest,
        extra_context: object = None,  # noqa: ARG002
    ) -> HttpResponse:
        if request.method == "POST":
            accounts.sign_out(request)
        return redirect("account_login")

    def password_change(  # type: ignore[override]  # an answer of its own, not a page of the admin
        self,
        request: HttpRequest,  # noqa: ARG002
        extra_context: object = None,  # noqa: ARG002
    ) -> HttpResponse:
        return redirect("account_change_password")


site = PortalSite()


def actor(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  the site lets nobody else in
    return request.user


def operates(request: HttpRequest) -> bool:
    """Whether an operator asks: looked up once, since a page asks for each table and button."""
    known: bool | None = getattr(request, "_operates", None)
    if known is None:
        known = people.is_operator(actor(request))
        request._operates = known  # type: ignore[attr-defined]
    return known


class Rows(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """A table that is looked at; what may be changed says so and goes through an action."""

    def has_add_permission(self, request: HttpRequest, *_args: object) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return False

    def lookup_allowed(
        self,
        lookup: str,
        value: object,  # noqa: ARG002
        request: HttpRequest | None = None,  # noqa: ARG002
    ) -> bool:
        """Only what the page offers as a filter: a lookup of any other column would answer
        questions about what the page does not show, such as how a password's hash begins."""
        offered = [
            item if isinstance(item, str) else item[0]
            for item in self.list_filter
            if isinstance(item, (str, tuple))
        ]
        return lookup.partition(LOOKUP_SEP)[0] in {*offered, self.date_hierarchy}

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


class OperatorsRows(Rows):
    """What operators add and change, whatever permissions their group had when it was made."""

    may_delete = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return operates(request)

    def has_view_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return operates(request)

    def has_add_permission(self, request: HttpRequest, *_args: object) -> bool:
        return operates(request)

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return operates(request)

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return self.may_delete and operates(request)
