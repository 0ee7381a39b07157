"""Copies of a part of a branch, for a fork and for the way back.

Refused
├── StillWriting    an answer among them is not whole yet
└── TooMuchToCopy   they are more than one copies
"""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Sum
from django.db.models.functions import Length
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.actions.refusals import Refused
from conversations.fragments import Article
from conversations.models import Conversation, Kind, Mention, Message, MessageQuerySet

AT_ONCE = 200  # rows in one statement


class StillWriting(Refused):
    def __init__(self) -> None:
        super().__init__(_("An answer is being written. Wait for it or stop it first."))


class TooMuchToCopy(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(
            ngettext(
                "This is too long: at most %(n)d message is copied.",
                "This is too long: at most %(n)d messages are copied.",
                most,
            )
            % {"n": most}
        )


def turns_of(branch: MessageQuerySet, at: datetime | None = None) -> list[Article]:
    """What is copied of a branch, oldest first: no notes, and nothing that was deleted; as it was
    at a moment, or as it is. Raises StillWriting, and TooMuchToCopy before any text is read."""
    turns = branch.filter(kind=Kind.TURN, deleted_at=None)
    check(turns)
    rows = turns.for_thread().prefetch_related("versions")
    articles = [Article.as_it_was(row, at) if at else Article.of(row) for row in rows]
    if any(one.generation and not one.generation.settled_at for one in articles):
        raise StillWriting
    return articles


def check(turns: MessageQuerySet) -> None:
    """Raises TooMuchToCopy."""
    size = turns.aggregate(n=Count("pk"), characters=Sum(Length("text") + Length("reasoning")))
    if size["n"] > settings.FORK_MESSAGES or (size["characters"] or 0) > settings.PROMPT_MAX_CHARS:
        raise TooMuchToCopy(settings.FORK_MESSAGES)


def put(
    articles: Sequence[Article], *, into: Conversation, below: Message | None, news: int = 0
) -> Message:
    """Puts copies of them there, one under the other; the last of them. Authors and times stay, and
    `news` is the revision as of which they are unread. Inside the caller's transaction."""
    depth = below.depth + 1 if below else 0
    copies = [_copy(one, into, depth + step, news) for step, one in enumerate(articles)]
    _copy_scopes(articles, copies, below)
    Message.objects.bulk_create(copies, batch_size=AT_ONCE)
    parent = below
    for copy in copies:
        copy.parent, parent = parent, copy
    Message.objects.bulk_update(copies, ["parent"], batch_size=AT_ONCE)
    _copy_mentions(copies)
    return copies[-1]


def _copy(article: Article, into: Conversation, depth: int, news: int) -> Message:
    said = article.message
    return Message(
        conversation=into,
        depth=depth,
        role=said.role,
        author_id=said.author_id,
        text=said.text,
        reasoning=said.reasoning,
        html=said.html,
        html_version=said.html_version,
        created_at=said.created_at,
        news=news,
        copied_from=said,
        copied_generation=article.generation,
    )


def _copy_scopes(
    articles: Sequence[Article], copies: Sequence[Message], below: Message | None
) -> None:
    """What the copied questions were asked with, by the ids that they stand under now: asked again,
    they see what they saw. On the way back some of it was copied before, from there or to there."""
    scopes = [one.message.scope for one in articles if one.message.scope]
    if not scopes:
        return
    named = {name for scope in scopes for name in scope.get("only", [scope.get("from")])}
    from_there = Message.objects.filter(public_id__in=named).exclude(copied_from=None)
    names = dict(from_there.values_list("public_id", "copied_from__public_id"))
    above = Message.objects.branch_to(below.pk if below else None)
    to_there = above.filter(copied_from__public_id__in=named)
    names |= dict(to_there.values_list("copied_from__public_id", "public_id"))
    for one, copy in zip(articles, copies, strict=True):
        names[one.message.public_id] = copy.public_id
    for one, copy in zip(articles, copies, strict=True):
        match one.message.scope:
            case {"only": only} as scope:
                copy.scope = scope | {"only": [names.get(name, name) for name in only]}
            case {"from": first} as scope:
                copy.scope = scope | {"from": names.get(first, first)}


def _copy_mentions(copies: list[Message]) -> None:
    """Should they be rendered anew, the names in them stay marked."""
    copy_of = {copy.copied_from_id: copy for copy in copies if "@" in copy.text}
    called = Mention.objects.filter(message__in=copy_of)
    Mention.objects.bulk_create(
        Mention(message=copy_of[one.message_id], user_id=one.user_id, written=one.written)
        for one in called
    )
