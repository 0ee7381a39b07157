"""Sending: a question, the empty answer, and the generation that is to fill it."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from conversations import audit, events, fragments, markdown
from conversations.actions import conversations, generations
from conversations.actions.refusals import NotYours, SentElsewhere, TurnRunning
from conversations.fragments import Article
from conversations.models import Author, Choice, Conversation, Message, Participant, Role, User

_PAIRED_MARKS = re.compile(r"(\*{1,3}|`+|~~)(?=\S)(.+?)(?<=\S)\1")


@dataclass(frozen=True)
class Sent:
    """A question, and its first answer; both as the thread shows them."""

    question: Message
    answer: Message
    articles: tuple[Article, Article] = field(compare=False)

    @cached_property
    def html(self) -> str:
        """Made once, for those who hear of them and for the one who asked."""
        return "".join(fragments.article(article) for article in self.articles)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question goes: to the end, in place of another one, or below a message."""

    instead: Message | None = None
    below: Message | None = None

    @property
    def is_end(self) -> bool:
        return self.instead is None and self.below is None

    def parent(self, conversation: Conversation) -> Message | None:
        if self.is_end:
            return _head(conversation)
        return self.below or (self.instead and self.instead.parent)

    def told(self) -> dict[str, str]:
        """For the audit trail."""
        places = {"instead": self.instead, "below": self.below}
        return {name: message.public_id for name, message in places.items() if message}


END = Place()


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


def send(
    *,
    conversation: Conversation,
    author: User,
    text: str,
    request_id: UUID,
    instead: Message | None = None,
    below: Message | None = None,
) -> Sent:
    """Adds a question to the branch that all see, and queues its answer. The same request id gives
    the same message again, whoever was faster.

    `instead` puts it beside another question, as a new wording; `below` follows a message that is
    not the last: either begins a branch, which becomes the one that all see.

    Raises TurnRunning, TooManyAnswers, NoModel, SentElsewhere or NotYours.
    """
    if instead is not None and (instead.author_id != author.pk or instead.role != Author.USER):
        raise NotYours
    sent = _sent_before(author, request_id)
    if sent is None:
        html = markdown.render(text)
        place = Place(instead, below)
        try:
            with audit.action(author, "message.sent", conversation, **place.told()):
                return _send(conversation, author, text, html, request_id, place)
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


def _send(
    conversation: Conversation,
    author: User,
    text: str,
    html: str,
    request_id: UUID,
    place: Place = END,
) -> Sent:
    # Locks the row on PostgreSQL, so that two senders do not answer the same head.
    conversation = Conversation.objects.select_for_update().get(pk=conversation.pk)
    parent = place.parent(conversation)
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
    choice = generations.request(conversation=conversation, question=question, actor=author)
    revision = conversations.changed(conversation, active=True, head=choice.message)
    # Pages know the answer before the relay tells them how it goes.
    sent = _just_sent(question, choice)
    if place.is_end:
        transaction.on_commit(lambda: _tell_added(conversation, revision, sent), robust=True)
    else:
        conversations.tell_changed(conversation, revision)
    events.on_commit(events.WorkQueued())
    conversations.tell_rows(conversation, moves=True)
    return sent


def _head(conversation: Conversation) -> Message | None:
    """What its follower needs of it. Apart from the locking: joined to a row that was waited for,
    it may be an older head than the one that the row names by now."""
    if conversation.head_id is None:
        return None
    return Message.objects.only("depth", "role", "author").get(pk=conversation.head_id)


def _tell_added(conversation: Conversation, revision: int, sent: Sent) -> None:
    events.tell(events.MessageAdded(conversation.public_id, revision, sent.html))


def _just_sent(question: Message, choice: Choice) -> Sent:
    """What the tables hold of it is known: nothing is read again."""
    answer = choice.message
    question.replies = [answer]
    if question.parent:
        question.parent.replies = [question]
    else:
        question.firsts = [question]
    asked = Article(question, None, offers_continue=False)
    return Sent(
        question, answer, (asked, Article(answer, choice.generation, offers_continue=False))
    )


def _sent_before(author: User, request_id: UUID) -> Sent | None:
    mine = Message.objects.filter(author=author, request_id=request_id)
    pk = mine.values_list("pk", flat=True).first()
    if pk is None:
        return None
    both = Message.objects.filter(Q(pk=pk) | Q(parent=pk, role=Author.ASSISTANT))
    # A message always comes with its first answer, in one transaction.
    question, answer = both.order_by("depth", "pk")[:2].read_for_thread()
    return Sent(question, answer, (Article.of(question), Article.of(answer)))


def _sent_meanwhile(author: User, request_id: UUID) -> Sent:
    """A constraint refused the rows: either this very message came in twice at once, or another
    turn did."""
    if sent := _sent_before(author, request_id):
        return sent
    raise TurnRunning from None
