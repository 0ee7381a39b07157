"""Forms about people. A form names every field that a person may set; nothing else is read."""

from django import forms
from django.utils.translation import gettext_lazy as _

from conversations.actions import people
from conversations.models import User


class AccountForm(forms.Form):
    """What people change about themselves."""

    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        help_text=_("Others see it beside your messages."),
    )


class FirstAccountForm(AccountForm):
    """The first administrator came without an email address."""

    email = forms.EmailField(
        label=_("Email address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text=_("You sign in with it. Nothing is sent there."),
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        if email == people.FIRST_EMAIL:
            raise forms.ValidationError(_("Enter the email address that you will sign in with."))
        return _unused(email)


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label=_("Email address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    is_operator = forms.BooleanField(
        label=_("Operator"),
        required=False,
        help_text=_("May invite people and run the portal, not read conversations."),
    )

    def clean_email(self) -> str:
        return _unused(self.cleaned_data["email"].lower())


def _unused(email: str) -> str:
    if User.objects.filter(email__iexact=email).exists():
        raise forms.ValidationError(_("Somebody has this email address already."))
    return email
