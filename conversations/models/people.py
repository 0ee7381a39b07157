"""People, their teams, the links that let them in, and the rights they are given."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.ids import public_id


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)  # None makes it unusable until the person chooses one
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Signs in by mail address, compared without regard to case."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    email = models.EmailField(_("mail address"), unique=True)
    name = models.CharField(_("name"), max_length=80, blank=True)
    is_active = models.BooleanField(_("may sign in"), default=True)
    is_staff = models.BooleanField(_("may open the admin"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    # What they said in others' conversations stays: the row is what it refers to.
    erased_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [
            models.UniqueConstraint(Lower("email"), name="one_person_per_mail_address"),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        return self.name or self.email.partition("@")[0]

    @property
    def initials(self) -> str:
        words = self.display_name.replace(".", " ").replace("-", " ").split()
        letters = words[0][:1] + (words[-1][:1] if len(words) > 1 else words[0][1:2])
        return letters.upper()

    @property
    def hue(self) -> int:
        """A steady colour for the person's avatar: one of 12 hues, in degrees."""
        return sum(map(ord, self.public_id)) % 12 * 30

    @property
    def may_review(self) -> bool:
        """Being a superuser does not imply it: only a grant by somebody else does."""
        return self.is_active and self.review_grants.filter(revoked_at=None).exists()


class Team(models.Model):
    """People of a department or project. Django's Group carries permissions; this does not."""

    public_id = models.CharField(max_length=20, unique=True, default=public_id, editable=False)
    name = models.CharField(_("name"), max_length=80, unique=True)
    members = models.ManyToManyField(User, through="TeamMember", related_name="teams")

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")

    def __str__(self) -> str:
        return self.name


class TeamMember(models.Model):
    team = models.ForeignKey(Team, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("person"))
    is_lead = models.BooleanField(_("leads the team"), default=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="once_in_a_team")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class Purpose(models.TextChoices):
    FIRST = "first", _("first administrator")
    INVITATION = "invitation", _("invitation")
    SIGN_IN = "sign-in", _("sign-in")


class OneTimeLink(models.Model):
    """A link that signs one person in, once. The table holds the SHA-256 of its token."""

    token_hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="one_time_links")
    purpose = models.CharField(max_length=12, choices=Purpose)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    voided_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("one-time link")
        verbose_name_plural = _("one-time links")

    def __str__(self) -> str:
        return f"{self.purpose} for {self.user}"


class ReviewGrant(models.Model):
    """The right to read other people's conversations, given by somebody else and never silently."""

    user = models.ForeignKey(
        User, models.CASCADE, related_name="review_grants", verbose_name=_("person")
    )
    reason = models.CharField(_("reason"), max_length=200)
    granted_by = models.ForeignKey(
        User, models.PROTECT, related_name="+", verbose_name=_("granted by")
    )
    granted_at = models.DateTimeField(_("granted"), default=timezone.now)
    revoked_by = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", verbose_name=_("revoked by")
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("review right")
        verbose_name_plural = _("review rights")
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(user=models.F("granted_by")), name="nobody_grants_themselves"
            ),
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(revoked_at=None), name="one_open_review_grant"
            ),
        ]

    def __str__(self) -> str:
        return f"review right of {self.user}"


class RightsChange(models.Model):
    """Somebody's rights changed. Every process reads the new rows once a second and acts on its
    open sockets; rows older than a day serve nobody."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    # Null: everywhere (signed out, suspended); otherwise in this conversation alone.
    conversation = models.ForeignKey(
        "conversations.Conversation", models.CASCADE, null=True, related_name="+"
    )
    # SHA-256 of the session that ended; empty when every session of the person is meant.
    session_hash = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"rights of {self.user} at {self.at}"
