"""Which of a question's drafts people go on with: recorded by the actions that go on with it,
inside their transactions and with the conversation locked."""

from django.db.models import QuerySet
from django.utils import timezone

from conversations import audit
from conversations.models import Conversation, Draft, Kind, Message, User


def undecided(message: Message) -> Draft | None:
    """As one of several drafts, of which none was chosen so far."""
    return Draft.objects.undecided().filter(message=message).first()


def choose(draft: Draft, conversation: Conversation, actor: User, *, went_on: bool = False) -> None:
    """The newest decision counts. Going on with what was chosen already is none."""
    if draft.chosen_at is not None:
        return
    beside = Draft.objects.filter(question=draft.question_id)
    before = beside.exclude(chosen_at=None)
    if not before.update(chosen_at=None, chosen_by=None, went_on=False):
        _take_notes(beside, to=draft.message_id)  # later each has a way on of its own
    beside.filter(pk=draft.pk).update(chosen_at=timezone.now(), chosen_by=actor, went_on=went_on)
    audit.record(actor, "draft.chosen", conversation, draft=draft.number, went_on=went_on)


def replace(draft: Draft, message: Message) -> None:
    """It broke off, and another answer is written in its place: nobody has voted for that one."""
    draft.votes.all().delete()
    mine = Draft.objects.filter(pk=draft.pk)
    _take_notes(mine, to=message.pk)
    mine.update(message=message)


def _take_notes(left: QuerySet[Draft], *, to: int) -> None:
    """What people noted under these goes along to the answer that they go on to see."""
    notes = Message.objects.filter(kind=Kind.NOTE, parent__in=left.values("message"))
    notes.update(parent=to)
