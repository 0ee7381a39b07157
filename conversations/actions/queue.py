"""Turns that wait for the answer before them: queued, changed, put in order, sent.

Whatever changes a queue holds the lock of its conversation, so that a turn is moved, withdrawn or
sent by one at a time. Turns are sent in their order; whose author may not write any more is passed
over. A turn that is held by what its author or the conversation lacks holds those behind it.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from conversations import audit, catalogue, markdown
from conversations.actions import asking, conversations, generations, mentions, turns
from conversations.actions.asking import ONE, Asked
from conversations.actions.refusals import (
    MayNotWrite,
    ModelNotForYou,
    NoModel,
    OverBudget,
    QueueFull,
    Refused,
    SentElsewhere,
    TooManyAnswers,
    TurnGone,
    TurnRunning,
)
from conversations.actions.turns import Said, Sent, Written
from conversations.models import Conversation, Generation, Held, Message, QueuedTurn, User

REASONS: dict[type[Refused], Held] = {
    TooManyAnswers: Held.TOO_MANY,
    NoModel: Held.NO_MODEL,
    ModelNotForYou: Held.NOT_FOR_AUTHOR,
    OverBudget: Held.OVER_BUDGET,
}
SWEPT_AT_ONCE = 50


def send(
    *,
    conversation: Conversation,
    author: User,
    text: str,
    request_id: UUID,
    asked: Asked = ONE,
    scope: dict[str, Any] | None = None,
) -> Sent | Said | QueuedTurn:
    """Begins a turn, or queues it where an answer runs or others wait already. The same request id
    gives the same message or turn again, whoever was faster. `scope` as of a message: the model
    never sees more than the branch to the question, whatever it names.

    Raises QueueFull, SentElsewhere or what refuses an answer.
    """
    sent = _sent_before(author, request_id)
    if sent is None:
        # A long text takes a while, and others wait for the lock.
        html = mentions.render(text, conversation)
        written = Written(text, html, request_id=request_id, scope=scope or {})
        try:
            with audit.action(author, "message.sent", conversation) as act:
                row = conversations.locked_to_write(conversation, author)
                if not _is_busy(row):
                    return turns.put(row, author, written, asked=asked)
                act.verb = "turn.queued"
                return _add(row, author, written, asked)
        except IntegrityError:
            sent = _sent_before(author, request_id)
            if sent is None:
                raise TurnRunning from None
    if _where(sent) != conversation.pk:
        raise SentElsewhere  # where the author may have no access any more
    return sent


def edit(*, turn: QueuedTurn, actor: User, text: str) -> None:
    """Raises TurnGone or RightLost."""
    html = mentions.render(text, turn.conversation)
    with audit.action(actor, "turn.edited", turn.conversation, turn=turn.public_id):
        row = conversations.locked_to_write(turn.conversation, actor)
        changes: dict[str, Any] = {"html": html, "html_version": markdown.RENDERER_VERSION}
        changes |= {"text": text, "edited_at": timezone.now()}
        if not QueuedTurn.objects.filter(pk=turn.pk).update(**changes):
            raise TurnGone
        conversations.queue_changed(row)


def withdraw(*, turn: QueuedTurn, actor: User) -> None:
    """Raises TurnGone."""
    with audit.action(actor, "turn.withdrawn", turn.conversation, turn=turn.public_id):
        row = conversations.locked(turn.conversation)
        _take_out(turn)
        conversations.queue_changed(row)


def move(*, turn: QueuedTurn, actor: User, beside: str, after: bool) -> None:
    """Puts it before or after the turn with that public id: done twice, it is where it was put.

    Raises NotAnOwner, and TurnGone where one of the two is not there any more.
    """
    with audit.action(actor, "turn.moved", turn.conversation, turn=turn.public_id):
        row = conversations.locked_to_own(turn.conversation, actor)
        line = list(QueuedTurn.objects.filter(conversation=row).in_line().only("public_id"))
        names = [one.public_id for one in line]
        if turn.public_id not in names or beside not in names or beside == turn.public_id:
            raise TurnGone
        moved = line.pop(names.index(turn.public_id))
        names.remove(turn.public_id)
        line.insert(names.index(beside) + after, moved)
        for place, one in enumerate(line, 1):
            QueuedTurn.objects.filter(pk=one.pk).update(place=place, held="", tried_at=None)
        conversations.queue_changed(row)


def send_now(*, turn: QueuedTurn, actor: User) -> None:
    """Stops the answers that run and goes on with this turn; all or nothing.

    Raises TurnGone, TurnRunning where somebody else's turn began at this moment, RightLost,
    MayNotWrite of another's turn, or what refuses an answer.
    """
    with audit.action(actor, "turn.sent_now", turn.conversation, turn=turn.public_id):
        # All their rows are locked before the conversation's, as by what ends an answer.
        running = Generation.objects.open().filter(conversation=turn.conversation)
        locked = list(running.order_by("pk").select_for_update())
        conversations.locked(turn.conversation)
        # Before what stopping gives back to budgets, whose locks come last.
        conversations.lock_person(turn.author)
        for generation in locked:
            generations.stop(generation=generation, actor=actor)
        row = conversations.locked_to_write(turn.conversation, actor)
        there = QueuedTurn.objects.with_writing_author().select_related("author")
        now = there.filter(pk=turn.pk).first()
        if now is None:
            raise TurnGone
        if not now.author_writes:
            raise MayNotWrite(now.author.display_name)
        _hand_over(row, now)


def send_next(*, conversation: Conversation, actor: User) -> None:
    """Goes on although the last answer broke off.

    Raises RightLost, TurnGone where nothing waits that may be sent, TurnRunning, or what
    refuses an answer.
    """
    with audit.action(actor, "queue.sent_next", conversation):
        row = conversations.locked_to_write(conversation, actor)
        if (turn := _next(row)) is None:
            raise TurnGone
        _hand_over(row, turn)


def sweep() -> int:
    """Sends the next turn wherever nothing is in its way: after an answer has ended, and whatever
    a process left that died between the two. How many were sent."""
    if not QueuedTurn.objects.exists():
        return 0  # nearly always
    # In no order: those that are held must not keep the others from their turn.
    due = Conversation.objects.with_turn_due().order_by("?")[:SWEPT_AT_ONCE]
    sent = 0
    for conversation in due:
        while _advance(conversation):  # on, over those that ask for no answer
            sent += 1
    return sent


def _advance(conversation: Conversation) -> bool:
    if (turn := _next(conversation)) is None or _was_just_held(turn):
        return False
    try:
        if turns.calls_assistant(conversation, turn.text):  # nothing is written where it is refused
            names = _asked(turn).models(conversation.model)
            asking.models_now(conversation, turn.author, names)
        with transaction.atomic():
            row = conversations.locked(conversation)
            due = Conversation.objects.with_turn_due().filter(pk=row.pk).exists()
            first = _next(row) if due else None
            if first is None:
                return False
            _hand_over(row, first)
    except (TooManyAnswers, NoModel, ModelNotForYou, OverBudget) as refused:
        _hold(conversation, turn, REASONS[type(refused)])
        return False
    except (TurnRunning, IntegrityError):  # somebody's turn began at this moment
        return False
    return True


def _hold(conversation: Conversation, turn: QueuedTurn, why: Held) -> None:
    """It stays where it is and says why; later sweeps try again."""
    with transaction.atomic():
        row = conversations.locked(conversation)
        there = QueuedTurn.objects.filter(pk=turn.pk)
        is_news = there.exclude(held=why).exists()
        there.update(held=why, tried_at=timezone.now())
        if is_news:
            conversations.queue_changed(row)


def _was_just_held(turn: QueuedTurn) -> bool:
    """By whichever clock: one that goes ahead of ours holds nothing up."""
    if turn.tried_at is None:
        return False
    since = abs((timezone.now() - turn.tried_at).total_seconds())
    return since < settings.QUEUE_RETRY_SECONDS


def _hand_over(conversation: Conversation, turn: QueuedTurn) -> None:
    """The turn becomes a message of the thread, under the lock and in one transaction."""
    if Generation.objects.open().filter(conversation=conversation).exists():
        raise TurnRunning
    _take_out(turn)
    conversations.queue_changed(conversation)
    mine = Message.objects.filter(author=turn.author, request_id=turn.request_id)
    if mine.exists():
        return  # the same request was sent in another conversation, at the same moment
    written = Written(
        turn.text,
        turn.html,
        request_id=turn.request_id,
        scope=turn.scope,
        html_version=turn.html_version,
        public_id=turn.public_id,
    )
    turns.put(conversation, turn.author, written, asked=_asked(turn))
    audit.record(turn.author, "message.sent", conversation, queued=True)


def _asked(turn: QueuedTurn) -> Asked:
    """Without other models that are not offered any more: what remains can be answered."""
    also = (name for name in turn.also if catalogue.find_for(turn.author, name))
    return Asked(turn.answers, tuple(also))


def _where(sent: Sent | Said | QueuedTurn) -> int:
    match sent:
        case QueuedTurn():
            return sent.conversation_id
        case _:
            return sent.first.conversation_id


def _take_out(turn: QueuedTurn) -> None:
    deleted, _each = QueuedTurn.objects.filter(pk=turn.pk).delete()
    if not deleted:
        raise TurnGone


def _next(conversation: Conversation) -> QueuedTurn | None:
    turns = QueuedTurn.objects.sendable().filter(conversation=conversation)
    return turns.in_line().select_related("author").first()


def _is_busy(conversation: Conversation) -> bool:
    """An answer runs, or others wait; asked under the lock."""
    waiting = QueuedTurn.objects.filter(conversation=conversation).values("pk")
    running = Generation.objects.open().filter(conversation=conversation).values("pk")
    return bool(waiting.union(running)[:1])


def _add(conversation: Conversation, author: User, written: Written, asked: Asked) -> QueuedTurn:
    if Message.objects.filter(author=author, request_id=written.request_id).exists():
        raise IntegrityError  # it went from the queue to the thread at this moment
    line = list(QueuedTurn.objects.filter(conversation=conversation).values("place", "author_id"))
    if len(line) >= settings.QUEUE_PER_CONVERSATION:
        raise QueueFull(settings.QUEUE_PER_CONVERSATION, own=False)
    if sum(one["author_id"] == author.pk for one in line) >= settings.QUEUE_PER_PERSON:
        raise QueueFull(settings.QUEUE_PER_PERSON, own=True)
    turn = QueuedTurn.objects.create(
        conversation=conversation,
        author=author,
        place=max((one["place"] for one in line), default=0) + 1,
        text=written.text,
        html=written.html,
        scope=written.scope,
        html_version=written.html_version,
        request_id=written.request_id,
        public_id=written.public_id,
        answers=asked.answers,
        also=list(asked.also),
    )
    conversations.queue_changed(conversation)
    return turn


def _sent_before(author: User, request_id: UUID) -> Sent | Said | QueuedTurn | None:
    """Where it is now: a turn that moves between the two looks is found at the second."""
    turn = QueuedTurn.objects.filter(author=author, request_id=request_id).first()
    return turn or turns.before(author, request_id)
