"""What a report is about."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations import ledger
from conversations.models import Period

DAYS = 30
GROUPS = {
    "day": _("Day"),
    "model": _("Model"),
    "person": _("Person"),
    "team": _("Team"),
    "key": _("Key"),
}
OF_ONESELF = ("day", "model", "key")


class UsageForm(forms.Form):
    """Without a word, the last 30 days, day by day."""

    since = forms.DateField(label=_("From"), widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), widget=forms.DateInput(attrs={"type": "date"}))
    by = forms.ChoiceField(label=_("By"))

    def __init__(self, data: Any, *, groups: tuple[str, ...] = tuple(GROUPS)) -> None:
        today = ledger.period_start(Period.DAY, timezone.now())
        words = {
            "since": today - timedelta(days=DAYS - 1),
            "until": today,
            "by": "day",
        } | {name: data[name] for name in ("since", "until", "by") if data.get(name)}
        super().__init__(words)
        self.fields["by"].choices = [(name, GROUPS[name]) for name in groups]  # type: ignore[attr-defined]

    def clean_since(self) -> date:
        return _on_the_calendar(self.cleaned_data["since"])

    def clean_until(self) -> date:
        return _on_the_calendar(self.cleaned_data["until"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until:
            if until < since:
                self.add_error("until", _("This is before the first day."))
            elif (until - since).days >= settings.USAGE_DAYS:
                most = _("At most %(n)d days at a time.") % {"n": settings.USAGE_DAYS}
                self.add_error("until", most)
        return data


def _on_the_calendar(day: date) -> date:
    """At the ends of time, midnight in another zone may be none."""
    if not date(2000, 1, 1) <= day <= date(2099, 12, 31):
        raise forms.ValidationError(_("Enter a day of this century."))
    return day
