"""What was changed in a conversation, for those who take part in it."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation
from conversations.models.people import User


class What(models.TextChoices):
    TITLE = "title", _("title")
    MODEL = "model", _("model")
    PROMPT = "prompt", _("system prompt")
    PARAMETERS = "parameters", _("parameters")
    INVITED = "invited", _("invited")
    JOINED = "joined", _("joined by a link")
    ROLE = "role", _("role")
    REMOVED = "removed", _("removed")
    LEFT = "left", _("left")


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

    def __str__(self) -> str:
        return f"{self.what} of {self.conversation}"
