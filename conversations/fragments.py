"""Pieces of the page that are rendered once and are the same for everybody who sees them.

Times are exact instants that the page's script shows in the reader's zone, and what only some may
do is shown or hidden by the page around it; the server refuses it either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from conversations import catalogue
from conversations.events import Person
from conversations.models import (
    Author,
    Conversation,
    Draft,
    Generation,
    Kind,
    Message,
    Offer,
    QueuedTurn,
    State,
    User,
)

AVATARS = 5  # as many as the head of a narrow page has room for
ROW_FACES = 3  # of others, in a row of the sidebar


@dataclass(frozen=True, slots=True)
class Column:
    """Where an answer stands among drafts of which none was chosen, and who votes for it."""

    number: int  # from 1
    total: int
    # The next question goes on from it, as long as nobody chooses another.
    leads: bool = False
    # Public ids of the messages beside it, "" at the ends.
    previous: str = ""
    next: str = ""
    voters: tuple[User, ...] = ()


@dataclass(frozen=True, slots=True)
class Article:
    """A message as the thread shows it."""

    message: Message
    generation: Generation | None
    offers_continue: bool
    column: Column | None = None

    @classmethod
    def of(cls, message: Message) -> Self:
        choices = list(message.choices.all())
        written_by = choices[-1].generation if choices else message.copied_generation
        return cls.written_by(written_by, message)

    @classmethod
    def as_it_was(cls, message: Message, at: datetime) -> Self:
        """Takes back from the message what came after that moment: edits, and what a continued
        answer grew by. For messages that are read `for_thread`, with their `versions`."""
        choices = list(message.choices.all())
        later = [one for one in choices if one.generation.created_at > at]
        before = choices[: len(choices) - len(later)]
        replaced = [one for one in message.versions.all() if one.replaced_at > at]
        text = message.text
        if replaced:
            text = min(replaced, key=lambda version: version.replaced_at).text
        elif later:
            text = text[: later[0].starts_at]
            message.reasoning = ""  # of which nobody kept where it ended
        if text != message.text:
            message.text, message.html, message.html_version = text, "", 0
        written_by = before[-1].generation if before else message.copied_generation
        return cls.written_by(written_by, message)

    @classmethod
    def written_by(cls, generation: Generation | None, message: Message) -> Self:
        """Its newest generation, where that is at hand."""
        return cls(message, generation, _may_continue(message, generation))

    @property
    def is_answer(self) -> bool:
        return self.message.role == Author.ASSISTANT

    @property
    def is_note(self) -> bool:
        return self.message.kind == Kind.NOTE

    @property
    def is_copied(self) -> bool:
        """What wrote it, wrote it elsewhere."""
        return self.generation is not None and (
            self.generation.pk == self.message.copied_generation_id
        )

    @property
    def offers_retry(self) -> bool:
        """It broke off by no wish of anybody's."""
        return self.generation is not None and self.generation.state in {
            State.FAILED,
            State.INTERRUPTED,
        }

    @property
    def is_grouped(self) -> bool:
        """Said by the person who said the one before, and with nothing to say about it."""
        parent = self.message.parent
        return (
            parent is not None
            and not self.message.scope
            and not self.is_answer
            and parent.role == Author.USER
            and parent.author_id == self.message.author_id
        )

    @property
    def version(self) -> str:
        """Differs whenever the article would look different."""
        state = self.generation
        edited = self.message.edited_at
        return ".".join(
            [
                f"{state.pk}-{state.state}-{bool(state.settled_at):d}" if state else "",
                f"{edited.timestamp():.0f}" if edited else "",
                str(self.message.alternatives),
                f"{column.leads:d}-{'-'.join(one.public_id for one in column.voters)}"
                if (column := self.column)
                else "",
            ]
        )


@dataclass(frozen=True, slots=True)
class Drafts:
    """Answers that stand side by side until one is chosen."""

    question: str  # its public id
    columns: tuple[Article, ...]

    @classmethod
    def just_asked(cls, question: Message, articles: Sequence[Article]) -> Self:
        names = [article.message.public_id for article in articles]
        columns = _columns(names, names[0])
        placed = (replace(one, column=columns[one.message.public_id]) for one in articles)
        return cls(question.public_id, tuple(placed))


Shown = Article | Drafts


def shown(answer: Message) -> Shown:
    """An answer as the thread shows it, with those beside it where none is chosen so far."""
    article = Article.of(answer)
    generation, question = article.generation, answer.parent
    if generation is None or generation.drafts == 1 or question is None:
        return article
    columns = columns_of(question.pk)
    if answer.public_id not in columns:
        return article
    rows = {
        row.public_id: row
        for row in Message.objects.filter(public_id__in=columns).read_for_thread()
    }
    articles = (replace(Article.of(rows[name]), column=column) for name, column in columns.items())
    return Drafts(question.public_id, tuple(articles))


def beside_others(generation: Generation, message: Message) -> Article:
    """One answer alone, in its column where it has one."""
    article = Article.written_by(generation, message)
    if generation.drafts == 1:
        return article
    return replace(article, column=columns_of(generation.question_id).get(message.public_id))


def columns_of(question: int) -> dict[str, Column]:
    """By the message's public id; none once one was chosen."""
    drafts = Draft.objects.side_by_side(question)
    if not drafts:
        return {}
    names = {draft.message.public_id: draft for draft in drafts}
    heads = Conversation.objects.filter(messages=question).values_list("head__public_id", flat=True)
    columns = _columns(list(names), heads.get() or "")
    return {
        name: replace(column, voters=tuple(vote.person for vote in names[name].votes.all()))
        for name, column in columns.items()
    }


def _columns(names: Sequence[str], head: str) -> dict[str, Column]:
    around = ["", *names, ""]
    return {
        name: Column(at, len(names), name == head, around[at - 1], around[at + 1])
        for at, name in enumerate(names, 1)
    }


def _may_continue(message: Message, generation: Generation | None) -> bool:
    """Only where the upstream goes on from an assistant's beginning: others would start anew.
    And only once its text is final: a stopped answer's last words are still being put away."""
    if generation is None or generation.settled_at is None or not message.text:
        return False
    broke_off = generation.state in {State.INTERRUPTED, State.STOPPED, State.FAILED}
    if not broke_off and generation.finish_reason != "length":
        return False
    server = catalogue.upstream(generation.upstream)
    return server is not None and server.can_continue


def article(article: Shown) -> str:
    if isinstance(article, Drafts):
        return _rendered("conversations/_drafts.html", {"drafts": article})
    return _rendered("conversations/_message.html", {"article": article})


def waiting(conversation: Conversation) -> dict[str, Any]:
    """What the queue's template is given: the turns that wait, each with its neighbours, and the
    branches that are offered."""
    rows = QueuedTurn.objects.filter(conversation=conversation).in_line()
    turns = list(rows.with_writing_author().select_related("author"))
    places = zip([None, *turns], turns, [*turns[1:], None], strict=False)
    return {
        "conversation": conversation,
        "turns": [{"turn": turn, "above": above, "below": below} for above, turn, below in places],
        "offers": Offer.objects.open()
        .filter(conversation=conversation)
        .select_related("offered_by")
        .order_by("pk"),
        "is_held_up": bool(turns) and _is_held_up(conversation),
    }


def _is_held_up(conversation: Conversation) -> bool:
    return Conversation.objects.held_up().filter(pk=conversation.pk).exists()


def queue(conversation: Conversation) -> str:
    return _rendered("conversations/_queue.html", waiting(conversation))


def faces_in(rows: Sequence[Conversation]) -> list[User]:
    """Of a conversation's row for each participant: the first, one of whom may be the reader."""
    return [
        User(public_id=row.reader, name=row.reader_name, email=row.reader_email)
        for row in rows[: ROW_FACES + 1]
    ]


def faces_of(conversation: Conversation) -> list[User]:
    """The same, where not all of its rows are at hand."""
    return [one.user for one in conversation.participants.listed()[: ROW_FACES + 1]]


def row(conversation: Conversation, faces: Sequence[User]) -> str:
    """For everybody who has its `reader_role`; a page leaves out its own reader's face."""
    return _rendered("conversations/_row.html", {"row": conversation, "faces": faces})


def progress(generation: Generation, *, place: int = 0) -> str:
    """The line under an answer that has no words yet: waiting, and for what."""
    context: dict[str, object] = {"generation": generation, "place": place}
    return _rendered("conversations/_progress.html", context)


def person(user: User) -> Person:
    return Person(user.display_name, user.public_id, user.initials, user.hue)


def ended(state: State) -> str:
    """An answer, for who asked and may be looking elsewhere; empty for what somebody stopped."""
    with translation.override(settings.LANGUAGE_CODE):
        match state:
            case State.DONE:
                return _("Your answer is there.")
            case State.FAILED | State.INTERRUPTED:
                return _("Your answer broke off.")
            case _:
                return ""


def here(people: Sequence[Person]) -> str:
    """Those who are in the conversation now: some as avatars, all others as a number."""
    shown = people[:AVATARS]
    context: dict[str, object] = {"people": shown, "more": len(people) - len(shown)}
    return _rendered("conversations/_here.html", context)


def typing(names: Sequence[str]) -> str:
    """A sentence; empty where nobody is."""
    with translation.override(settings.LANGUAGE_CODE):
        match names:
            case []:
                return ""
            case [one]:
                return _("%(name)s is typing…") % {"name": one}
            case [one, other]:
                return _("%(name)s and %(other)s are typing…") % {"name": one, "other": other}
            case _:
                return _("Several people are typing…")


def _rendered(template: str, context: dict[str, object]) -> str:
    """In the portal's language: whose request or relay it is must not show in others' pages."""
    with translation.override(settings.LANGUAGE_CODE):
        return render_to_string(template, context)
