"""`manage.py apikey create`: a key for a program, without a browser."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from conversations import catalogue
from conversations.actions import keys
from conversations.actions.refusals import Refused
from conversations.models import User

NAME_CHARACTERS = 80
LONGEST_DAYS = 3650


class Command(BaseCommand):
    help = "Makes a key for a person's program and prints it; it is kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        create = commands.add_parser("create", help="print a new key")
        create.add_argument("email", help="whose key it is: their rights and budgets hold")
        create.add_argument("--name", required=True, help="which program it is for")
        create.add_argument("--days", type=int, help="how long it works (default: until revoked)")
        create.add_argument(
            "--model",
            action="append",
            default=[],
            help="a model that it may use; may be repeated (default: all)",
        )

    def handle(
        self, *, email: str, name: str, days: int | None, model: list[str], **_options: object
    ) -> None:
        name = " ".join(name.split())
        if not 1 <= len(name) <= NAME_CHARACTERS:
            raise CommandError(f"--name must have 1 to {NAME_CHARACTERS} characters.")
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise CommandError(f"--days must be between 1 and {LONGEST_DAYS}.")
        if unknown := [one for one in model if catalogue.find(one) is None]:
            raise CommandError(f"--model {unknown[0]}: no such model is offered.")
        person = User.objects.filter(email__iexact=email.strip()).first()
        if person is None:
            raise CommandError(f"Nobody has the email address {email}.")
        until = timezone.now() + timedelta(days=days) if days is not None else None
        try:
            _key, token = keys.make(
                user=person, actor=None, name=name, expires_at=until, models=model
            )
        except Refused as refusal:
            raise CommandError(f"{person.email}: {refusal.message}") from None
        self.stdout.write(token)
