"""Branches that somebody offers to the conversation which they forked."""

from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation
from conversations.models.ids import public_id
from conversations.models.messages import Kind, Message, MessageQuerySet
from conversations.models.people import User


class OfferState(models.TextChoices):
    """An open one becomes any of the others, which are final."""

    OPEN = "open", _("open")
    TAKEN = "taken", _("taken")
    DECLINED = "declined", _("declined")
    WITHDRAWN = "withdrawn", _("withdrawn")


class OfferQuerySet(models.QuerySet["Offer"]):
    def open(self) -> Self:
        """Those that can be taken; with its fork an offer is gone, until somebody restores that."""
        return self.filter(state=OfferState.OPEN, fork__deleted_at=None)


class Offer(models.Model):
    """A part of a private fork that the others may read, as it was then, and take as their own."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    # To which it is offered, and the fork that it comes from.
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="offers")
    fork = models.ForeignKey(Conversation, models.CASCADE, related_name="offered")
    # What it follows on from; null where it begins anew.
    base = models.ForeignKey(Message, models.SET_NULL, null=True, related_name="+")
    # Of the fork: its messages from this depth on, down to `head`; so many.
    since = models.PositiveIntegerField()
    head = models.ForeignKey(Message, models.CASCADE, related_name="+")
    size = models.PositiveIntegerField()
    # What its maker says about it.
    text = models.TextField(blank=True)
    offered_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    offered_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=9, choices=OfferState, default=OfferState.OPEN)
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    objects = OfferQuerySet.as_manager()

    class Meta:
        verbose_name = _("offer")
        verbose_name_plural = _("offers")
        constraints = [
            models.UniqueConstraint(
                fields=["fork"],
                condition=models.Q(state=OfferState.OPEN),
                name="one_open_offer_of_a_fork",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_open(self) -> bool:
        return self.state == OfferState.OPEN

    def messages(self) -> MessageQuerySet:
        """These and nothing else of the fork, oldest first; see Article.as_it_was for their
        texts."""
        branch = Message.objects.branch_to(self.head_id)
        return branch.filter(depth__gte=self.since, kind=Kind.TURN, deleted_at=None)
