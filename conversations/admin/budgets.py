"""Budgets: whose, how much, and how full."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from conversations import amounts, ledger
from conversations.actions import budgets
from conversations.admin.site import OperatorsRows, actor, site
from conversations.models import Budget, Key, Scope, Unit, User

MOST_TOKENS = 10**15
MOST_MONEY = 10**9  # a column holds nine times as many nanos


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    person = forms.EmailField(
        label=_("Person"),
        required=False,
        help_text=_("Where the budget is for a person: their email address."),
    )
    of_key = forms.CharField(
        label=_("Key"),
        required=False,
        max_length=60,
        help_text=_("Where it is for a program's key: how the key begins."),
    )
    amount = forms.DecimalField(label=_("Limit"), max_digits=24, decimal_places=amounts.DIGITS)

    class Meta:
        model = Budget
        fields = ("scope", "team", "unit", "period", "contact", "is_active")
        widgets = {"scope": forms.RadioSelect, "unit": forms.RadioSelect}
        help_texts = {
            "team": _(
                "Where it is for a team. A person's use counts for the team that they joined first."
            ),
            "unit": _("Money is counted with the prices of the models."),
            "contact": _("Shown to whoever is over budget: a name or an address."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        budget = self.instance
        if "scope" in self.fields:
            self.fields["scope"].choices = Scope.choices  # type: ignore[attr-defined]  # a ChoiceField
            self.initial.setdefault("scope", Scope.PORTAL)
        self.initial["person"] = budget.user.email if budget.user else ""
        key = Key.objects.filter(public_id=budget.key).first() if budget.key else None
        self.initial["of_key"] = key.prefix if key else ""
        if "amount" in self.fields:
            self.fields["amount"].help_text = gettext(
                "In tokens, or in %(currency)s. Days and months begin at midnight, %(zone)s time."
            ) % {"currency": settings.CURRENCY, "zone": settings.TIME_ZONE}
            if budget.pk:
                is_money = budget.unit == Unit.MONEY
                value = Decimal(budget.limit) / (amounts.NANO if is_money else 1)
                self.initial["amount"] = f"{value.normalize():f}"

    def clean_person(self) -> User | None:
        email: str = self.cleaned_data["person"]
        person = User.objects.filter(email__iexact=email).first() if email else None
        if email and person is None:
            raise forms.ValidationError(_("Nobody has this email address."))
        return person

    def clean_of_key(self) -> Key | None:
        prefix: str = self.cleaned_data["of_key"]
        key = Key.objects.kept().filter(prefix=prefix).first() if prefix else None
        if prefix and key is None:
            raise forms.ValidationError(_("No key in use begins like this."))
        return key

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        scope = data.get("scope")
        for named, field in (
            (Scope.PERSON, "person"),
            (Scope.TEAM, "team"),
            (Scope.KEY, "of_key"),
        ):
            if scope == named and not data.get(field) and field not in self.errors:
                self.add_error(field, _("Choose whose budget it is."))
            elif scope != named:
                data[field] = None
        self._clean_amount(data)
        if not self.errors:
            self._refuse_second(data)
        return data

    def _clean_amount(self, data: dict[str, Any]) -> None:
        value, is_money = data.get("amount"), data.get("unit") == Unit.MONEY
        if value is None:
            return
        most = MOST_MONEY if is_money else MOST_TOKENS
        if not 0 < value <= most:
            self.add_error("amount", _("Enter more than 0, and at most %(n)s.") % {"n": most})
        elif not is_money and value != value.to_integral_value():
            self.add_error("amount", _("Tokens are whole numbers."))

    def _refuse_second(self, data: dict[str, Any]) -> None:
        same = Budget.objects.filter(
            scope=data["scope"],
            user=data["person"],
            team=data["team"],
            key=self.key,
            unit=data["unit"],
            period=data["period"],
        )
        if same.exclude(pk=self.instance.pk).exists():
            self.add_error(None, _("There is such a budget already. Change that one."))

    @property
    def key(self) -> str:
        found: Key | None = self.cleaned_data.get("of_key")
        return found.public_id if found else ""

    @property
    def limit(self) -> int:
        value: Decimal = self.cleaned_data["amount"]
        return int(value * (amounts.NANO if self.cleaned_data["unit"] == Unit.MONEY else 1))


@admin.register(Budget, site=site)
class BudgetAdmin(OperatorsRows):
    form = BudgetForm
    may_delete = True
    list_display = ("whose", "upper", "period", "full", "contact", "is_active")
    list_filter = ("scope", "period", "is_active")
    list_select_related = ("user", "team")
    list_per_page = 50
    search_fields = ("user__email", "team__name", "key")
    ordering = ("scope", "pk")
    fields = (
        "scope", "person", "team", "of_key", "unit", "amount", "period", "contact", "is_active",
    )  # fmt: skip

    @admin.display(description=_("for"))
    def whose(self, budget: Budget) -> str:
        match budget.scope:
            case Scope.PERSON:
                return str(budget.user)
            case Scope.TEAM:
                return str(budget.team)
            case Scope.KEY:
                return str(Key.objects.filter(public_id=budget.key).first() or budget.key)
        return gettext("The whole portal")

    @admin.display(description=_("limit"), ordering="limit")
    def upper(self, budget: Budget) -> str:
        return amounts.amount(budget.limit, budget.unit)

    @admin.display(description=_("used and reserved"))
    def full(self, budget: Budget) -> str:
        meter = ledger.meter(budget)
        return f"{meter.percent} % ({amounts.amount(meter.taken, budget.unit)})"

    def save_model(
        self,
        request: HttpRequest,
        obj: Budget,
        form: BudgetForm,
        change: bool,  # noqa: ARG002 Django's signature
    ) -> None:
        obj.user, obj.team = form.cleaned_data["person"], form.cleaned_data["team"]
        obj.key, obj.limit = form.key, form.limit
        budgets.save(budget=obj, actor=actor(request))

    def delete_model(self, request: HttpRequest, obj: Budget) -> None:
        budgets.delete(budget=obj, actor=actor(request))
