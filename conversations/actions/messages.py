"""Messages of people: the first of a conversation, those that follow, and notes."""

import re
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from conversations import audit, markdown
from conversations.actions import conversations, mentions, turns
from conversations.actions.asking import ONE, Asked
from conversations.actions.refusals import NothingToAnswer, NotYours, SentElsewhere, TurnRunning
from conversations.actions.turns import Place, Said, Sent, Written
from conversations.models import (
    Author,
    Conversation,
    Generation,
    Kind,
    Participant,
    QueuedTurn,
    Role,
    User,
)

__all__ = ["Said", "Sent", "note", "send", "start", "title_from"]

_PAIRED_MARKS = re.compile(r"(\*{1,3}|`+|~~)(?=\S)(.+?)(?<=\S)\1")


def start(
    *,
    author: User,
    text: str,
    request_id: UUID,
    model: str,
    parameters: dict[str, Any],
    system_prompt: str,
    asked: Asked = ONE,
) -> Sent:
    """A new conversation with its first message, whose beginning becomes the title."""
    if sent := _question_before(author, request_id):
        return sent
    _refuse_queued(author, request_id)
    html = markdown.render(text)  # a long text takes a while, and others wait for the lock
    conversation = Conversation(
        title=title_from(text), model=model, parameters=parameters, system_prompt=system_prompt
    )
    try:
        with audit.action(author, "conversation.started", conversation, model=model):
            conversation.save()
            Participant.objects.create(conversation=conversation, user=author, role=Role.OWNER)
            written = Written(text, html, request_id=request_id)
            return turns.begin(conversation, author, written, asked=asked)
    except IntegrityError:
        return _sent_meanwhile(author, request_id)


def send(
    *,
    conversation: Conversation,
    author: User,
    text: str,
    request_id: UUID,
    asked: Asked = ONE,
) -> Sent:
    """Adds a question to the branch that all see, and queues what it asks for: now or not at all,
    see queue.send for what waits where it has to. The same request id gives the same message again,
    whoever was faster.

    Raises TurnRunning, TooManyAnswers, NoModel, RightLost or SentElsewhere.
    """
    sent = _question_before(author, request_id)
    if sent is None:
        _refuse_queued(author, request_id)
        html = mentions.render(text, conversation)
        try:
            with audit.action(author, "message.sent", conversation):
                # Locks the row on PostgreSQL, so that two senders do not answer the same head.
                row = conversations.locked_to_write(conversation, author)
                written = Written(text, html, request_id=request_id)
                return turns.begin(row, author, written, asked=asked)
        except IntegrityError:
            sent = _sent_meanwhile(author, request_id)
    if sent.question.conversation_id != conversation.pk:
        raise SentElsewhere  # where the author may have no access any more
    return sent


def branch(
    *,
    conversation: Conversation,
    author: User,
    text: str,
    request_id: UUID,
    place: Place,
    asked: Asked = ONE,
    scope: dict[str, Any] | None = None,
) -> Sent | Said:
    """Begins a branch, which becomes the one that all see: beside a question of the author's own,
    as its new wording, or below a message that is not the last. Otherwise as `send`; where the
    assistant waits to be called, what does not call it asks for no answer. `scope` as queue.send.

    Raises NotYours, NothingToAnswer, or what `send` raises.
    """
    instead, below = place.instead, place.below
    if instead is not None and (instead.author_id != author.pk or instead.role != Author.USER):
        raise NotYours
    if Kind.NOTE in {message.kind for message in (instead, below) if message is not None}:
        raise NothingToAnswer  # notes are in no branch
    sent = turns.before(author, request_id)
    if sent is None:
        _refuse_queued(author, request_id)
        html = mentions.render(text, conversation)
        try:
            with audit.action(author, "message.sent", conversation, **place.told()):
                row = conversations.locked_to_write(conversation, author)
                if Generation.objects.open().filter(conversation=row).exists():
                    raise TurnRunning  # what is being written must not leave everybody's sight
                written = Written(text, html, request_id=request_id, scope=scope or {})
                return turns.put(row, author, written, place, asked)
        except IntegrityError:
            sent = turns.before(author, request_id)
            if sent is None:
                raise TurnRunning from None
    if sent.first.conversation_id != conversation.pk or sent.first.kind != Kind.TURN:
        raise SentElsewhere
    return sent


def note(*, conversation: Conversation, author: User, text: str, request_id: UUID) -> Said:
    """For the people alone, at any time. The same request id gives the same note again.

    Raises NothingToNote, TooManyNotes or SentElsewhere.
    """
    said = turns.before(author, request_id)
    if said is None:
        _refuse_queued(author, request_id)
        html = mentions.render(text, conversation)
        try:
            with audit.action(author, "note.sent", conversation):
                row = conversations.locked_to_write(conversation, author)
                return turns.note(row, author, Written(text, html, request_id=request_id))
        except IntegrityError:
            said = turns.before(author, request_id)
    if (
        not isinstance(said, Said)
        or said.message.kind != Kind.NOTE
        or said.message.conversation_id != conversation.pk
    ):
        raise SentElsewhere
    return said


def title_from(text: str) -> str:
    """The first line, without the marks of Markdown, at most 60 characters, cut at a word."""
    lines = (_PAIRED_MARKS.sub(r"\2", line[:300]) for line in text.splitlines())
    line = next((bare for line in lines if (bare := line.strip(" #>*`-\t"))), "")
    line = " ".join(line.split())
    if len(line) <= 60:
        return line
    cut, space, _rest = line[:60].rpartition(" ")
    return f"{cut if space and len(cut) > 30 else line[:59]}…"


def _question_before(author: User, request_id: UUID) -> Sent | None:
    sent = turns.before(author, request_id)
    if isinstance(sent, Said):
        raise SentElsewhere  # as a message that asks for no answer
    return sent


def _refuse_queued(author: User, request_id: UUID) -> None:
    if QueuedTurn.objects.filter(author=author, request_id=request_id).exists():
        raise SentElsewhere


def _sent_meanwhile(author: User, request_id: UUID) -> Sent:
    """A constraint refused the rows: either this very message came in twice at once, or another
    turn did."""
    if sent := _question_before(author, request_id):
        return sent
    raise TurnRunning from None
