"""Branching off for oneself: a conversation of one's own that begins as another one's branch.

Refused
├── NothingToFork    there is no message, or it is a note
├── TooManyForks     the person made as many within the hour as one may
├── StillWriting     see copies
└── TooMuchToCopy    see copies
"""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations import audit
from conversations.actions import conversations, copies
from conversations.actions.refusals import Refused
from conversations.models import (
    AuditEntry,
    Conversation,
    Kind,
    Message,
    Outcome,
    Participant,
    Role,
    User,
)

FORKED = "conversation.forked"
WITHIN = timedelta(hours=1)


class NothingToFork(Refused):
    def __init__(self) -> None:
        super().__init__(_("Nothing was said here yet from where one could go on."))


class TooManyForks(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(
            ngettext(
                "You have made %(n)d fork within an hour, which is as many as one person may. "
                "Wait a while, then fork again.",
                "You have made %(n)d forks within an hour, which is as many as one person may. "
                "Wait a while, then fork again.",
                most,
            )
            % {"n": most}
        )


def fork(*, conversation: Conversation, actor: User, at: Message | None) -> Conversation:
    """The actor's alone, with the branch up to this message, and the same model, system prompt and
    parameters. Who forks there again, before saying anything in the fork, gets the same one.

    Raises RightLost, TooManyForks, StillWriting, TooMuchToCopy; NothingToFork without a message, or
    for a note.
    """
    if at is None or at.kind == Kind.NOTE:
        raise NothingToFork
    with audit.action(actor, FORKED, conversation, at=at.public_id) as act:
        original = conversations.locked_to_write(conversation, actor)
        if untouched := _untouched(at, actor):
            act.verb = "conversation.fork_opened"
            return untouched
        _check_pace(actor)
        articles = copies.turns_of(Message.objects.branch_to(at.pk))
        fork = _begin(original, actor, at)
        head = copies.put(articles, into=fork, below=None)
        conversations.changed(fork, head=head)
        conversations.tell_rows(fork, moves=True)
    return fork


def _check_pace(actor: User) -> None:
    """Raises TooManyForks. By the audit trail, from which nothing goes: whoever deletes forks, or
    hands them over and leaves, has made them all the same. Inside the caller's transaction: they
    may be forking another conversation at this moment."""
    conversations.lock_person(actor)
    since = timezone.now() - WITHIN
    made = AuditEntry.objects.filter(actor=actor, verb=FORKED, outcome=Outcome.DONE, at__gt=since)
    if made.count() >= settings.FORKS_PER_PERSON:
        raise TooManyForks(settings.FORKS_PER_PERSON)


def _begin(original: Conversation, actor: User, at: Message) -> Conversation:
    fork = Conversation.objects.create(
        title=_title(original),
        is_named=original.is_named,
        model=original.model,
        system_prompt=original.system_prompt,
        parameters=original.parameters,
        forked_from=original,
        forked_at=at,
    )
    Participant.objects.create(conversation=fork, user=actor, role=Role.OWNER)
    audit.record(actor, "conversation.started", fork, model=fork.model)
    return fork


def _untouched(at: Message, actor: User) -> Conversation | None:
    """Pressed twice, or come back to: nothing was said there, and `at` says what it said then."""
    forks = Conversation.objects.filter(
        forked_at=at,
        deleted_at=None,
        head__copied_from=at,
        head__text=at.text,
        participants__user=actor,
        participants__role=Role.OWNER,
    )
    return forks.order_by("-pk").first()


def _title(original: Conversation) -> str:
    if original.forked_from_id is not None or not original.title:
        return original.title  # says so already, or nothing
    mark = _("%(title)s (fork)")
    room = settings.TITLE_MAX_CHARS - len(mark % {"title": ""})
    return mark % {"title": original.title[:room]}
