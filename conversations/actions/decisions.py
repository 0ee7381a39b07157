"""Which of a question's drafts people go on with: recorded by the actions that go on with it,
inside their transactions and with the conversation locked."""

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
    beside.exclude(chosen_at=None).update(chosen_at=None, chosen_by=None, went_on=False)
    beside.filter(pk=draft.pk).update(chosen_at=timezone.now(), chosen_by=actor, went_on=went_on)
    _take_notes(draft, to=draft.message_id)
    audit.record(actor, "draft.chosen", conversation, draft=draft.number, went_on=went_on)


def replace(draft: Draft, message: Message) -> None:
    """It broke off, and another answer is written in its place: nobody has voted for that one."""
    draft.votes.all().delete()
    Draft.objects.filter(pk=draft.pk).update(message=message)
    _take_notes(draft, to=message.pk, of=draft.message_id)


def _take_notes(draft: Draft, *, to: int, of: int | None = None) -> None:
    """What people noted under a draft goes along with the one that all go on to see."""
    beside = Message.objects.filter(parent=draft.question_id).exclude(kind=Kind.NOTE)
    left = beside.exclude(pk=to) if of is None else beside.filter(pk=of)
    Message.objects.filter(kind=Kind.NOTE, parent__in=left).update(parent=to)
