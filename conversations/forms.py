"""What people type into the thread, checked: the only place that says what is wrong with it."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations import catalogue
from conversations.actions.asking import Asked
from conversations.models import Answers, Conversation, User
from conversations.sentences import in_words
from conversations.upstream import ChatMessage, ChatRequest, InvalidRequest


class Text(forms.CharField):
    """Text kept as typed: browsers send CRLF for line ends, we keep LF; NUL is not text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, widget=forms.Textarea, **kwargs)

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


class TurnForm(forms.Form):
    text = Text(error_messages={"required": _("Write something first.")})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit(self.fields["text"], settings.MESSAGE_MAX_CHARS)

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if not text.strip():
            raise forms.ValidationError(self.fields["text"].error_messages["required"])
        return text


class MessageForm(TurnForm):
    """What is said, and how many answers it asks for: of the conversation's model, and one each of
    further ones. That holds for this message alone, since each answer costs as much as the first.
    """

    request_id = forms.UUIDField(widget=forms.HiddenInput)
    drafts = forms.IntegerField(min_value=1, required=False)
    also = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: Any, user: User | None = None, **kwargs: Any) -> None:
        """`user` chooses among the models that they may use."""
        initial = {"request_id": uuid4(), "drafts": 1} | kwargs.pop("initial", {})
        super().__init__(*args, initial=initial, **kwargs)
        models = catalogue.models_for(user) if user else ()
        also: Any = self.fields["also"]
        also.choices = [(model.id, model.label) for model in models]
        also.error_messages["invalid_choice"] = _("A model is not offered. Choose another one.")
        self.most = min(settings.DRAFTS_PER_TURN, settings.GENERATIONS_PER_USER)
        self.choices = range(1, self.most + 1)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if (data.get("drafts") or 1) + len(data.get("also", ())) > self.most:
            sentence = ngettext(
                "At most %(n)d answer to one question.",
                "At most %(n)d answers to one question.",
                self.most,
            )
            self.add_error("drafts", sentence % {"n": self.most})
        return data

    def message(self) -> dict[str, Any]:
        """What sending it takes."""
        data = self.cleaned_data
        asked = Asked(data["drafts"] or 1, tuple(data["also"]))
        return {"text": data["text"], "request_id": data["request_id"], "asked": asked}


class Ids(forms.Field):
    """Public ids; their number is bounded, and where they lead is for whoever reads them."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: Any) -> list[str]:
        return [str(one) for one in value or []]

    def validate(self, value: list[str]) -> None:
        super().validate(value)
        if len(value) > (most := settings.SCOPE_MESSAGES):
            raise forms.ValidationError(
                ngettext(
                    "At most %(n)d message can be chosen one by one.",
                    "At most %(n)d messages can be chosen one by one.",
                    most,
                )
                % {"n": most}
            )


class PlaceForm(forms.Form):
    """Where a question goes if not to the end: in place of one's own question or below a message;
    and what the model sees of what stands before: all of it, or `from` the one message that is
    `seen` on, or `only` those that are."""

    instead = forms.CharField(max_length=20, required=False, widget=forms.HiddenInput)
    below = forms.CharField(max_length=20, required=False, widget=forms.HiddenInput)
    sees = forms.ChoiceField(choices=[("from", ""), ("only", "")], required=False)
    seen = Ids(required=False)


class PlacedMessageForm(PlaceForm, MessageForm):
    """In a conversation that is there; or that it is a note for the people alone."""

    note = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if sum(bool(cleaned.get(name)) for name in ("instead", "below", "note")) > 1:
            raise forms.ValidationError(_("A message goes to one place only."))
        return cleaned


class TurnPlaceForm(forms.Form):
    """Where in the queue: before or after another turn."""

    beside = forms.SlugField()
    after = forms.BooleanField(required=False)


class VoteForm(forms.Form):
    """As a checkbox says it: not sent, it is taken back. Nothing in it can be wrong."""

    given = forms.BooleanField(required=False)


class TitleForm(forms.Form):
    title = forms.CharField(
        max_length=settings.TITLE_MAX_CHARS,
        error_messages={"required": _("Give the conversation a title.")},
    )


class ParametersForm(forms.Form):
    """The parameters of the completions API, with its ranges; empty leaves the model's default."""

    temperature = forms.DecimalField(required=False)
    top_p = forms.DecimalField(required=False)
    # No model writes more, and JSON libraries end at 64 bits.
    max_tokens = forms.IntegerField(required=False, max_value=2**31 - 1)
    stop = Text(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit(self.fields["stop"], settings.STOP_MAX_CHARS)

    @staticmethod
    def filled(parameters: dict[str, Any]) -> dict[str, Any]:
        """Stored parameters as the fields show them."""
        return parameters | {"stop": "\n".join(parameters.get("stop", []))}

    def clean(self) -> dict[str, Any]:
        """The ranges are the upstream client's, so that there is one truth about them."""
        data = super().clean() or {}
        for name in ("temperature", "top_p", "max_tokens", "stop"):
            if name in self.errors:
                continue
            try:
                _probe(**{name: self.parameter(data, name)})
            except InvalidRequest as error:
                self.add_error(name, in_words(error.message))
        return data

    def parameters(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON values."""
        named = {
            name: self.parameter(self.cleaned_data, name)
            for name in ("temperature", "top_p", "max_tokens", "stop")
        }
        return {
            name: list(value) if name == "stop" else value
            for name, value in named.items()
            if value is not None and value != ()
        }

    @staticmethod
    def parameter(data: dict[str, Any], name: str) -> Any:
        value = data.get(name)
        if name == "stop":
            return tuple(line for line in (value or "").split("\n") if line)
        return float(value) if isinstance(value, Decimal) else value


class SettingsForm(ParametersForm):
    model = forms.CharField(max_length=200)
    system_prompt = Text(required=False)
    answers = forms.ChoiceField(choices=Answers, required=False)

    def __init__(
        self, *args: Any, user: User | None = None, current: str = "", **kwargs: Any
    ) -> None:
        """Where a `user` is given, they choose among what they may use, or keep the `current`."""
        super().__init__(*args, **kwargs)
        self._user, self._current = user, current
        limit(self.fields["system_prompt"], settings.SYSTEM_PROMPT_MAX_CHARS)

    @classmethod
    def of(cls, conversation: Conversation) -> "SettingsForm":
        return cls(
            initial={
                "model": conversation.model,
                "system_prompt": conversation.system_prompt,
                "answers": conversation.answers,
                **cls.filled(conversation.parameters),
            }
        )

    def clean_model(self) -> str:
        model: str = self.cleaned_data["model"]
        found = catalogue.find(model)
        is_theirs = found is not None and (
            self._user is None or model == self._current or catalogue.may_use(self._user, found)
        )
        if not is_theirs:
            raise forms.ValidationError(_("This model is not offered. Choose another one."))
        return model


def limit(field: forms.Field, characters: int) -> None:
    """Set here and not on the class, so that the setting counts that holds when it is used."""
    field.max_length = characters  # type: ignore[attr-defined]  # all of ours are CharFields
    field.validators.append(MaxLengthValidator(characters))


def _probe(**parameter: Any) -> ChatRequest:
    return ChatRequest(model="any", messages=(ChatMessage("user", "any"),), **parameter)
