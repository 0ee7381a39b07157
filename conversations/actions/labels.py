"""Labels of a person's own: made, named, put on conversations, taken off, deleted.

They concern nobody else, so the audit trail knows nothing of them.

Refused
├── TooManyLabels  the person has as many as one may have
└── NameTaken      another label of theirs is called so
"""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations import events, fragments
from conversations.actions import conversations
from conversations.actions.refusals import Refused
from conversations.models import Colour, Conversation, Label, Labelling, Participant, User


class TooManyLabels(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(
            ngettext(
                "You have %(n)d label, which is as many as one person may have. Delete one first.",
                "You have %(n)d labels, which is as many as one person may have. Delete one first.",
                most,
            )
            % {"n": most}
        )


class NameTaken(Refused):
    def __init__(self) -> None:
        super().__init__(_("A label of yours is called so already."))


@transaction.atomic
def make(*, conversation: Conversation, person: User, name: str, colour: Colour) -> Label:
    """A new one, put on the conversation at once. Raises TooManyLabels or NameTaken."""
    conversations.locked(conversation)
    conversations.lock_person(person)
    if person.labels.count() >= settings.LABELS_PER_PERSON:
        raise TooManyLabels(settings.LABELS_PER_PERSON)
    _check_name(person, name)
    label = Label.objects.create(owner=person, name=name, colour=colour)
    _put(label, conversation)
    return label


@transaction.atomic
def change(*, label: Label, name: str, colour: Colour) -> None:
    """Raises NameTaken."""
    conversations.lock_person(label.owner)
    _check_name(label.owner, name, besides=label)
    label.name, label.colour = name, colour
    Label.objects.filter(pk=label.pk).update(name=name, colour=colour)
    _tell(label.owner, _marked_with(label))


@transaction.atomic
def delete(*, label: Label) -> None:
    _lock_label(label)  # or one that is put on meanwhile would be left without it
    marked = _marked_with(label)
    label.delete()
    _tell(label.owner, marked)


@transaction.atomic
def mark(*, label: Label, conversation: Conversation, is_on: bool) -> None:
    """Doing it twice changes nothing."""
    conversations.locked(conversation)
    if is_on:
        _put(label, conversation)
        return
    mine = label.labellings.filter(participant__conversation=conversation)
    mine.delete()
    conversations.tell_rows(conversation, moves=False, to=[label.owner_id])


def _put(label: Label, conversation: Conversation) -> None:
    """Unless its owner has left meanwhile, or deleted it."""
    part = Participant.objects.filter(conversation=conversation, user=label.owner_id).first()
    if part is not None and _lock_label(label):
        Labelling.objects.get_or_create(label=label, participant=part)
        conversations.tell_rows(conversation, moves=False, to=[label.owner_id])


def _lock_label(label: Label) -> bool:
    """False where it is deleted."""
    return Label.objects.select_for_update().filter(pk=label.pk).first() is not None


def _check_name(person: User, name: str, besides: Label | None = None) -> None:
    called_so = person.labels.filter(name__iexact=name).first()
    if called_so is not None and called_so != besides:
        raise NameTaken


def _marked_with(label: Label) -> list[int]:
    """The conversations' keys."""
    return list(label.labellings.values_list("participant__conversation", flat=True))


def _tell(person: User, marked: list[int]) -> None:
    """On commit the newest of these rows, a page of the sidebar, to the person's own pages: all in
    the same few queries. What is further down shows it when it is paged in."""

    def tell() -> None:
        rows = Conversation.objects.shared_with(person).filter(pk__in=marked).newest_first()
        rows = rows.with_writing().with_attention().with_faces(fragments.ROW_FACES + 1)
        found = list(rows[: settings.SIDEBAR_PAGE])
        Label.objects.put_on(found)
        for row in found:
            html = fragments.row(row, row.faces)
            events.tell(events.RowChanged(person.public_id, row.public_id, html, False))

    transaction.on_commit(tell, robust=True)
