"""Who is to take part in a conversation, and as what."""

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from conversations import access
from conversations.actions import people
from conversations.forms import Text, limit
from conversations.models import Audience, Role, User

# An owner is made of somebody who takes part: never of whoever opens a link, or a whole team.
INVITED_AS = [(Role.EDITOR.value, Role.EDITOR.label), (Role.VIEWER.value, Role.VIEWER.label)]
DAYS = (1, 7, 30, 90, 365)
OPERATORS_NAMED = 3


class OfferForm(forms.Form):
    """What somebody says about a branch that they offer; may be nothing."""

    text = Text(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit(self.fields["text"], settings.OFFER_MAX_CHARS)

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        return text.strip()


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class InviteForm(forms.Form):
    """Whom: by what was typed, or chosen among what was found for it. Cleaned, either `person` or
    `team` is a row."""

    who = forms.CharField(
        required=False,
        max_length=254,
        error_messages={"max_length": gettext_lazy("Names and email addresses are shorter.")},
    )
    role = forms.ChoiceField(choices=INVITED_AS)
    person = forms.SlugField(required=False)
    team = forms.SlugField(required=False)

    def __init__(self, *args: Any, inviter: User, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"role": Role.EDITOR}, **kwargs})
        self.inviter = inviter

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        person, team = data["person"], data["team"]
        data["person"] = data["team"] = None
        if team:
            data["team"] = access.teams_known_to(self.inviter).filter(public_id=team).first()
        elif person:
            data["person"] = access.person_by_id(person)
        else:
            data["person"] = self._typed(data["who"])
        if data["person"] is None and data["team"] is None and not self.errors:
            self.add_error("who", _("They are not here any more. Search again."))
        return data

    def _typed(self, who: str) -> User | None:
        if not who:
            self.add_error("who", _("Say whom to invite."))
        elif "@" in who:
            if person := access.person_by_email(who):
                return person
            nobody = _("Nobody here has this email address.")
            self.add_error("who", f"{nobody} {self._who_lets_people_in()}")
        elif not settings.PEOPLE_FIND_EACH_OTHER:
            self.add_error("who", _("Enter their whole email address."))
        else:
            return self._named(who)
        return None

    def _named(self, who: str) -> User | None:
        found = list(access.people_by_name(who)[: settings.PEOPLE_FOUND])
        exactly = [person for person in found if person.display_name.lower() == who.lower()]
        if len(exactly) == 1:
            return exactly[0]
        teams = access.teams_known_to(self.inviter).filter(name__icontains=who)
        if found or teams.exists():
            self.add_error("who", _("Choose one below, or enter a whole email address."))
        else:
            nobody = _("Nobody here is called so.")
            self.add_error("who", f"{nobody} {self._who_lets_people_in()}")
        return None

    def _who_lets_people_in(self) -> str:
        if people.is_operator(self.inviter):
            return _("On the page People you can let somebody in.")
        runs = Q(groups__name=people.OPERATORS) | Q(is_superuser=True)
        operators = User.objects.filter(runs, is_active=True).distinct().order_by("pk")
        names = [one.display_name for one in operators[:OPERATORS_NAMED]]
        if not names or not settings.PEOPLE_FIND_EACH_OTHER:
            return _("Those who run this portal can let somebody in.")
        return _("Who runs this portal can let somebody in: %(names)s.") % {
            "names": ", ".join(names)
        }


class InviteLinkForm(forms.Form):
    role = forms.ChoiceField(choices=INVITED_AS)
    days = forms.TypedChoiceField(coerce=int)
    max_uses = forms.IntegerField(required=False, min_value=1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"role": Role.EDITOR, "days": 7}, **kwargs})
        _offer(self.fields["days"], settings.INVITE_LINK_DAYS)
        most = settings.PARTICIPANTS_PER_CONVERSATION
        self.fields["max_uses"].validators.append(MaxValueValidator(most))

    @property
    def lifetime(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class ShareForm(forms.Form):
    audience = forms.ChoiceField()
    is_live = forms.ChoiceField(
        choices=[("", gettext_lazy("as it is now")), ("live", gettext_lazy("live"))],
        required=False,
    )
    days = forms.TypedChoiceField(coerce=int)
    notes = forms.BooleanField(required=False)
    branches = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = {"audience": Audience.PEOPLE, "days": 30}
        super().__init__(*args, **{"initial": initial, **kwargs})
        audiences = Audience.choices if settings.SHARE_LINKS else Audience.choices[:1]
        self.fields["audience"].choices = audiences  # type: ignore[attr-defined]
        _offer(self.fields["days"], settings.SHARE_DAYS)

    def clean_is_live(self) -> bool:
        return bool(self.cleaned_data["is_live"])

    @property
    def lifetime(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


def _offer(field: forms.Field, most: int) -> None:
    """As many days as the setting allows; it is read when the form is used."""
    field.choices = [(days, days) for days in DAYS if days <= most]  # type: ignore[attr-defined]
