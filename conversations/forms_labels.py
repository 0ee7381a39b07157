"""What a label is to be called, and how it looks."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from conversations.models import Colour


class LabelForm(forms.Form):
    name = forms.CharField(error_messages={"required": _("Give the label a name.")})
    colour = forms.ChoiceField(choices=Colour.choices, initial=Colour.GREY)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].validators.append(MaxLengthValidator(settings.LABEL_MAX_CHARS))

    def clean_name(self) -> str:
        """One line, however it was pasted."""
        return " ".join(self.cleaned_data["name"].split())

    def clean_colour(self) -> Colour:
        return Colour(self.cleaned_data["colour"])
