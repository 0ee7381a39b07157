"""People and teams."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.actions import erasure, people, teams
from conversations.admin.site import Rows, actor, site
from conversations.models import Team, TeamMember, User


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Every field here is changed by an action of its own."""

    is_operator = forms.BooleanField(
        label=_("Operator"),
        required=False,
        help_text=_("Invites people and runs the portal. Gives no right to read conversations."),
    )
    # Set by the admin on the class that it makes for one request.
    actor: User

    class Meta:
        model = User
        fields = ("name", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.was_operator = self.instance.groups.filter(name=people.OPERATORS).exists()
        self.fields["is_operator"].initial = self.was_operator

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        changed = {"is_active", "is_operator"} & set(self.changed_data)
        if self.instance.pk == self.actor.pk and changed:
            raise forms.ValidationError(people.NotForOneself().message)
        return cleaned


@admin.register(User, site=site)
class PersonAdmin(Rows):
    form = PersonForm
    list_display = ("email", "name", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    ordering = ("email",)
    fields = ("email", "name", "is_active", "is_operator", "reviews", "last_login", "date_joined")
    readonly_fields = ("email", "reviews", "last_login", "date_joined")

    @admin.display(description=_("may review"), boolean=True)
    def reviews(self, person: User) -> bool:
        return person.may_review

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.filter(erased_at=None)

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return request.user.has_perm("conversations.change_user")

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        """Of anybody but oneself."""
        return self.has_change_permission(request) and obj != actor(request)

    def get_deleted_objects(
        self, objs: "QuerySet[User] | Sequence[User]", request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """No row goes with the account: see erasure."""
        del request
        return [str(person) for person in objs], {}, set(), []

    def log_deletions(self, request: HttpRequest, queryset: "QuerySet[User]") -> list[Any]:  # noqa: ARG002
        """The audit trail has it; the admin's own log would keep the address beside it."""
        return []

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        erasure.erase(user=obj, actor=actor(request))

    def get_form(
        self,
        request: HttpRequest,
        obj: object | None = None,
        change: bool = False,
        **kwargs: object,
    ) -> type[PersonForm]:
        form = super().get_form(request, obj, change, **kwargs)
        return type("PersonForm", (form,), {"actor": actor(request)})

    def save_model(
        self,
        request: HttpRequest,
        obj: User,
        form: PersonForm,
        change: bool,  # noqa: ARG002
    ) -> None:
        by = actor(request)
        wanted = form.cleaned_data
        person = User.objects.get(pk=obj.pk)
        if wanted["name"] != person.name:
            people.set_name(user=person, actor=by, name=wanted["name"])
        if wanted["is_active"] != person.is_active:
            act = people.reactivate if wanted["is_active"] else people.suspend
            act(user=person, actor=by)
        if wanted["is_operator"] != form.was_operator:
            people.set_operator(user=person, actor=by, is_operator=wanted["is_operator"])


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    model = TeamMember
    extra = 1
    autocomplete_fields = ("user",)


@admin.register(Team, site=site)
class TeamAdmin(Rows):
    list_display = ("name", "size")
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name",)
    inlines = (MemberInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        rows: QuerySet[Team] = super().get_queryset(request)
        return rows.annotate(people=Count("members"))

    @admin.display(description=_("people"), ordering="people")
    def size(self, team: Team) -> int:
        count: int = team.people  # type: ignore[attr-defined]  # annotated above
        return count

    def has_add_permission(self, request: HttpRequest, *_args: object) -> bool:
        return request.user.has_perm("conversations.add_team")

    def has_change_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return request.user.has_perm("conversations.change_team")

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:  # noqa: ARG002
        return request.user.has_perm("conversations.delete_team")

    def save_model(
        self,
        request: HttpRequest,
        obj: Team,
        form: object,  # noqa: ARG002
        change: bool,  # noqa: ARG002
    ) -> None:
        teams.save(team=obj, actor=actor(request))

    def save_formset(
        self,
        request: HttpRequest,
        form: object,  # noqa: ARG002
        formset: "BaseModelFormSet[TeamMember, ModelForm[TeamMember]]",
        change: bool,  # noqa: ARG002
    ) -> None:
        for member in formset.save(commit=False):
            teams.set_member(member=member, actor=actor(request))
        for member in formset.deleted_objects:
            teams.remove_member(member=member, actor=actor(request))

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        teams.delete(team=obj, actor=actor(request))
