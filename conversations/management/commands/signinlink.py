"""`manage.py signinlink`: a one-time link, for people who have no password (any more)."""

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from conversations.actions import people
from conversations.actions.refusals import Refused
from conversations.models import Purpose, User

LONGEST_HOURS = 720


class Command(BaseCommand):
    help = "Prints a link that signs one person in, once. An older link of theirs stops working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the person's email address")
        parser.add_argument("--create", action="store_true", help="make the person if need be")
        parser.add_argument("--admin", action="store_true", help="make them an operator")
        parser.add_argument("--name", default="", help="what others see; for a person made now")
        parser.add_argument(
            "--hours",
            type=int,
            default=settings.SIGNIN_LINK_HOURS,
            help="how long the link works (default: %(default)s)",
        )
        parser.add_argument(
            "--base-url",
            default=next(iter(settings.CSRF_TRUSTED_ORIGINS), "http://localhost:8000"),
            help="where browsers reach the portal (default: %(default)s)",
        )

    def handle(
        self,
        *,
        email: str,
        create: bool,
        admin: bool,
        name: str,
        hours: int,
        base_url: str,
        **_options: object,
    ) -> None:
        if not 1 <= hours <= LONGEST_HOURS:
            raise CommandError(f"--hours must be between 1 and {LONGEST_HOURS}.")
        if not base_url.startswith(("http://", "https://")):
            raise CommandError("--base-url must begin with http:// or https://.")
        person = _person(email.strip().lower(), name, create=create)
        was_here = person.last_login is not None
        try:
            token = people.make_link(
                user=person,
                purpose=Purpose.SIGN_IN if was_here else Purpose.INVITATION,
                actor=None,
                lifetime=timedelta(hours=hours),
            )
        except Refused as refusal:
            raise CommandError(f"{person.email}: {refusal.message}") from None
        if admin and not people.is_operator(person):
            people.set_operator(user=person, actor=None, is_operator=True)
        self.stdout.write(base_url.rstrip("/") + reverse("link", args=[token]))


def _person(email: str, name: str, *, create: bool) -> User:
    person = User.objects.filter(email__iexact=email).first()
    if person is not None:
        if name:
            raise CommandError(f"{email} is here already; --name is for a person made now.")
        return person
    if not create:
        raise CommandError(f"Nobody has the email address {email}. Add --create to make them.")
    try:
        User(email=email, name=name).clean_fields(exclude=["password"])
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None
    return people.add(email=email, name=name, actor=None)
