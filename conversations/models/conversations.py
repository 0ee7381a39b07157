"""Conversations and who takes part in them."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.ids import public_id
from conversations.models.people import Team, User

if TYPE_CHECKING:
    from conversations.models.labels import Label
    from conversations.models.messages import Message


LOOKED_BACK = 400  # revisions in which unread messages are counted: each turn takes two or more


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def shared_with(self, user: User, *, roles: "Collection[Role]" = ()) -> Self:
        """What the person takes part in, in one of these roles or any, and nobody has deleted;
        with their `reader_role`."""
        part = models.Q(participants__user=user)
        if roles:
            part &= models.Q(participants__role__in=roles)
        return self.filter(part, deleted_at=None).annotate(
            reader_role=models.F("participants__role")
        )

    def via_team(self, team: str) -> Self:
        """Those to which this team was invited."""
        invited = Participant.objects.filter(
            conversation=models.OuterRef("pk"), via_team__public_id=team
        )
        return self.filter(models.Exists(invited))

    def labelled(self, label: "Label") -> Self:
        """Those on which its owner has put it."""
        from conversations.models.labels import Labelling

        marks = Labelling.objects.filter(
            label=label, participant__conversation=models.OuterRef("pk")
        )
        return self.filter(models.Exists(marks))

    def newest_first(self) -> Self:
        return self.order_by("-active_at", "-pk")

    def with_writing(self) -> Self:
        """Adds `is_writing`: an answer is queued or running."""
        from conversations.models.generations import OPEN, Generation

        running = Generation.objects.filter(conversation=models.OuterRef("pk"), state__in=OPEN)
        return self.annotate(is_writing=models.Exists(running))

    def with_last_state(self) -> Self:
        """Adds `is_writing` and `last_state`, how the newest answer ended that is the head, or of
        which the head is a copy; where the head is a message of somebody's, the newest answer at
        all."""
        from conversations.models.generations import Generation

        newest = Generation.objects.filter(conversation=models.OuterRef("pk")).order_by("-pk")
        head = newest.filter(choices__message=models.OuterRef("head"))
        own, any_last = (models.Subquery(one.values("state")[:1]) for one in (head, newest))
        last = Coalesce(own, models.F("head__copied_generation__state"), any_last)
        return self.with_writing().annotate(last_state=last)

    def with_turn_due(self) -> Self:
        """A turn waits there, nothing is being written, and the answer that it will follow has
        ended well or was stopped."""
        from conversations.models.generations import State
        from conversations.models.queue import QueuedTurn

        waits = QueuedTurn.objects.sendable().values("conversation")
        return (
            self.filter(pk__in=waits, deleted_at=None)
            .with_last_state()
            .filter(is_writing=False, last_state__in=(State.DONE, State.STOPPED))
        )

    def held_up(self) -> Self:
        """The answer that the next turn would follow failed or was interrupted, so people decide:
        a wrong key would fail all that wait."""
        from conversations.models.generations import BROKE_OFF

        return self.with_last_state().filter(is_writing=False, last_state__in=BROKE_OFF)

    def for_each_participant(self) -> Self:
        """Each as often as it has participants, in the order in which they came: their public id
        is its `reader`, who is there as `reader_role`, and called `reader_name`, `reader_email`.
        """
        return self.annotate(
            reader=models.F("participants__user__public_id"),
            reader_role=models.F("participants__role"),
            reader_name=models.F("participants__user__name"),
            reader_email=models.F("participants__user__email"),
        ).order_by("participants__joined_at", "participants__pk")

    def with_faces(self, most: int) -> Self:
        """Adds `faces`: the first of the people in each, in one query for all of them."""
        first = Participant.objects.listed()[:most]
        return self.prefetch_related(models.Prefetch("participants", first, to_attr="first"))

    def with_attention(self) -> Self:
        """Of rows that were joined with a participant, by one of the two above: adds the person's
        `is_muted`, how much is `unread`, whether it calls them by name (`is_mentioned`), and
        whether labels of theirs are on it (`is_labelled`).

        A message is news as of the revision that brought it, or at which it was answered; one's
        own are none. Only so many revisions are looked back: beyond, the number is as high.
        """
        from conversations.models.labels import Labelling
        from conversations.models.messages import Mention, Message

        told = self.annotate(
            reader_id=models.F("participants__user_id"),
            is_muted=models.F("participants__is_muted"),
            read_up_to=Greatest(
                models.F("participants__read_revision"),
                models.F("revision") - LOOKED_BACK,
            ),
        )
        news = Message.objects.filter(
            conversation=models.OuterRef("pk"),
            news__gt=models.OuterRef("read_up_to"),
            deleted_at=None,
        ).exclude(author=models.OuterRef("reader_id"))
        number = news.order_by().values("conversation").annotate(n=models.Count("pk")).values("n")
        called = Mention.objects.filter(
            user=models.OuterRef("reader_id"),
            message__conversation=models.OuterRef("pk"),
            message__news__gt=models.OuterRef("read_up_to"),
            message__deleted_at=None,
        )
        marks = Labelling.objects.filter(participant=models.OuterRef("participants"))
        return told.annotate(
            unread=Coalesce(models.Subquery(number), 0),
            is_mentioned=models.Exists(called),
            is_labelled=models.Exists(marks),
        )


class Answers(models.TextChoices):
    """When the assistant answers."""

    EVERY = "every", _("Every message")
    CALLED = "called", _("Only when called with @assistant")


class Conversation(models.Model):
    """What people and a model share: a tree of messages, of which all see the branch to `head`."""

    public_id = models.CharField(
        _("id"), max_length=20, unique=True, default=public_id, editable=False
    )
    title = models.CharField(_("title"), max_length=120, blank=True)
    # False keeps a title that was made from the first message open to a better one.
    is_named = models.BooleanField(default=False)
    model = models.CharField(_("model"), max_length=200)
    system_prompt = models.TextField(_("system prompt"), blank=True)
    # temperature, top_p, max_tokens, stop: only what differs from the model's defaults.
    parameters = models.JSONField(default=dict)
    answers = models.CharField(max_length=6, choices=Answers, default=Answers.EVERY)
    head: "models.ForeignKey[Message | None, Message | None]" = models.ForeignKey(
        "conversations.Message", models.SET_NULL, null=True, related_name="+"
    )
    # Of a private fork: what it branched off from, and after which message there.
    forked_from: "models.ForeignKey[Conversation | None, Conversation | None]" = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="forks"
    )
    forked_at: "models.ForeignKey[Message | None, Message | None]" = models.ForeignKey(
        "conversations.Message", models.SET_NULL, null=True, related_name="+"
    )
    # Counts every change that a page shows; a page that sees a jump knows that it missed one.
    revision = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(_("begun"), default=timezone.now)
    active_at = models.DateTimeField(_("last activity"), default=timezone.now)
    deleted_at = models.DateTimeField(_("deleted"), null=True)

    objects = ConversationQuerySet.as_manager()

    # Set by for_each_participant, the role by shared_with too, and `first` by with_faces.
    reader: str
    reader_role: str
    reader_name: str
    reader_email: str
    first: "list[Participant]"
    reader_id: int  # this and the next by with_attention
    is_muted: bool
    unread: int
    is_mentioned: bool
    is_labelled: bool
    is_writing: bool  # by with_writing
    labels: "tuple[Label, ...]" = ()  # by Label.objects.put_on

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        # The operators' list, newest first. (A sidebar sorts what one person takes part in.)
        indexes = [models.Index("active_at", "id", name="conversation_by_activity")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def faces(self) -> list[User]:
        return [participant.user for participant in self.first]


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    EDITOR = "editor", _("editor")
    VIEWER = "viewer", _("viewer")


# Who may send, stop and branch.
WRITING = (Role.OWNER, Role.EDITOR)


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def listed(self) -> Self:
        """With their people, in the order in which they came."""
        return self.select_related("user").order_by("joined_at", "pk")


class Participant(models.Model):
    """A person in a conversation, with a role."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participants")
    user = models.ForeignKey(User, models.CASCADE, related_name="participations")
    role = models.CharField(max_length=8, choices=Role)
    joined_at = models.DateTimeField(default=timezone.now)
    # The team with which the person was invited: its later members are not in by themselves.
    via_team = models.ForeignKey(Team, models.SET_NULL, null=True, related_name="+")
    # The revision up to which the person has seen everything.
    read_revision = models.PositiveBigIntegerField(default=0)
    is_muted = models.BooleanField(default=False)

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "user"], name="once_in_a_conversation"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"
