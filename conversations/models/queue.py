"""Turns that wait for the answer before them."""

from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import WRITING, Conversation, Participant
from conversations.models.ids import public_id
from conversations.models.people import User


class Held(models.TextChoices):
    """Why a turn whose time has come was not sent."""

    TOO_MANY = "too_many", _("its author has as many answers on their way as one may have")
    NO_MODEL = "no_model", _("the conversation's model is not offered")
    NOT_FOR_AUTHOR = "not_for", _("its author may not use the conversation's model")
    OVER_BUDGET = "budget", _("a budget of its author has not enough left")


class QueuedTurnQuerySet(models.QuerySet["QueuedTurn"]):
    def in_line(self) -> Self:
        return self.order_by("place", "pk")

    def with_writing_author(self) -> Self:
        """Adds `author_writes`: whether the author may still write there. The turns of those who
        may not stay, are seen, and are passed over."""
        writes = Participant.objects.filter(
            conversation=models.OuterRef("conversation"),
            user=models.OuterRef("author"),
            user__is_active=True,
            role__in=WRITING,
        )
        return self.annotate(author_writes=models.Exists(writes))

    def sendable(self) -> Self:
        return self.with_writing_author().filter(author_writes=True)


class QueuedTurn(models.Model):
    """A message on its way: it becomes one, under its own id, when its turn has come."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="queued_turns")
    author = models.ForeignKey(User, models.CASCADE, related_name="queued_turns")
    text = models.TextField()
    # How many answers of the conversation's model it asks for, and of which others one each.
    answers = models.PositiveSmallIntegerField(default=1, db_default=1)
    also = models.JSONField(default=list, db_default=[])
    # Rendered when it was typed: whoever sends it holds the conversation's lock.
    html = models.TextField()
    html_version = models.PositiveIntegerField()
    # As of a message, not yet counted: what the branch has by then is known when it is sent.
    scope = models.JSONField(default=dict, db_default={})
    # As of a message: sending twice queues one turn.
    request_id = models.UUIDField()
    # Its order in the queue; numbers may be missing.
    place = models.PositiveIntegerField()
    held = models.CharField(max_length=8, choices=Held, blank=True)
    # When it was last held: not tried again at once.
    tried_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True)

    objects = QueuedTurnQuerySet.as_manager()

    author_writes: bool  # set by with_writing_author

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["author", "request_id"], name="queued_once"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def asks(self) -> int:
        """For how many answers, unless the conversation's model is named again among others."""
        return self.answers + len(self.also)
