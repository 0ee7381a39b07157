"""Drafts: several answers that were asked for together, of which people go on with one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from django.db import models
from django.utils import timezone

from conversations.models.conversations import Conversation
from conversations.models.messages import Message
from conversations.models.people import User


class DraftQuerySet(models.QuerySet["Draft"]):
    def undecided(self) -> Self:
        """Of questions with none that was chosen."""
        chosen = Draft.objects.filter(question=models.OuterRef("question")).exclude(chosen_at=None)
        return self.filter(~models.Exists(chosen))

    def side_by_side(self, question_id: int) -> list["Draft"]:
        """Those of one question in their order, with what their neighbours show of them and who
        votes for them; none once one was chosen."""
        rows = self.undecided().filter(question=question_id).order_by("number")
        rows = rows.select_related("message").only("question", "number", "message__public_id")
        votes = Vote.objects.select_related("person").order_by("pk")
        return list(rows.prefetch_related(models.Prefetch("votes", votes)))


class Draft(models.Model):
    """One of several answers to a question; which one was chosen, by whom, and how."""

    question = models.ForeignKey(Message, models.CASCADE, related_name="drafts")
    # Its place among them, from 0, which its generations carry too.
    number = models.PositiveSmallIntegerField()
    # Another one takes its place when it broke off and is asked for again.
    message = models.OneToOneField(Message, models.CASCADE, related_name="draft")
    chosen_at = models.DateTimeField(null=True)
    chosen_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # Chosen by going on below it, and not in so many words.
    went_on = models.BooleanField(default=False)

    objects = DraftQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["question", "number"], name="one_draft_per_number"),
            models.UniqueConstraint(
                fields=["question"],
                condition=models.Q(chosen_at__isnull=False),
                name="one_draft_is_chosen",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question}[{self.number}]"


class Vote(models.Model):
    """A person's only one among the drafts of a question."""

    question = models.ForeignKey(Message, models.CASCADE, related_name="votes")
    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    draft = models.ForeignKey(Draft, models.CASCADE, related_name="votes")
    given_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["question", "person"], name="one_vote_per_question"),
        ]

    def __str__(self) -> str:
        return f"{self.person} for {self.draft}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of the drafts of one question. Without one that was chosen none is rejected."""

    question: Message
    drafts: tuple[Message, ...]
    chosen: Message | None
    chosen_by: User | None
    # In so many words, and not merely gone on with.
    is_explicit: bool
    votes: dict[Message, tuple[User, ...]]

    @property
    def rejected(self) -> tuple[Message, ...]:
        return tuple(draft for draft in self.drafts if self.chosen and draft != self.chosen)


def decisions(conversation: Conversation) -> Iterator[Decision]:
    """For each question that several answers were asked for, in the order of the questions; without
    what was deleted. For exports: the caller decides who may read it."""
    rows = Draft.objects.filter(
        question__conversation=conversation,
        question__deleted_at=None,
        message__deleted_at=None,
    ).select_related("question", "message", "chosen_by")
    votes = Vote.objects.select_related("person").order_by("pk")
    ordered = rows.order_by("question", "number").prefetch_related(
        models.Prefetch("votes", votes),
    )
    for _question, group in groupby(ordered, key=lambda draft: draft.question_id):
        drafts = list(group)
        chosen = next((draft for draft in drafts if draft.chosen_at), None)
        yield Decision(
            question=drafts[0].question,
            drafts=tuple(draft.message for draft in drafts),
            chosen=chosen.message if chosen else None,
            chosen_by=chosen.chosen_by if chosen else None,
            is_explicit=chosen is not None and not chosen.went_on,
            votes={
                draft.message: tuple(vote.person for vote in draft.votes.all()) for draft in drafts
            },
        )
