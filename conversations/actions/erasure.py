"""Erasing a person: the account goes, and what others need of what it did stays.

What they said in conversations with others stays there, under "Deleted person"; conversations of
theirs alone are deleted. Use of models stays in the ledger, and the audit trail keeps who did what.
"""

from allauth.account.models import EmailAddress
from django.db.models import Case, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations import audit, events
from conversations.actions import conversations, history, keys, links, participants, people
from conversations.actions.people import NotAnOperator, NotForOneself
from conversations.models import (
    Conversation,
    Participant,
    QueuedTurn,
    RightsChange,
    Role,
    TeamMember,
    User,
    What,
)

# No such domain can exist (RFC 2606), so that no letter goes anywhere.
NOWHERE = "deleted.invalid"


def erase(*, user: User, actor: User) -> None:
    """Takes away all that the account is and may. Doing it twice changes nothing.

    Raises NotForOneself or NotAnOperator.
    """
    if user == actor:
        raise NotForOneself
    if not people.is_operator(actor):
        raise NotAnOperator
    with audit.action(actor, "person.erased", user):
        row = User.objects.select_for_update().get(pk=user.pk)
        if row.erased_at is not None:
            return
        RightsChange.objects.create(user=row)  # before those of each conversation
        for conversation in _where_they_are(row):
            _leave(conversation, row, actor)
        Participant.objects.filter(user=row).delete()  # of what was deleted already
        for key in row.keys.kept():
            keys.revoke(key=key, actor=actor)
        for grant in row.review_grants.filter(revoked_at=None):
            people.revoke_review(grant=grant, actor=actor)
        row.labels.all().delete()
        TeamMember.objects.filter(user=row).delete()
        EmailAddress.objects.filter(user=row).delete()
        links.void(user=row)
        people.end_sessions(row)
        _unname(row)


def _unname(user: User) -> None:
    user.name = _("Deleted person")
    user.email = f"{user.public_id}@{NOWHERE}"
    user.is_active = user.is_staff = user.is_superuser = False
    user.erased_at = timezone.now()
    user.set_unusable_password()
    user.save()
    user.groups.clear()
    user.user_permissions.clear()


def _where_they_are(user: User) -> list[Conversation]:
    rows = Conversation.objects.filter(participants__user=user, deleted_at=None)
    return list(rows.order_by("pk"))


def _leave(conversation: Conversation, user: User, actor: User) -> None:
    """Somebody else owns it then: of those who are left the first with the highest role."""
    row = conversations.locked(conversation)
    others = row.participants.exclude(user=user).filter(user__is_active=True)
    if not others.exists():
        conversations.hide(row)
        return
    if QueuedTurn.objects.filter(conversation=row, author=user).delete()[0]:
        conversations.queue_changed(row)
    mine = row.participants.get(user=user)
    if not others.filter(role=Role.OWNER).exists():
        rank = Case(When(role=Role.EDITOR, then=Value(0)), default=Value(1))
        heir = others.select_related("user").order_by(rank, "joined_at", "pk")[0]
        participants.set_roles(row, actor, {heir.user: Role.OWNER})
    history.note(row, actor, What.REMOVED, person=user, before=mine.role)
    mine.delete()
    gone = events.ConversationGone(user.public_id, row.public_id, What.REMOVED)
    events.on_commit(gone)
    participants.tell(row)
