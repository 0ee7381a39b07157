"""`python -m tests.bench.prepare PEOPLE`: an installation with signed-in people, each with a
conversation of their own. Prints their session keys and conversations."""

import json
import os
import sys

import django


def main(people: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatweb.settings")
    django.setup()

    from django.db import transaction

    from chatweb import installation

    installation.migrate()
    installation.collect_static()
    with transaction.atomic():
        pages = [_page(number) for number in range(people)]
    print(f"#pages {json.dumps(pages)}", flush=True)


def _page(number: int) -> dict[str, str | None]:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from conversations.models import Conversation, Participant, Role, User

    user = User.objects.create_user(f"person{number}@example.com", name=f"Person {number}")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    conversation = Conversation.objects.create(title="Measured", model=settings.UPSTREAM_MODELS[0])
    Participant.objects.create(conversation=conversation, user=user, role=Role.OWNER)
    return {"session": session.session_key, "conversation": conversation.public_id}


if __name__ == "__main__":
    main(int(sys.argv[1]))
