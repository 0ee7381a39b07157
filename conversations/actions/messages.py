"""Sending: a question, the empty answer, and the generation that is to fill it."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from conversations import audit, events, fragments, markdown
from conversations.actions import conversations, generations
from conversations.actions.refusals import SentElsewhere, TurnRunning
from conversations.models import Author, Conversation, Message, Participant, Role, User

_PAIRED_MARKS = re.compile(r"(\*{1,3}|`+|~~)(?=\S)(.+?)(?<=\S)\1")


@dataclass(frozen=True)
class Sent:
    """A question, and its first answer."""

    question: Message
    answer: Message

    @cached_property
    def html(self) -> str:
        """Both articles; made once, for those who hear of them and for the one who asked."""
        rows = Message.objects.filter(pk__in=[self.question.pk, self.answer.pk])
        return fragments.articles(rows.order_by("depth").read_for_thread())


def start(
    *,
    author: User,
    text: str,
    request_id: UUID,
    model: str,
    parameters: dict[str, Any],
    system_prompt: str,
) -> Sent:
    """A new conversation with its first message, whose beginning becomes the title."""
    if sent := _sent_before(author, request_id):
        return sent
    html = markdown.render(text)  # a long text takes a while, and others wait for the lock
    conversation = Conversation(
        title=title_from(text), model=model, parameters=parameters, system_prompt=system_prompt
    )
    try:
        with audit.action(author, "conversation.started", conversation, model=model):
            conversation.save()
            Participant.objects.create(conversation=conversation, user=author, role=Role.OWNER)
            return _send(conversation, author, text, html, request_id)
    except IntegrityError:
        return _sent_meanwhile(author, request_id)


def send(*, conversation: Conversation, author: User, text: str, request_id: UUID) -> Sent:
    """The same request id gives the same message again, whoever was faster.

    Raises TurnRunning, TooManyAnswers, NoModel or SentElsewhere.
    """
    sent = _sent_before(author, request_id)
    if sent is None:
        html = markdown.render(text)
        try:
            with audit.action(author, "message.sent", conversation):
                return _send(conversation, author, text, html, request_id)
        except IntegrityError:
            sent = _sent_meanwhile(author, request_id)
    if sent.question.conversation_id != conversation.pk:
        raise SentElsewhere  # where the author may have no access any more
    return sent


def title_from(text: str) -> str:
    """The first line, without the marks of Markdown, at most 60 characters, cut at a word."""
    lines = (_PAIRED_MARKS.sub(r"\2", line[:300]) for line in text.splitlines())
    line = next((bare for line in lines if (bare := line.strip(" #>*`-\t"))), "")
    line = " ".join(line.split())
    if len(line) <= 60:
        return line
    cut, space, _rest = line[:60].rpartition(" ")
    return f"{cut if space and len(cut) > 30 else line[:59]}…"


def _send(conversation: Conversation, author: User, text: str, html: str, request_id: UUID) -> Sent:
    # Locks the row on PostgreSQL, so that two senders do not answer the same head.
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    parent = conversation.head
    question = Message.objects.create(
        conversation=conversation,
        parent=parent,
        depth=parent.depth + 1 if parent else 0,
        role=Author.USER,
        author=author,
        text=text,
        html=html,
        html_version=markdown.RENDERER_VERSION,
        request_id=request_id,
    )
    answer = generations.request(conversation=conversation, question=question, actor=author)
    revision = conversations.changed(conversation, active=True)
    # Pages know the answer before the relay tells them how it goes.
    sent = Sent(question, answer)
    transaction.on_commit(lambda: _tell_added(conversation, revision, sent), robust=True)
    events.on_commit(events.WorkQueued())
    conversations.tell_rows(conversation, moves=True)
    return sent


def _tell_added(conversation: Conversation, revision: int, sent: Sent) -> None:
    events.tell(events.MessageAdded(conversation.public_id, revision, sent.html))


def _sent_before(author: User, request_id: UUID) -> Sent | None:
    question = (
        Message.objects.select_related("conversation")
        .filter(author=author, request_id=request_id)
        .first()
    )
    if question is None:
        return None
    answer = question.children.filter(role=Author.ASSISTANT).order_by("pk").first()
    if answer is None:  # a message always comes with its first answer, in one transaction
        raise LookupError(question.public_id)
    return Sent(question, answer)


def _sent_meanwhile(author: User, request_id: UUID) -> Sent:
    """A constraint refused the rows: either this very message came in twice at once, or another
    turn did."""
    if sent := _sent_before(author, request_id):
        return sent
    raise TurnRunning from None
