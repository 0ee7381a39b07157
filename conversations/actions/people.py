"""Letting people in, naming them, suspending them, and giving and taking rights.

Whatever takes a right away leaves a RightsChange, by which every process closes open sockets.

Refused
├── PersonExists     somebody has this email address already
├── IsSuspended      the person may not sign in
├── IsErased         the person was deleted
├── HasSignedIn      an invitation is for somebody who was never here
├── NotForOneself    nobody does this to themselves
├── NotAnOperator    only operators do this
└── ReviewsAlready   the person has the review right
"""

from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations import audit
from conversations.actions import links
from conversations.actions.refusals import Refused
from conversations.models import OneTimeLink, Outcome, Purpose, ReviewGrant, RightsChange, User

OPERATORS = "Operators"
OPERATOR_PERMISSIONS = (
    "add_user",
    "change_user",
    "view_user",
    "add_team",
    "change_team",
    "delete_team",
    "view_team",
    "add_teammember",
    "change_teammember",
    "delete_teammember",
    "view_teammember",
    "add_reviewgrant",
    "change_reviewgrant",
    "view_reviewgrant",
    "view_auditentry",
    "view_conversation",
)
# A process that was silent for longer has lost its sockets.
RIGHTS_CHANGE_SERVES = timedelta(days=1)
FORGOTTEN_AT_ONCE = 1_000  # rows: some milliseconds
# Stands in until the first administrator has given their own.
FIRST_EMAIL = "admin@localhost"


class PersonExists(Refused):
    def __init__(self) -> None:
        super().__init__(_("Somebody has this email address already."))


class IsSuspended(Refused):
    def __init__(self) -> None:
        super().__init__(_("This person is suspended. Reactivate them first."))


class IsErased(Refused):
    def __init__(self) -> None:
        super().__init__(_("This person was deleted, and comes back by an invitation alone."))


class HasSignedIn(Refused):
    def __init__(self) -> None:
        super().__init__(
            _("This person has been here already. A link to their account is made on the server.")
        )


class NotForOneself(Refused):
    def __init__(self) -> None:
        super().__init__(_("Somebody else has to do this for you."))


class NotAnOperator(Refused):
    def __init__(self) -> None:
        super().__init__(_("Only operators may do this."))


class ReviewsAlready(Refused):
    def __init__(self) -> None:
        super().__init__(_("This person has the review right already."))


# --- Who runs the portal --------------------------------------------------------------------------


def is_operator(user: User) -> bool:
    """Runs the portal. This gives no right to read conversations."""
    if not (user.is_active and user.is_staff):
        return False
    return user.is_superuser or user.groups.filter(name=OPERATORS).exists()


@transaction.atomic
def ensure_operators() -> Group:
    """The group with exactly the permissions that this version gives it."""
    group, _made = Group.objects.get_or_create(name=OPERATORS)
    wanted = Permission.objects.filter(
        content_type__app_label="conversations", codename__in=OPERATOR_PERMISSIONS
    )
    group.permissions.set(wanted)
    return group


def set_operator(*, user: User, actor: User | None, is_operator: bool) -> None:
    if user == actor:
        raise NotForOneself
    verb = "person.made_operator" if is_operator else "person.unmade_operator"
    with audit.action(actor, verb, user):
        if is_operator:
            user.groups.add(ensure_operators())
        else:
            user.groups.remove(ensure_operators())
            RightsChange.objects.create(user=user)
        _refresh_staff(user)


def _refresh_staff(user: User) -> None:
    """The admin is open to those who find something there."""
    runs = user.is_superuser or user.groups.filter(name=OPERATORS).exists()
    user.is_staff = runs or user.review_grants.filter(revoked_at=None).exists()
    user.save(update_fields=["is_staff"])


# --- Letting people in ----------------------------------------------------------------------------


def add(*, email: str, actor: User | None, name: str = "", is_operator: bool = False) -> User:
    """A person without a password. Raises PersonExists."""
    if User.objects.filter(email__iexact=email.strip()).exists():
        raise PersonExists
    user = User(email=email.strip().lower(), name=name)
    user.set_unusable_password()
    try:
        with audit.action(actor, "person.added", user, is_operator=is_operator):
            user.save()
            if is_operator:
                set_operator(user=user, actor=actor, is_operator=True)
    except IntegrityError:  # added at the same moment by somebody else
        raise PersonExists from None
    return user


def invite(*, user: User, actor: User | None) -> str:
    """A fresh link for somebody who was never here; older ones stop working.

    Who has signed in gets none from another person's page: it would open their conversations.
    Raises HasSignedIn or IsSuspended.
    """
    if user.last_login is not None:
        raise HasSignedIn
    return make_link(
        user=user,
        purpose=Purpose.INVITATION,
        actor=actor,
        lifetime=timedelta(hours=settings.SIGNIN_LINK_HOURS),
    )


def make_link(*, user: User, purpose: Purpose, actor: User | None, lifetime: timedelta) -> str:
    """The token of a new one-time link; it is kept nowhere. Raises IsSuspended."""
    if not user.is_active:
        raise IsSuspended
    return links.make(user=user, purpose=purpose, actor=actor, lifetime=lifetime)


def first_link(*, email: str = FIRST_EMAIL) -> str | None:
    """The token that makes a first administrator, or None once anybody has signed in."""
    if User.objects.filter(last_login__isnull=False).exists():
        return None
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        user = add(email=email, actor=None, name=_("Administrator"), is_operator=True)
    lifetime = timedelta(minutes=settings.FIRST_LINK_MINUTES)
    return make_link(user=user, purpose=Purpose.FIRST, actor=None, lifetime=lifetime)


def replaces_password(link: OneTimeLink) -> bool:
    """A link made on the server for somebody who was here before: they forgot the old one."""
    return link.purpose == Purpose.SIGN_IN and link.user.has_usable_password()


def use_link(*, token: str) -> User | None:
    """The person whom the link signs in; None when it is used up, voided, too old or unknown.

    Where it replaces the password, the sessions that the old one opened end here.
    """
    with transaction.atomic():
        link = links.use(token=token)
        if link is None or not link.user.is_active:
            return None
        if replaces_password(link):
            link.user.set_unusable_password()
            link.user.save(update_fields=["password"])
            RightsChange.objects.create(user=link.user)
    return link.user


# --- What people do with their own account --------------------------------------------------------


def signed_in(*, user: User) -> None:
    audit.record(user, "person.signed_in", user)
    forget_what_is_over(timezone.now())


def forget_what_is_over(now: datetime) -> None:
    """Sessions that ran out, and changes of rights that no open socket waits for any more.

    At each sign-in, since it makes more of them, and never so many that somebody waits for it.
    """
    changes = RightsChange.objects.filter(at__lt=now - RIGHTS_CHANGE_SERVES).order_by("at")
    sessions = Session.objects.filter(expire_date__lt=now).order_by("expire_date")
    RightsChange.objects.filter(pk__in=changes.values("pk")[:FORGOTTEN_AT_ONCE]).delete()
    Session.objects.filter(pk__in=sessions.values("pk")[:FORGOTTEN_AT_ONCE]).delete()


def sign_in_failed(*, email: str) -> None:
    """Noted where there is such a person; attempts are limited before they come here."""
    if user := User.objects.filter(email__iexact=email).first():
        audit.record(None, "person.sign_in_failed", user, outcome=Outcome.FAILED)


def signed_out(*, user: User, session_key: str) -> None:
    with audit.action(user, "person.signed_out", user):
        session_hash = sha256(session_key.encode()).hexdigest()
        RightsChange.objects.create(user=user, session_hash=session_hash)


def set_password(*, user: User, password: str) -> None:
    """Ends the person's other sessions and links; the caller keeps the session it came by."""
    with audit.action(user, "person.password_set", user):
        user.set_password(password)
        user.save(update_fields=["password"])
        links.void(user=user)
        RightsChange.objects.create(user=user)


def set_name(*, user: User, actor: User, name: str) -> None:
    with audit.action(actor, "person.named", user):
        user.name = name
        user.save(update_fields=["name"])


def set_email(*, user: User, actor: User, email: str) -> None:
    """Raises PersonExists."""
    if User.objects.filter(email__iexact=email.strip()).exclude(pk=user.pk).exists():
        raise PersonExists
    with audit.action(actor, "person.email_set", user, before=user.email, after=email):
        user.email = email.strip().lower()
        user.save(update_fields=["email"])


# --- Suspension -----------------------------------------------------------------------------------


def suspend(*, user: User, actor: User) -> None:
    if user == actor:
        raise NotForOneself
    with audit.action(actor, "person.suspended", user):
        user.is_active = False
        user.save(update_fields=["is_active"])
        links.void(user=user)
        end_sessions(user)
        RightsChange.objects.create(user=user)


def reactivate(*, user: User, actor: User) -> None:
    """Raises IsErased."""
    if user.erased_at is not None:
        raise IsErased
    with audit.action(actor, "person.reactivated", user):
        user.is_active = True
        user.save(update_fields=["is_active"])


def end_sessions(user: User) -> None:
    """So that none of them comes back to life with the person."""
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            session.delete()


# --- The review right -----------------------------------------------------------------------------


def grant_review(*, user: User, actor: User, reason: str) -> ReviewGrant:
    """Raises NotForOneself, NotAnOperator, IsSuspended or ReviewsAlready."""
    if user == actor:
        raise NotForOneself
    if not is_operator(actor):
        raise NotAnOperator
    if not user.is_active:
        raise IsSuspended
    if user.may_review:
        raise ReviewsAlready
    try:
        with audit.action(actor, "review.granted", user):
            grant = ReviewGrant.objects.create(user=user, reason=reason, granted_by=actor)
            _refresh_staff(user)
    except IntegrityError:  # granted at the same moment by somebody else
        raise ReviewsAlready from None
    return grant


def revoke_review(*, grant: ReviewGrant, actor: User) -> None:
    """Revoking twice changes nothing. Raises NotAnOperator."""
    if not is_operator(actor):
        raise NotAnOperator
    open_grant = ReviewGrant.objects.filter(pk=grant.pk, revoked_at=None)
    with audit.action(actor, "review.revoked", grant.user):
        if open_grant.update(revoked_by=actor, revoked_at=timezone.now()) == 1:
            _refresh_staff(grant.user)
            RightsChange.objects.create(user=grant.user)
