"""Messages: the nodes of a conversation's tree."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations import markdown
from conversations.models.conversations import Conversation
from conversations.models.ids import public_id
from conversations.models.people import User

if TYPE_CHECKING:
    from conversations.models.generations import Generation

BRANCH = """
    WITH RECURSIVE branch(id, parent_id) AS (
        SELECT id, parent_id FROM conversations_message WHERE id = %s
        UNION ALL
        SELECT message.id, message.parent_id
        FROM conversations_message AS message JOIN branch ON message.id = branch.parent_id
    )
    SELECT id FROM branch LIMIT %s
"""

# Notes are no links of a branch: they hang beside it, under what they were written about.
BRANCH_AND_NOTES = """
    WITH RECURSIVE branch(id, parent_id) AS (
        SELECT id, parent_id FROM conversations_message WHERE id = %s
        UNION ALL
        SELECT message.id, message.parent_id
        FROM conversations_message AS message JOIN branch ON message.id = branch.parent_id
    ), part(id) AS (SELECT id FROM branch LIMIT %s)
    SELECT id FROM part
    UNION ALL
    SELECT note.id FROM conversations_message AS note JOIN part ON note.parent_id = part.id
    WHERE note.kind = 'note'
"""

NEWEST = """
    WITH RECURSIVE newest(id, steps) AS (
        SELECT CAST(%s AS bigint), 0
        UNION ALL
        SELECT (
            SELECT MAX(message.id) FROM conversations_message AS message
            WHERE message.parent_id = newest.id AND message.deleted_at IS NULL
                AND message.kind <> 'note'
        ), steps + 1
        FROM newest WHERE newest.id IS NOT NULL
    )
    SELECT id FROM newest WHERE id IS NOT NULL ORDER BY steps DESC LIMIT 1
"""


TEXTS = ("text", "reasoning", "html", "html_version")


class Author(models.TextChoices):
    """Who speaks, in the words of the completions API."""

    SYSTEM = "system", _("system")
    USER = "user", _("person")
    ASSISTANT = "assistant", _("assistant")


class Kind(models.TextChoices):
    TURN = "turn", _("turn")
    NOTE = "note", _("note")  # for the people only: never sent upstream


class MessageQuerySet(models.QuerySet["Message"]):
    def branch_to(
        self, message_id: int | None, *, most: int = 1_000_000, with_notes: bool = False
    ) -> Self:
        """The path from the root to this message, oldest first; the last `most` of it. Notes, which
        do not count among these, come after what they were written under."""
        if message_id is None:
            return self.none()
        sql = BRANCH_AND_NOTES if with_notes else BRANCH
        path = models.expressions.RawSQL(sql, [message_id, most])  # noqa: S611 constant, bound
        # A note is as deep as the turn that follows it: "note" comes before "turn".
        return self.filter(id__in=path).order_by("depth", "kind", "pk")

    def within(self, scope: dict[str, Any]) -> Self:
        """Of a branch, what a scope leaves of it."""
        return self.filter(_within(self, scope))

    def seen_with(self, question: "Message") -> Self:
        """Of the branch to a question, what the model is to see of it; the question always."""
        if not question.scope:
            return self
        return self.filter(_within(self, question.scope) | models.Q(pk=question.pk))

    def newest_leaf_below(self, message_id: int) -> "Message":
        """Down from this message, at each fork the newest way; in one query however deep."""
        leaf = models.expressions.RawSQL(NEWEST, [message_id])  # noqa: S611 constant, bound
        return self.get(id=leaf)

    def for_thread(self) -> Self:
        """With all that the thread shows of a message."""
        from conversations.models.generations import Choice

        choices = Choice.objects.select_related("generation__stopped_by").defer(
            # Names every message of the branch, for each message of the branch.
            "generation__request",
            "generation__error_detail",
        )
        return (
            self.select_related("author", "parent", "copied_generation__stopped_by")
            .defer("parent__text", "parent__html", "parent__reasoning")
            .defer("copied_generation__request", "copied_generation__error_detail")
            .prefetch_related(
                models.Prefetch("choices", choices),
                models.Prefetch("parent__children", Message.objects.beside(), to_attr="replies"),
            )
        )

    def read_for_thread(self) -> list["Message"]:
        """The same as a list, with the texts read last. An answer that ends between the queries
        then shows its last words under an older state, which the page corrects; the other way
        round it would show a final state over half a text, and nothing would follow."""
        rows = list(self.for_thread().defer(*TEXTS))
        wanted = Message.objects.filter(pk__in=[row.pk for row in rows])
        texts = {pk: texts for pk, *texts in wanted.values_list("pk", *TEXTS)}
        for row in rows:
            for name, text in zip(TEXTS, texts[row.pk], strict=True):
                setattr(row, name, text)
            if row.parent_id is None:
                first = Message.objects.filter(conversation=row.conversation_id, parent=None)
                row.firsts = list(first.beside())
        return rows

    def beside(self) -> Self:
        """As much of messages as their neighbours show, oldest first."""
        return (
            self.filter(kind=Kind.TURN, deleted_at=None)
            .only("public_id", "parent", "role")
            .order_by("pk")
        )


def _within(branch: MessageQuerySet, scope: dict[str, Any]) -> models.Q:
    match scope:
        case {"only": names}:
            return models.Q(public_id__in=names)
        case {"from": name}:
            # Nothing is at or below a message that is not on this branch.
            first = branch.filter(public_id=name).values("depth")[:1]
            return models.Q(depth__gte=models.Subquery(first))
    return models.Q()


class Message(models.Model):
    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    # Without an index of its own: PostgreSQL would take it in the place of `message_by_news`.
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="messages", db_index=False
    )
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    # Steps from the root: orders a branch without walking it.
    depth = models.PositiveIntegerField(default=0)
    role = models.CharField(max_length=9, choices=Author)
    kind = models.CharField(max_length=4, choices=Kind, default=Kind.TURN)
    author = models.ForeignKey(User, models.SET_NULL, null=True, related_name="messages")
    text = models.TextField(blank=True)
    # What a model thought aloud: shown folded, never sent back.
    reasoning = models.TextField(blank=True)
    # A cache of markdown.render(text), good while the version is the renderer's.
    html = models.TextField(blank=True)
    html_version = models.PositiveIntegerField(default=0)
    # Of a question: what the model sees of the branch before it. {} is all of it; {"from": public
    # id} from that message on; {"only": [public ids]}. With it, as the question was put, "seen" of
    # how many ("of").
    scope = models.JSONField(default=dict, db_default={})
    # Made by the page that sent it: sending twice makes one message.
    request_id = models.UUIDField(null=True)
    # The conversation's revision that made it known: as it was sent, or an answer's end. 0 while it
    # is being written, and of what is older than this column: unread by nobody.
    news = models.PositiveBigIntegerField(default=0)
    # Of a message that came along with a fork, or with a branch that was taken.
    copied_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="+", db_index=False
    )
    # What wrote the answer that this one is a copy of: how it ended is shown here too.
    copied_generation: "models.ForeignKey[Generation | None, Generation | None]" = (
        models.ForeignKey(
            "conversations.Generation",
            models.SET_NULL,
            null=True,
            related_name="+",
            db_index=False,
        )
    )
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    objects = MessageQuerySet.as_manager()

    # What follows it on all branches, and what begins the conversation as it does, oldest first;
    # set where a message is read for the thread.
    replies: "list[Message]"
    firsts: "list[Message] | None" = None
    # Set for readers of a share: where it stands among those in its place.
    ways: object = None

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(fields=["author", "request_id"], name="sent_once"),
        ]
        indexes = [
            # All of a conversation; and the number of unread ones, for each row of the sidebar.
            models.Index("conversation", "news", name="message_by_news"),
            # For the day when rows are deleted; most messages are no copies.
            models.Index(
                "copied_from",
                condition=models.Q(copied_from__isnull=False),
                name="message_copied_from",
            ),
            models.Index(
                "copied_generation",
                condition=models.Q(copied_generation__isnull=False),
                name="message_copied_generation",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def alternatives(self) -> int:
        """How many there are in its place: answers to one question, wordings of one question."""
        return len(self._beside)

    @property
    def alternative_number(self) -> int:
        """From 1."""
        return self._beside.index(self) + 1

    @property
    def previous_alternative(self) -> str | None:
        return self._neighbour(-1)

    @property
    def next_alternative(self) -> str | None:
        return self._neighbour(1)

    @cached_property
    def _beside(self) -> "list[Message]":
        """Those in its place, this one among them."""
        if self.kind == Kind.NOTE:
            return []
        replies = self.parent.replies if self.parent else self.firsts or [self]
        return [row for row in replies if row.role == self.role]

    def _neighbour(self, step: int) -> str | None:
        place = self._beside.index(self) + step
        return self._beside[place].public_id if 0 <= place < len(self._beside) else None

    @property
    def rendered(self) -> SafeString:
        if kept := markdown.trusted(self.html, self.html_version):
            return kept
        called = self.mentions.values_list("written", flat=True) if "@" in self.text else ()
        return markdown.render(self.text, names=called)


class Mention(models.Model):
    """Somebody was called by name in a message."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="mentions")
    # Sought from the few unread messages of a row, never from all that one was ever called in.
    user = models.ForeignKey(User, models.CASCADE, related_name="+", db_index=False)
    # As it stands there: to be marked again should the message be rendered anew.
    written = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="mentioned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.message}"


class MessageVersion(models.Model):
    """What a message said before somebody edited it."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="versions")
    text = models.TextField()
    replaced_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    replaced_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.message} until {self.replaced_at}"
