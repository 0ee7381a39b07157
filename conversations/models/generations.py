"""Generations: one upstream request each, and its life."""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation
from conversations.models.ids import public_id
from conversations.models.messages import Message
from conversations.models.people import User

if TYPE_CHECKING:
    from datetime import datetime


class State(models.TextChoices):
    QUEUED = "queued", _("waiting")
    RUNNING = "running", _("writing")
    DONE = "done", _("done")
    STOPPED = "stopped", _("stopped")
    INTERRUPTED = "interrupted", _("interrupted")
    FAILED = "failed", _("failed")


OPEN = (State.QUEUED, State.RUNNING)
# By no wish of anybody's.
BROKE_OFF = (State.INTERRUPTED, State.FAILED)

# Who may move a generation from where to where; every UPDATE of `state` names the left side.
MOVES: dict[State, tuple[State, ...]] = {
    State.QUEUED: (State.RUNNING, State.STOPPED, State.FAILED),
    State.RUNNING: (
        State.QUEUED,  # upstream said "later" before the first token
        State.DONE,
        State.STOPPED,
        State.INTERRUPTED,
        State.FAILED,
    ),
}


class UsageSource(models.TextChoices):
    UNKNOWN = "unknown", _("unknown")
    REPORTED = "reported", _("reported by the model server")


class GenerationQuerySet(models.QuerySet["Generation"]):
    def open(self) -> Self:
        return self.filter(state__in=OPEN)

    def queued(self) -> Self:
        """Oldest first. Nothing queued is settled; saying so lets the small index be used."""
        return self.filter(state=State.QUEUED, settled_at=None).order_by("pk")

    def due(self, now: "datetime") -> Self:
        """Queued, and for no moment in time. Nobody waits for longer than UPSTREAM_RETRY_BUDGET: a
        moment beyond it was written by a clock that goes, or went, ahead of ours."""
        longest = now + timedelta(seconds=settings.UPSTREAM_RETRY_BUDGET)
        due = models.Q(not_before=None) | models.Q(not_before__lte=now)
        return self.queued().filter(due | models.Q(not_before__gt=longest))

    def claimable(self, now: "datetime") -> Self:
        """Queued and due. A conversation whose stopped answer is still being put away waits, since
        its text belongs to the next question; other answers to the same one need not."""
        unsettled = Generation.objects.filter(
            conversation=models.OuterRef("conversation"), state=State.STOPPED, settled_at=None
        ).exclude(question=models.OuterRef("question"))
        return self.due(now).filter(~models.Exists(unsettled))

    def fairly(self) -> Self:
        """In the order in which they are answered where there is no room for all: of each person
        one after the other, so that who asks much at once holds up themselves alone. Those of a
        person that are written already count before; where that is equal, whoever had an answer
        longer ago, or never, comes first; of one person the oldest."""
        running = Generation.objects.filter(
            state=State.RUNNING, requested_by=models.OuterRef("requested_by")
        )
        number = running.order_by().values("requested_by").annotate(n=models.Count("pk"))
        before = Coalesce(models.Subquery(number.values("n")), 0)
        own = models.Window(RowNumber(), partition_by="requested_by", order_by="pk")
        begun = Generation.objects.filter(
            started_at__isnull=False, requested_by=models.OuterRef("requested_by")
        )
        # Of one person the oldest is begun first, so the newest that has begun did so last.
        last = models.Subquery(begun.order_by("-pk").values("started_at")[:1])
        rows = self.annotate(own=own, place=before + own, last=last)
        return rows.order_by("place", "own", models.F("last").asc(nulls_first=True), "pk")

    def claimed(self) -> Self:
        """Some worker's to write: running, or stopped with text not yet put away."""
        return self.filter(settled_at=None, state__in=(State.RUNNING, State.STOPPED))

    def held_by(self, worker: str) -> Self:
        return self.claimed().filter(worker=worker)

    def left_by(self, workers: Collection[str]) -> Self:
        """Claimed by workers that are gone."""
        return self.claimed().filter(worker__in=workers)


class Generation(models.Model):
    """One upstream request. `settled_at` is set when its text is final and will not change."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="generations")
    # The question this answers: a turn is a question with all generations of it.
    question = models.ForeignKey(Message, models.CASCADE, related_name="generations")
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    # Which of how many that the question was asked for at once; see Draft.
    draft = models.PositiveSmallIntegerField(default=0, db_default=0)
    drafts = models.PositiveSmallIntegerField(default=1, db_default=1)
    state = models.CharField(max_length=11, choices=State, default=State.QUEUED)
    upstream = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    # Exactly what is sent: {"system": text, "messages": [public ids], "parameters": {…}};
    # "prefill" with the text that a continued answer begins with; "speakers", where several people
    # have spoken: public id of each of their messages → the name it carries upstream.
    request = models.JSONField(default=dict)
    # The relay that writes it: a Worker's name.
    worker = models.CharField(max_length=120, blank=True)
    # Waiting for an upstream that said "later": until when, how often so far, and why.
    not_before = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    first_token_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    stopped_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    finish_reason = models.CharField(max_length=40, blank=True)
    # Why it failed or was interrupted: a stable code, a sentence for people, detail for operators.
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    error_detail = models.TextField(blank=True)
    retry_at = models.DateTimeField(null=True)
    upstream_id = models.CharField(max_length=200, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    completion_tokens = models.PositiveIntegerField(null=True)
    usage_source = models.CharField(max_length=8, choices=UsageSource, default=UsageSource.UNKNOWN)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        constraints = [
            models.UniqueConstraint(
                # Each question asked begins with a draft 0, so two never begin at once; whatever
                # is asked again is held apart by the conversation's lock.
                fields=["conversation", "draft"],
                condition=models.Q(state__in=OPEN),
                name="one_turn_at_a_time",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=State.DONE) | ~models.Q(finish_reason=""),
                name="done_has_a_finish_reason",
            ),
        ]
        indexes = [
            # The relay looks every second for what is queued, running, or stopped but not settled.
            models.Index(
                "state", "id", condition=models.Q(settled_at=None), name="generation_unsettled"
            ),
            # With each question: how many answers the person has on their way.
            models.Index(
                "requested_by",
                condition=models.Q(state__in=OPEN),
                name="generation_open_of_person",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def time_to_first_token(self) -> timedelta | None:
        if self.first_token_at is None:
            return None
        return self.first_token_at - self.created_at


class ChoiceQuerySet(models.QuerySet["Choice"]):
    def for_articles_of(self, generation: Generation) -> list["Choice"]:
        """The newest of each message that the generation wrote, with all that the thread shows.
        For one message this is far cheaper than what reads a whole thread."""
        return self._newest(self.filter(message__choices__generation=generation))

    def newest_of(self, messages: Collection[int]) -> list["Choice"]:
        """The same for these messages, by their keys."""
        return self._newest(self.filter(message__in=messages))

    def _newest(self, rows: Self) -> list["Choice"]:
        rows = rows.order_by("pk").select_related("generation__stopped_by", "message__parent")
        newest = {row.message_id: row for row in rows.defer("generation__request")}
        for row in newest.values():
            if question := row.message.parent:
                question.replies = list(Message.objects.beside().filter(parent=question))
        return list(newest.values())


class Choice(models.Model):
    """What a generation writes: `n` makes several messages, Continue appends to one."""

    generation = models.ForeignKey(Generation, models.CASCADE, related_name="choices")
    index = models.PositiveSmallIntegerField(default=0)
    message = models.ForeignKey(Message, models.CASCADE, related_name="choices")
    # Characters of the message that were there before.
    starts_at = models.PositiveIntegerField(default=0)

    objects = ChoiceQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(fields=["generation", "index"], name="one_choice_per_index"),
        ]

    def __str__(self) -> str:
        return f"{self.generation}[{self.index}]"
