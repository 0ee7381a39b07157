"""Starting, naming, setting up, deleting and restoring conversations."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations import access, audit, events, fragments
from conversations.actions import decisions, history
from conversations.actions.refusals import NotAnOwner, NothingToAnswer, RightLost, TurnRunning
from conversations.models import (
    Answers,
    Conversation,
    Generation,
    Kind,
    Label,
    Message,
    Offer,
    OfferState,
    QueuedTurn,
    RightsChange,
    User,
    What,
)

OF_A_ROW = ("public_id", "title", "active_at", "revision")


def changed(conversation: Conversation, *, active: bool = False, **columns: Any) -> int:
    """Makes and counts a change that pages show, inside the caller's transaction; the new
    revision."""
    if active:
        columns["active_at"] = timezone.now()
    row = Conversation.objects.filter(pk=conversation.pk)
    row.update(revision=F("revision") + 1, **columns)
    for name, value in columns.items():
        setattr(conversation, name, value)
    conversation.revision = row.values_list("revision", flat=True).get()
    return conversation.revision


def locked(conversation: Conversation) -> Conversation:
    """The same row as it is now; it stays so until the caller's transaction ends."""
    return Conversation.objects.select_for_update().get(pk=conversation.pk)


def locked_to_write(conversation: Conversation, actor: User) -> Conversation:
    """The same, for somebody who may still write there: whoever removed them a moment ago had this
    lock before. Raises RightLost."""
    row = locked(conversation)
    if not access.may(actor, row, to="write"):
        raise RightLost
    return row


def locked_to_own(conversation: Conversation, actor: User) -> Conversation:
    """The same for owners: one change of participants at a time, and who is an owner stays one; two
    who demote each other at once would leave none. Raises NotAnOwner."""
    row = locked(conversation)
    if not access.may(actor, row, to="own"):
        raise NotAnOwner
    return row


def lock_person(person: User) -> None:
    """One change at a time of what is counted for a person, wherever they make it; inside the
    caller's transaction. Where that locks a conversation too, that comes first."""
    User.objects.select_for_update(no_key=True).only("pk").get(pk=person.pk)


def tell_rows(
    conversation: Conversation,
    *,
    moves: bool,
    to: Collection[int] | None = None,
    notices: Mapping[int, str] | None = None,
) -> None:
    """On commit, every participant's sidebar gets the conversation's row, or those of the people
    `to` alone. `notices` are for who looks elsewhere and has not muted it. People by their keys.
    """

    def tell() -> None:
        # Not where it is deleted: an answer that ends unseen brings no row back.
        there = Conversation.objects.filter(pk=conversation.pk, deleted_at=None).only(*OF_A_ROW)
        if to is not None:
            there = there.filter(participants__user__in=to)
        rows = list(there.with_writing().for_each_participant().with_attention())
        Label.objects.put_on(rows)
        faces = fragments.faces_of(conversation) if to is not None else fragments.faces_in(rows)
        looks: dict[tuple[object, ...], str] = {}  # few, however many people
        for row in rows:
            look = (row.reader_role, row.unread, row.is_mentioned, row.is_muted, row.labels)
            html = looks[look] = looks.get(look) or fragments.row(row, faces)
            events.tell(events.RowChanged(row.reader, row.public_id, html, moves))
            if (text := (notices or {}).get(row.reader_id)) and not row.is_muted:
                events.tell(events.Notice(row.reader, row.public_id, row.title, text))

    transaction.on_commit(tell, robust=True)


def queue_changed(conversation: Conversation, *, active: bool = False) -> None:
    """Counts it as a change of its own, so that a page that misses it notices; on commit all who
    watch get the queue as it stands, with the branches that are offered."""
    revision = changed(conversation, active=active)

    def tell() -> None:
        html = fragments.queue(conversation)
        events.tell(events.QueueChanged(conversation.public_id, revision, html))

    transaction.on_commit(tell, robust=True)


def answer_ended(conversation: Conversation) -> None:
    """How the answer ended that the next turn follows decides whether the queue goes on."""
    if QueuedTurn.objects.filter(conversation=conversation).exists():
        queue_changed(conversation)


def tell_changed(conversation: Conversation, revision: int) -> None:
    events.on_commit(events.ThreadChanged(conversation.public_id, revision))


def rename(*, conversation: Conversation, actor: User, title: str) -> None:
    """Raises RightLost."""
    with audit.action(actor, "conversation.renamed", conversation):
        row = locked_to_write(conversation, actor)
        if title != row.title:
            history.note(conversation, actor, What.TITLE, before=row.title, after=title)
        tell_changed(conversation, changed(conversation, title=title, is_named=True))
        tell_rows(conversation, moves=False)


def configure(
    *,
    conversation: Conversation,
    actor: User,
    model: str,
    parameters: dict[str, Any],
    system_prompt: str,
    answers: Answers | None = None,
) -> None:
    """Sets what the next turns are asked with; without `answers` that stays as it is.

    Raises RightLost.
    """
    told = {name: value for name, value in parameters.items() if name != "stop"}  # people's words
    with audit.action(actor, "conversation.configured", conversation, model=model, parameters=told):
        row = locked_to_write(conversation, actor)
        for what, before, after in (
            (What.MODEL, row.model, model),
            (What.PROMPT, row.system_prompt, system_prompt),
            (What.PARAMETERS, row.parameters, parameters),
            (What.ANSWERS, row.answers, answers or row.answers),
        ):
            if before != after:
                history.note(conversation, actor, what, before=before, after=after)
        revision = changed(
            conversation,
            model=model,
            parameters=parameters,
            system_prompt=system_prompt,
            answers=answers or row.answers,
        )
        tell_changed(conversation, revision)


def choose_head(*, conversation: Conversation, actor: User, message: Message) -> None:
    """Makes the branch through this message, down to its newest leaf, the one that all see. Of
    drafts of which none was chosen so far it chooses this one.

    Raises RightLost; TurnRunning: an answer that is being written must not leave everybody's sight;
    and NothingToAnswer for a note, which is in no branch.
    """
    if message.kind == Kind.NOTE:
        raise NothingToAnswer
    with audit.action(actor, "conversation.branch_chosen", conversation, through=message.public_id):
        # Locked as for sending: a question put under the leaf meanwhile would vanish from view.
        locked_to_write(conversation, actor)
        if Generation.objects.open().filter(conversation=conversation).exists():
            raise TurnRunning
        leaf = Message.objects.newest_leaf_below(message.pk)
        if (draft := decisions.undecided(message)) is not None:
            decisions.choose(draft, conversation, actor)
        tell_changed(conversation, changed(conversation, head=leaf))
        answer_ended(conversation)


def delete(*, conversation: Conversation, actor: User) -> None:
    """Hides it from everybody; an answer that is being written is finished unseen.

    Raises NotAnOwner.
    """
    with audit.action(actor, "conversation.deleted", conversation):
        lock_where_offered(conversation)
        locked_to_own(conversation, actor)
        hide(conversation)


def hide(conversation: Conversation) -> None:
    """From all who take part, inside the caller's transaction, with the conversation locked."""
    changed(conversation, deleted_at=timezone.now())
    if offered_to := lock_where_offered(conversation):
        queue_changed(offered_to)
    for participant in conversation.participants.select_related("user"):
        RightsChange.objects.create(user=participant.user, conversation=conversation)
        gone = events.ConversationGone(participant.user.public_id, conversation.public_id)
        events.on_commit(gone)


def restore(*, conversation: Conversation, actor: User) -> None:
    with audit.action(actor, "conversation.restored", conversation):
        offered_to = lock_where_offered(conversation)
        changed(conversation, deleted_at=None)
        if offered_to:
            queue_changed(offered_to)
        tell_rows(conversation, moves=False)


def lock_where_offered(fork: Conversation) -> Conversation | None:
    """Where its branch is shown to others and is gone with it: locked, as always before a fork."""
    offer = Offer.objects.filter(fork=fork, state=OfferState.OPEN).first()
    return locked(offer.conversation) if offer else None
