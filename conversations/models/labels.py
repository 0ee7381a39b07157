"""Labels: marks of a person's own on what they take part in. Nobody else sees them."""

from collections.abc import Iterable
from typing import Self

from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation, Participant
from conversations.models.ids import public_id
from conversations.models.people import User

NAME_MAX_CHARS = 80


class Colour(models.TextChoices):
    GREY = "grey", _("Grey")
    RED = "red", _("Red")
    AMBER = "amber", _("Amber")
    GREEN = "green", _("Green")
    BLUE = "blue", _("Blue")
    VIOLET = "violet", _("Violet")


class LabelQuerySet(models.QuerySet["Label"]):
    def listed(self) -> Self:
        return self.order_by(Lower("name"), "pk")

    def with_number(self) -> Self:
        """Adds `number`: on how many conversations that nobody has deleted."""
        there = models.Q(labellings__participant__conversation__deleted_at=None)
        return self.annotate(number=models.Count("labellings", filter=there))

    def put_on(self, rows: Iterable[Conversation]) -> None:
        """Gives each row the `labels` of its reader, in one query for all, or none where nobody has
        any. Rows as `with_attention` leaves them."""
        by_reader = {(row.pk, row.reader_id): row for row in rows if row.is_labelled}
        marks = Labelling.objects.filter(
            participant__conversation__in={pk for pk, _reader in by_reader},
            participant__user__in={reader for _pk, reader in by_reader},
        ).select_related("label", "participant")
        for mark in marks.order_by(Lower("label__name"), "label"):
            if row := by_reader.get((mark.participant.conversation_id, mark.participant.user_id)):
                row.labels = (*row.labels, mark.label)


class Label(models.Model):
    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="labels")
    name = models.CharField(max_length=NAME_MAX_CHARS)
    colour = models.CharField(max_length=6, choices=Colour, default=Colour.GREY)

    objects = LabelQuerySet.as_manager()

    number: int  # set by with_number

    class Meta:
        constraints = [
            models.UniqueConstraint("owner", Lower("name"), name="label_named_once"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def choice(self) -> str:
        """What chooses its conversations in the sidebar."""
        return f"label-{self.public_id}"


class Labelling(models.Model):
    """A label on a conversation. It hangs on its owner's taking part, and goes with it."""

    label = models.ForeignKey(Label, models.CASCADE, related_name="labellings")
    participant = models.ForeignKey(Participant, models.CASCADE, related_name="labellings")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["participant", "label"], name="labelled_once"),
        ]

    def __str__(self) -> str:
        return f"{self.label} of {self.participant}"
