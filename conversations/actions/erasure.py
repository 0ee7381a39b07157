"""Erasing a person: the account goes, and what others need of what it did stays.

What they said in conversations with others stays there, under "Deleted person"; conversations of
theirs alone are deleted. Use of models stays in the ledger, and the audit trail keeps who did what.
"""

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Case, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations import audit
from conversations.actions import conversations, keys, links, participants, people
from conversations.actions.people import NotAnOperator, NotForOneself
from conversations.models import (
    Conversation,
    Participant,
    QueuedTurn,
    Role,
    TeamMember,
    User,
    What,
)

# No such domain can exist (RFC 2606), so that no letter goes anywhere.
NOWHERE = "deleted.invalid"


def erase(*, user: User, actor: User) -> None:
    """Takes away all that the account is and may. What broke off is gone on with by doing it again;
    done twice it changes nothing.

    First the person is shut out. Then each conversation is left in a transaction of its own, since
    they may be many and nobody else is to wait for all of them. The name goes last.

    Raises NotForOneself or NotAnOperator.
    """
    if user == actor:
        raise NotForOneself
    if not people.is_operator(actor):
        raise NotAnOperator
    if user.erased_at is not None:
        return
    people.suspend(user=user, actor=actor)
    for conversation in _where_they_are(user):
        _leave(conversation, user, actor)
    with audit.action(actor, "person.erased", user):
        Participant.objects.filter(user=user).delete()  # of what was deleted already
        for key in user.keys.kept():
            keys.revoke(key=key, actor=actor)
        for grant in user.review_grants.filter(revoked_at=None):
            people.revoke_review(grant=grant, actor=actor)
        user.labels.all().delete()
        TeamMember.objects.filter(user=user).delete()
        EmailAddress.objects.filter(user=user).delete()
        links.void(user=user)
        _unname(user)


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


@transaction.atomic
def _leave(conversation: Conversation, user: User, actor: User) -> None:
    conversations.lock_where_offered(conversation)
    row = conversations.locked(conversation)
    mine = row.participants.select_related("user").filter(user=user).first()
    if mine is None:
        return  # left or removed meanwhile
    if mine.role == Role.OWNER and not _hand_on(row, user, actor):
        conversations.hide(row)
        mine.delete()
        return
    if QueuedTurn.objects.filter(conversation=row, author=user).delete()[0]:
        conversations.queue_changed(row)
    participants.take_out(row, actor, mine, What.REMOVED)


def _hand_on(conversation: Conversation, user: User, actor: User) -> bool:
    """Somebody else owns it, or does from now on: of those who are left the first with the highest
    role. False where nobody is left."""
    others = conversation.participants.exclude(user=user)
    here = others.filter(user__is_active=True)
    if here.filter(role=Role.OWNER).exists():
        return True
    rank = Case(When(role=Role.EDITOR, then=Value(0)), default=Value(1))
    heir = here.select_related("user").order_by(rank, "joined_at", "pk").first()
    if heir is not None:
        participants.set_roles(conversation, actor, {heir.user: Role.OWNER})
    return heir is not None or others.filter(role=Role.OWNER).exists()
