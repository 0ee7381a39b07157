"""The models on offer. Servers, their addresses and keys are in no table and on no page."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chatweb.upstreams import LOCAL
from conversations import catalogue
from conversations.actions import catalogue as actions
from conversations.admin.site import OperatorsRows, actor, site
from conversations.forms import ParametersForm
from conversations.models import LanguageModel, Team


class ModelForm(ParametersForm, forms.ModelForm):  # type: ignore[type-arg]  # not at run time
    upstream = forms.ChoiceField(
        label=_("Upstream"), help_text=_("The servers that the portal's settings name.")
    )

    class Meta:
        model = LanguageModel
        fields = (
            "model_id",
            "upstream",
            "label",
            "description",
            "price_in",
            "price_out",
            "context_tokens",
            "teams",
            "position",
            "is_offered",
        )
        widgets = {"teams": forms.CheckboxSelectMultiple}
        help_texts = {
            "model_id": _("As the server calls it. It cannot be changed later."),
            "label": _("What people read instead of the id."),
            "description": _("One line for the picker: what it is good at."),
            "price_in": _("For a million tokens of what is sent."),
            "price_out": _("For a million tokens of what it writes."),
            "context_tokens": _("How many tokens it keeps in mind, where that is known."),
            "teams": _("None chosen: everybody may use it."),
            "position": _("Lower comes first."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        if instance is not None:
            kwargs["initial"] = self.filled(instance.parameters) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        if "upstream" in self.fields:
            names = dict.fromkeys([*catalogue.upstreams(), self.instance.upstream or LOCAL])
            if not self.instance.upstream and len(names) > 1:
                names.pop(LOCAL, None)
            self.fields["upstream"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        for name, label in PARAMETERS.items():
            if name in self.fields:
                self.fields[name].label = label
        for name in ("price_in", "price_out"):
            if name in self.fields:
                self.fields[name].label = f"{self.fields[name].label} ({settings.CURRENCY})"

    def clean_model_id(self) -> str:
        name: str = self.cleaned_data["model_id"]
        if not name.isprintable():
            raise forms.ValidationError(_("An id is one line of printable characters."))
        return name


PARAMETERS = {
    "temperature": _("Temperature"),
    "top_p": _("Top P"),
    "max_tokens": _("Longest answer"),
    "stop": _("Stop sequences"),
}


@admin.register(LanguageModel, site=site)
class LanguageModelAdmin(OperatorsRows):
    form = ModelForm
    list_display = ("model_id", "label", "upstream", "state", "whom", "prices")
    list_filter = ("upstream", "is_offered", "teams")
    search_fields = ("model_id", "label")
    ordering = ("position", "pk")
    actions = ("offer", "withdraw")
    fieldsets = (
        (None, {"fields": ("model_id", "upstream", "label", "description", "context_tokens")}),
        (_("Who may use it"), {"fields": ("is_offered", "teams", "position")}),
        (_("Prices"), {"fields": ("price_in", "price_out")}),
        (
            _("Where a conversation or program says nothing"),
            {"fields": tuple(PARAMETERS)},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        rows: QuerySet[LanguageModel] = super().get_queryset(request)
        return rows.prefetch_related("teams")

    @admin.display(description=_("state"))
    def state(self, row: LanguageModel) -> str:
        if row.upstream not in catalogue.upstreams():
            return gettext("its server is not set up")
        if catalogue.find(row.model_id) is None:
            return gettext("not offered")
        return gettext("offered") if row.edited_at else gettext("offered (settings)")

    @admin.display(description=_("only for"))
    def whom(self, row: LanguageModel) -> str:
        return ", ".join(team.name for team in row.teams.all()) or gettext("everybody")

    @admin.display(description=_("price in / out"))
    def prices(self, row: LanguageModel) -> str:
        if not row.has_price:
            return ""
        return f"{row.price_in.normalize():f} / {row.price_out.normalize():f} {settings.CURRENCY}"

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: LanguageModel | None = None,
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        # The local model goes by its file's name, with our own word of warning.
        return ("model_id", "label", "description") if obj.upstream == LOCAL else ("model_id",)

    def get_form(
        self,
        request: HttpRequest,
        obj: object | None = None,
        change: bool = False,
        **kwargs: object,
    ) -> type[forms.ModelForm]:  # type: ignore[type-arg]
        form = super().get_form(request, obj, change, **kwargs)
        teams = form.base_fields.get("teams")
        if teams is not None:
            teams.widget.can_add_related = False  # teams have a page of their own
        return form

    def save_model(
        self,
        request: HttpRequest,
        obj: LanguageModel,
        form: ModelForm,
        change: bool,  # noqa: ARG002
    ) -> None:
        obj.parameters = form.parameters()
        actions.save(model=obj, teams=form.cleaned_data["teams"], actor=actor(request))

    def save_related(
        self, request: HttpRequest, form: object, formsets: object, change: bool
    ) -> None:
        """The teams came with the row, through its action."""

    @admin.action(description=_("Offer the models"), permissions=["change"])
    def offer(self, request: HttpRequest, queryset: QuerySet[LanguageModel]) -> None:
        self._set_offered(request, queryset, is_offered=True)

    @admin.action(description=_("Stop offering the models"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[LanguageModel]) -> None:
        self._set_offered(request, queryset, is_offered=False)

    def _set_offered(
        self, request: HttpRequest, queryset: QuerySet[LanguageModel], *, is_offered: bool
    ) -> None:
        rows = list(queryset)
        for row in rows:
            row.is_offered = is_offered
            teams: list[Team] = list(row.teams.all())
            actions.save(model=row, teams=teams, actor=actor(request))
        if is_offered:
            text = ngettext("%(n)d model is offered.", "%(n)d models are offered.", len(rows))
        else:
            text = ngettext(
                "%(n)d model is offered no more.", "%(n)d models are offered no more.", len(rows)
            )
        self.message_user(request, text % {"n": len(rows)}, messages.SUCCESS)
