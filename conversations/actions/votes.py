"""What people would go on with: one vote each among the drafts of a question."""

from django.db import transaction

from conversations import access, audit, events, fragments
from conversations.actions import conversations, decisions
from conversations.actions.refusals import Decided, NotTakingPart
from conversations.models import Choice, Conversation, Draft, Message, User, Vote


def vote(*, answer: Message, person: User, is_given: bool) -> None:
    """Gives the person's only vote to this answer, from wherever it was, or takes it back from
    there. Done twice, it is as it was after the first time.

    Raises Decided where none of these answers waits to be chosen, or NotTakingPart.
    """
    conversation = answer.conversation
    with audit.action(person, "draft.voted", conversation, given=is_given):
        row = conversations.locked(conversation)
        if not access.may(person, row, to="read"):
            raise NotTakingPart
        draft = decisions.undecided(answer)
        if draft is None or not _is_shown(draft, row):
            raise Decided
        mine = Vote.objects.filter(question=draft.question_id, person=person)
        before = mine.select_related("draft").first()
        if is_given == (before is not None and before.draft_id == draft.pk):
            return
        mine.delete()
        if is_given:
            Vote.objects.create(question_id=draft.question_id, person=person, draft=draft)
        changed = [draft] if before is None else [before.draft, draft]
        _tell(row, {one.message_id for one in changed})


def _is_shown(draft: Draft, conversation: Conversation) -> bool:
    """Nobody has gone to another branch."""
    beside = Draft.objects.filter(question=draft.question_id)
    return beside.filter(message=conversation.head_id).exists()


def _tell(conversation: Conversation, answers: set[int]) -> None:
    """Everybody, how these stand now."""
    revision = conversations.changed(conversation)

    def tell() -> None:
        choices = Choice.objects.newest_of(answers)
        html = "".join(
            fragments.article(fragments.beside_others(choice.generation, choice.message))
            for choice in choices
        )
        events.tell(events.DraftsChanged(conversation.public_id, revision, html))

    transaction.on_commit(tell, robust=True)
