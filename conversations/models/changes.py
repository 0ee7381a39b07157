"""What was changed in a conversation, for those who take part in it."""

from typing import Any, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation, Role
from conversations.models.people import User


class What(models.TextChoices):
    TITLE = "title", _("title")
    MODEL = "model", _("model")
    PROMPT = "prompt", _("system prompt")
    PARAMETERS = "parameters", _("parameters")
    ANSWERS = "answers", _("when the assistant answers")
    INVITED = "invited", _("invited")
    JOINED = "joined", _("joined by a link")
    ROLE = "role", _("role")
    REMOVED = "removed", _("removed")
    LEFT = "left", _("left")
    SHARED = "shared", _("shared")
    REVOKED = "revoked", _("share revoked")
    OFFERED = "offered", _("branch offered")
    TOOK = "took", _("branch taken")
    DECLINED = "declined", _("branch declined")
    WITHDREW = "withdrew", _("branch withdrawn")


class ChangeQuerySet(models.QuerySet["Change"]):
    def newest(self, most: int, before: int | None = None) -> Self:
        rows = self.filter(pk__lt=before) if before else self
        return rows.select_related("actor", "person").order_by("-pk")[:most]


class Change(models.Model):
    """One line of a conversation's history. Apart from the audit trail, which operators read and
    which holds no words of people: this goes with its conversation and is seen there alone."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    what = models.CharField(max_length=10, choices=What)
    # Whom it was done to; the actor where they did it to themselves.
    person = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # Texts as they were and are, a role, or {name: value} of parameters; null where there is none.
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    objects = ChangeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.what} of {self.conversation}"

    @property
    def by_themselves(self) -> bool:
        return self.actor_id == self.person_id

    @property
    def role_before(self) -> str:
        return _role(self.before)

    @property
    def role_after(self) -> str:
        """What they came as, or became."""
        return _role(self.after["role"] if isinstance(self.after, dict) else self.after)

    @property
    def parameters(self) -> list[tuple[str, str, str]]:
        """Those that differ: name, before, after; empty text for the model's default."""
        before, after = self.before or {}, self.after or {}
        return [
            (name, _value(before.get(name)), _value(after.get(name)))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]


def _role(value: Any) -> str:
    return str(Role(value).label) if value in Role else ""


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " · ".join(str(one) for one in value)
    return "" if value is None else str(value)
