"""All keys, for operators: whose they are, and an end to them. Never a key itself."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.actions import keys, people
from conversations.admin.site import Rows, actor, site
from conversations.models import Key


@admin.register(Key, site=site)
class KeyAdmin(Rows):
    list_display = (
        "prefix",
        "name",
        "user",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "revoked_by",
    )
    list_display_links = None
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user", "revoked_by")
    search_fields = ("prefix", "name", "user__email")
    ordering = ("-created_at",)
    fields = list_display
    actions = ("revoke",)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return people.is_operator(actor(request))

    def has_view_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return people.is_operator(actor(request))

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Of the list, for revoking."""
        return obj is None and people.is_operator(actor(request))

    @admin.action(description=_("Revoke the keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Key]) -> None:
        rows = list(queryset.filter(revoked_at=None).select_related("user"))
        for row in rows:
            keys.revoke(key=row, actor=actor(request))
        text = ngettext("%(n)d key is revoked.", "%(n)d keys are revoked.", len(rows))
        self.message_user(request, text % {"n": len(rows)}, messages.SUCCESS)
