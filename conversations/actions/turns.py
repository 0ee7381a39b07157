"""What sending writes: a message, and where it asks for one the answer that is to be filled."""

import re
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from conversations import events, fragments, markdown
from conversations.actions import conversations, decisions, generations, mentions
from conversations.actions.asking import ONE, Asked
from conversations.actions.refusals import NothingToNote, TooManyNotes
from conversations.fragments import Article, Shown
from conversations.models import (
    Answers,
    Author,
    Choice,
    Conversation,
    Draft,
    Kind,
    Message,
    User,
)
from conversations.models.ids import public_id


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote, with all that a message keeps of it."""

    text: str
    html: str
    _: KW_ONLY
    request_id: UUID
    scope: dict[str, Any] = field(default_factory=dict)
    html_version: int = markdown.RENDERER_VERSION
    public_id: str = field(default_factory=public_id)


@dataclass(frozen=True)
class Sent:
    """A question, and its first answer; as the thread shows them, with all of several drafts."""

    question: Message
    answer: Message
    articles: tuple[Shown, ...] = field(compare=False)

    @property
    def first(self) -> Message:
        return self.question

    @cached_property
    def html(self) -> str:
        """Made once, for those who hear of them and for the one who asked."""
        return "".join(fragments.article(article) for article in self.articles)


@dataclass(frozen=True)
class Said:
    """A message that nobody answers: a note, or one that does not call the assistant."""

    message: Message

    @property
    def first(self) -> Message:
        return self.message

    @cached_property
    def html(self) -> str:
        return fragments.article(Article(self.message, None, offers_continue=False))


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
        """The names of the messages: for the audit trail, and for forms."""
        places = {"instead": self.instead, "below": self.below}
        return {name: message.public_id for name, message in places.items() if message}


END = Place()
# As a word of its own: neither in an address nor in a longer name.
CALL = re.compile(r"(?<![\w@./+-])@assistant(?![\w@-]|\.\w)", re.IGNORECASE)


def calls_assistant(conversation: Conversation, text: str) -> bool:
    """Whether a message there asks for an answer."""
    return conversation.answers != Answers.CALLED or CALL.search(text) is not None


def put(
    conversation: Conversation,
    author: User,
    written: Written,
    place: Place = END,
    asked: Asked = ONE,
) -> Sent | Said:
    """Begins a turn, or says what asks for no answer: as `begin`."""
    if calls_assistant(conversation, written.text):
        return begin(conversation, author, written, place, asked)
    return say(conversation, author, written, place)


def begin(
    conversation: Conversation,
    author: User,
    written: Written,
    place: Place = END,
    asked: Asked = ONE,
) -> Sent:
    """A turn, inside the caller's transaction, with the conversation locked.

    Raises what generations.request does.
    """
    parent = place.parent(conversation)
    question = _message(conversation, author, _counted(written, parent), parent)
    choices = generations.request(
        conversation=conversation, question=question, actor=author, asked=asked
    )
    # Pages know the answer before the relay tells them how it goes.
    sent = _just_sent(question, choices)
    follows = not _decides(conversation, parent, author) and place.is_end
    _tell_added(conversation, sent, follows=follows, head=sent.answer)
    events.on_commit(events.WorkQueued())
    return sent


def say(conversation: Conversation, author: User, written: Written, place: Place = END) -> Said:
    """A message of the branch that asks for no answer: it is read upstream with the next that does.
    As `begin`, and it is refused nothing."""
    parent = place.parent(conversation)
    said = Said(_message(conversation, author, replace(written, scope={}), parent))
    _stand_alone(said.message)
    follows = not _decides(conversation, parent, author) and place.is_end
    _tell_added(conversation, said, follows=follows, head=said.message)
    return said


def note(conversation: Conversation, author: User, written: Written) -> Said:
    """A message for the people alone. It hangs under the head and never becomes it, so that
    retrying, continuing and changing branches know nothing of notes, and one that is written while
    an answer grows stands under that answer.

    Raises NothingToNote or TooManyNotes.
    """
    if conversation.head_id is None:
        raise NothingToNote
    beside = Message.objects.filter(parent=conversation.head_id, kind=Kind.NOTE)
    if beside.count() >= settings.NOTES_PER_MESSAGE:
        raise TooManyNotes(settings.NOTES_PER_MESSAGE)
    said = Said(_message(conversation, author, written, _head(conversation), Kind.NOTE))
    _tell_added(conversation, said)
    return said


def before(author: User, request_id: UUID) -> Sent | Said | None:
    """What was sent with this id already."""
    mine = Message.objects.filter(author=author, request_id=request_id)
    pk = mine.values_list("pk", flat=True).first()
    if pk is None:
        return None
    both = Message.objects.filter(Q(pk=pk) | Q(parent=pk, role=Author.ASSISTANT))
    # A message that asks for an answer always comes with its first, in one transaction.
    message, *answers = both.order_by("depth", "pk")[:2].read_for_thread()
    if not answers:
        return Said(message)
    return Sent(message, answers[0], (Article.of(message), fragments.shown(answers[0])))


def _message(
    conversation: Conversation,
    author: User,
    written: Written,
    parent: Message | None,
    kind: Kind = Kind.TURN,
) -> Message:
    return Message.objects.create(
        conversation=conversation,
        parent=parent,
        depth=parent.depth + 1 if parent else 0,
        role=Author.USER,
        kind=kind,
        author=author,
        news=conversation.revision + 1,  # under the lock: the one that is counted next
        **asdict(written),
    )


def _counted(written: Written, parent: Message | None) -> Written:
    """With how much its scope leaves of what was said before it; without one that leaves all."""
    if not written.scope:
        return written
    branch = Message.objects.branch_to(parent.pk if parent else None)
    before = branch.filter(kind=Kind.TURN, deleted_at=None)
    seen, of = before.within(written.scope).count(), before.count()
    return replace(written, scope=written.scope | {"seen": seen, "of": of} if seen < of else {})


def _stand_alone(message: Message) -> None:
    """Nothing follows it yet, and nothing else stands in its place: that is not read again."""
    if message.parent:
        message.parent.replies = [message]
    else:
        message.firsts = [message]


def _head(conversation: Conversation) -> Message | None:
    """What its follower needs of it. Apart from the locking: joined to a row that was waited for,
    it may be an older head than the one that the row names by now."""
    if conversation.head_id is None:
        return None
    heads = Message.objects.select_related("draft").only("depth", "role", "author", "draft")
    return heads.get(pk=conversation.head_id)


def _decides(conversation: Conversation, parent: Message | None, author: User) -> bool:
    """Whether going on below it chooses it among drafts that stood side by side."""
    draft: Draft | None = getattr(parent, "draft", None)
    if parent is None or draft is None:
        return False
    were_undecided = decisions.undecided(parent) is not None
    decisions.choose(draft, conversation, author, went_on=True)
    return were_undecided


def _tell_added(
    conversation: Conversation, added: Sent | Said, *, follows: bool = True, **columns: Message
) -> None:
    """Pages put what follows at the end; where it changes what they show they fetch all anew."""
    revision = conversations.changed(conversation, active=True, **columns)

    def tell() -> None:
        events.tell(events.MessageAdded(conversation.public_id, revision, added.html))

    if follows:
        transaction.on_commit(tell, robust=True)
    else:
        conversations.tell_changed(conversation, revision)
    conversations.tell_rows(conversation, moves=True, notices=mentions.note(added.first))


def _just_sent(question: Message, choices: list[Choice]) -> Sent:
    """What the tables hold of it is known: nothing is read again."""
    answers = [choice.message for choice in choices]
    question.replies = answers
    _stand_alone(question)
    asked = Article(question, None, offers_continue=False)
    written = [Article(one.message, one.generation, offers_continue=False) for one in choices]
    first = written[0] if len(written) == 1 else fragments.Drafts.just_asked(question, written)
    return Sent(question, answers[0], (asked, first))
