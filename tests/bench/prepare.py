"""`python -m tests.bench.prepare CONVERSATIONS EACH`: an installation with conversations, each of
so many signed-in people. Prints their session keys and conversations, one after the other."""

import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from conversations.models import User


def main(conversations: int, each: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatweb.settings")
    django.setup()

    from django.db import transaction

    from chatweb import installation

    installation.migrate()
    installation.collect_static()
    with transaction.atomic():
        pages = [page for number in range(conversations) for page in _pages(number * each, each)]
    print(f"#pages {json.dumps(pages)}", flush=True)


def _pages(first: int, each: int) -> Iterator[dict[str, str | None]]:
    from django.conf import settings

    from conversations.models import Conversation, Participant, Role, User

    conversation = Conversation.objects.create(title="Measured", model=settings.UPSTREAM_MODELS[0])
    for number in range(first, first + each):
        user = User.objects.create_user(f"person{number}@example.com", name=f"Person {number}")
        role = Role.OWNER if number == first else Role.EDITOR
        Participant.objects.create(conversation=conversation, user=user, role=role)
        yield {"session": _session_of(user), "conversation": conversation.public_id}


def _session_of(user: "User") -> str | None:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return session.session_key


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
