"""Who takes part in a conversation, and as what.

Whatever takes a right away leaves a RightsChange, by which every process acts on open sockets.

Refused
├── TakesPart        the person is in already
├── TakesNoPart      the person left meanwhile, or was removed
├── NobodyNew        everybody of the team is in already
├── Full             as many take part as may
└── LastOwner        there would be nobody left who owns it
"""

from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations import audit, events
from conversations.actions import conversations, history, offers
from conversations.actions.refusals import Refused
from conversations.models import Conversation, Participant, RightsChange, Role, Team, User, What


class TakesPart(Refused):
    def __init__(self, person: User) -> None:
        super().__init__(_("%(name)s takes part already.") % {"name": person.display_name})


class TakesNoPart(Refused):
    def __init__(self, person: User) -> None:
        super().__init__(_("%(name)s takes no part any more.") % {"name": person.display_name})


class NobodyNew(Refused):
    def __init__(self, team: Team) -> None:
        super().__init__(_("Everybody in %(team)s takes part already.") % {"team": team.name})


class Full(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(
            ngettext(
                "At most %(n)d person may take part in a conversation.",
                "At most %(n)d people may take part in a conversation.",
                most,
            )
            % {"n": most}
        )


class LastOwner(Refused):
    def __init__(self) -> None:
        super().__init__(_("There has to be an owner: make somebody else one first."))


# --- Coming -------------------------------------------------------------------------------------


def invite(*, conversation: Conversation, actor: User, person: User, role: Role) -> None:
    """Raises NotAnOwner, TakesPart or Full."""
    details = {"person": person.public_id, "role": role}
    with audit.action(actor, "participant.invited", conversation, **details):
        conversations.locked_to_own(conversation, actor)
        if conversation.participants.filter(user=person).exists():
            raise TakesPart(person)
        _let_in(conversation, actor, [person], role)


def invite_team(*, conversation: Conversation, actor: User, team: Team, role: Role) -> int:
    """Its members of this moment who are not in yet; how many those are. Raises NotAnOwner,
    NobodyNew or Full."""
    details = {"team": team.public_id, "role": role}
    with audit.action(actor, "participant.team_invited", conversation, **details):
        conversations.locked_to_own(conversation, actor)
        members = team.members.filter(is_active=True)
        fresh = list(members.exclude(participations__conversation=conversation).order_by("pk"))
        if not fresh:
            raise NobodyNew(team)
        _let_in(conversation, actor, fresh, role, team)
    return len(fresh)


def check_room(conversation: Conversation, more: int) -> None:
    """Raises Full. Under the conversation's lock."""
    most = settings.PARTICIPANTS_PER_CONVERSATION
    if conversation.participants.count() + more > most:
        raise Full(most)


def _let_in(
    conversation: Conversation,
    actor: User,
    people: list[User],
    role: Role,
    team: Team | None = None,
) -> None:
    check_room(conversation, len(people))
    Participant.objects.bulk_create(
        Participant(conversation=conversation, user=person, role=role, via_team=team)
        for person in people
    )
    after = {"role": role, "team": team.name} if team else {"role": role}
    for person in people:
        history.note(conversation, actor, What.INVITED, person=person, after=after)
    # For who was invited it is the newest there is, so it goes to the top for all.
    revision = conversations.changed(conversation, active=True)
    conversations.tell_changed(conversation, revision)
    conversations.tell_rows(conversation, moves=True)


# --- Another role -------------------------------------------------------------------------------


def set_role(*, conversation: Conversation, actor: User, person: User, role: Role) -> None:
    """Raises NotAnOwner, TakesNoPart or LastOwner."""
    details = {"person": person.public_id, "role": role}
    with audit.action(actor, "participant.role_set", conversation, **details):
        conversations.locked_to_own(conversation, actor)
        if role != Role.OWNER:
            _check_another_owner(conversation, person)
        set_roles(conversation, actor, {person: role})


def hand_over(*, conversation: Conversation, actor: User, person: User) -> None:
    """The person becomes an owner and the actor an editor. Raises NotAnOwner, TakesNoPart, and
    LastOwner for who hands over to themselves or to somebody suspended."""
    with audit.action(actor, "conversation.handed_over", conversation, person=person.public_id):
        conversations.locked_to_own(conversation, actor)
        if person == actor or not person.is_active:
            raise LastOwner
        set_roles(conversation, actor, {person: Role.OWNER, actor: Role.EDITOR})


def set_roles(conversation: Conversation, actor: User, roles: dict[User, Role]) -> None:
    """Inside the caller's transaction, with the conversation locked."""
    for person, role in roles.items():
        participant = _participant(conversation, person)
        if participant.role == role:
            continue
        history.note(
            conversation, actor, What.ROLE, person=person, before=participant.role, after=role
        )
        participant.role = role
        participant.save(update_fields=["role"])
        RightsChange.objects.create(user=person, conversation=conversation)
    tell(conversation)


# --- Going --------------------------------------------------------------------------------------


def remove(*, conversation: Conversation, actor: User, person: User) -> None:
    """Raises NotAnOwner, TakesNoPart or LastOwner."""
    details = {"person": person.public_id}
    with audit.action(actor, "participant.removed", conversation, **details):
        conversations.locked_to_own(conversation, actor)
        _take_out(conversation, actor, person, What.REMOVED)


def leave(*, conversation: Conversation, person: User) -> None:
    """Raises TakesNoPart or LastOwner."""
    with audit.action(person, "participant.left", conversation):
        conversations.locked(conversation)
        _take_out(conversation, person, person, What.LEFT)


def _take_out(conversation: Conversation, actor: User, person: User, what: What) -> None:
    participant = _participant(conversation, person)
    _check_another_owner(conversation, person)
    take_out(conversation, actor, participant, what)


def take_out(conversation: Conversation, actor: User, participant: Participant, what: What) -> None:
    """Whoever owns it then. Inside the caller's transaction, with the conversation locked."""
    person = participant.user
    history.note(conversation, actor, what, person=person, before=participant.role)
    participant.delete()
    offers.withdraw_all(conversation=conversation, person=person, actor=actor)
    RightsChange.objects.create(user=person, conversation=conversation)
    gone = events.ConversationGone(person.public_id, conversation.public_id, what)
    events.on_commit(gone)
    tell(conversation)


# --- What these share ---------------------------------------------------------------------------


def _owners(conversation: Conversation) -> "QuerySet[Participant]":
    return conversation.participants.filter(role=Role.OWNER, user__is_active=True)


def _participant(conversation: Conversation, person: User) -> Participant:
    participant = conversation.participants.select_related("user").filter(user=person).first()
    if participant is None:
        raise TakesNoPart(person)
    return participant


def _check_another_owner(conversation: Conversation, person: User) -> None:
    if not _owners(conversation).exclude(user=person).exists():
        raise LastOwner


def tell(conversation: Conversation) -> None:
    conversations.tell_changed(conversation, conversations.changed(conversation))
    conversations.tell_rows(conversation, moves=False)
