"""Teams and who belongs to them."""

from conversations import audit
from conversations.models import Team, TeamMember, User


def save(*, team: Team, actor: User) -> None:
    verb = "team.changed" if team.pk else "team.made"
    with audit.action(actor, verb, team):
        team.save()


def delete(*, team: Team, actor: User) -> None:
    with audit.action(actor, "team.deleted", team):
        team.delete()


def set_member(*, member: TeamMember, actor: User) -> None:
    with audit.action(
        actor,
        "team.member_set",
        member.team,
        person=member.user.public_id,
        is_lead=member.is_lead,
    ):
        member.save()


def remove_member(*, member: TeamMember, actor: User) -> None:
    with audit.action(actor, "team.member_removed", member.team, person=member.user.public_id):
        member.delete()
