"""The review right, and the trail of what was done."""

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.actions import people
from conversations.admin.site import Rows, actor, site
from conversations.models import AuditEntry, ReviewGrant, User


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    # Set by the admin on the class that it makes for one request.
    actor: User

    class Meta:
        model = ReviewGrant
        fields = ("user", "reason")

    def clean_user(self) -> User:
        user: User = self.cleaned_data["user"]
        if user == self.actor:
            raise forms.ValidationError(people.NotForOneself().message)
        if not user.is_active:
            raise forms.ValidationError(people.IsSuspended().message)
        if user.may_review:
            raise forms.ValidationError(people.ReviewsAlready().message)
        return user


@admin.register(ReviewGrant, site=site)
class ReviewGrantAdmin(Rows):
    form = GrantForm
    list_display = ("user", "reason", "granted_by", "granted_at", "revoked_by", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user", "granted_by", "revoked_by")
    search_fields = ("user__email", "reason")
    ordering = ("-granted_at",)
    autocomplete_fields = ("user",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, *_args: object) -> bool:
        return request.user.has_perm("conversations.add_reviewgrant")

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Of the list, for revoking; a grant itself stays as it was given."""
        return obj is None and request.user.has_perm("conversations.change_reviewgrant")

    def get_fields(self, request: HttpRequest, obj: object | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("user", "reason") if obj is None else self.list_display

    def get_form(
        self,
        request: HttpRequest,
        obj: object | None = None,
        change: bool = False,
        **kwargs: object,
    ) -> type[GrantForm]:
        form = super().get_form(request, obj, change, **kwargs)
        return type("GrantForm", (form,), {"actor": actor(request)})

    def save_model(
        self,
        request: HttpRequest,
        obj: ReviewGrant,
        form: object,  # noqa: ARG002
        change: bool,  # noqa: ARG002
    ) -> None:
        grant = people.grant_review(user=obj.user, actor=actor(request), reason=obj.reason)
        obj.pk = grant.pk

    @admin.action(description=_("Revoke the review right"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ReviewGrant]) -> None:
        grants = list(queryset.filter(revoked_at=None).select_related("user"))
        for grant in grants:
            people.revoke_review(grant=grant, actor=actor(request))
        text = ngettext("%(n)d right is revoked.", "%(n)d rights are revoked.", len(grants))
        self.message_user(request, text % {"n": len(grants)}, messages.SUCCESS)


@admin.register(AuditEntry, site=site)
class AuditEntryAdmin(Rows):
    list_display = ("at", "actor_label", "verb", "object_type", "object_id", "outcome")
    list_filter = ("verb", "outcome")
    date_hierarchy = "at"
    search_fields = ("actor_label", "object_id")
    ordering = ("-at", "-pk")
    fields = (*list_display, "case", "details")
