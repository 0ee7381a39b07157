"""Rows that a test starts from, put straight into the portal's tables."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from conversations.models import (
    Author,
    Choice,
    Conversation,
    Generation,
    Message,
    Participant,
    Role,
    State,
    User,
)

MODEL = "crimson-falcon-4"
PASSWORD = "correct horse battery"


def newcomer(name: str, **fields: Any) -> User:
    """Of their own for each test, so that no test sees another's conversations."""
    user = User.objects.create_user(f"{uuid4().hex}@example.com", None, name=name, **fields)
    # The tests' own settings know only a fast hash, which the portal would not take.
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt", 1_000)
    user.save(update_fields=["password"])
    return user


def session_of(person: User) -> str:
    """The key of a new session in which the person is signed in."""
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    assert session.session_key is not None
    return session.session_key


def conversation_of(
    person: User, *turns: tuple[str, str], title: str = "Slow export", at: datetime | None = None
) -> Conversation:
    """Owned by the person; each turn is a question and the answer to it."""
    conversation = Conversation.objects.create(
        title=title, model=MODEL, active_at=at or timezone.now()
    )
    Participant.objects.create(conversation=conversation, user=person, role=Role.OWNER)
    for question, answer in turns:
        add_turn(conversation, person, question, answer)
    return conversation


def add_turn(
    conversation: Conversation, person: User, question: str, text: str, **ending: Any
) -> Message:
    """An answer that is done, or ended as the columns of its generation in `ending` say."""
    head = conversation.head
    depth = head.depth + 1 if head else 0
    asked = Message.objects.create(
        conversation=conversation,
        parent=head,
        depth=depth,
        role=Author.USER,
        author=person,
        text=question,
    )
    answer = Message.objects.create(
        conversation=conversation, parent=asked, depth=depth + 1, role=Author.ASSISTANT, text=text
    )
    now = timezone.now()
    columns = {"state": State.DONE, "finish_reason": "stop", "settled_at": now}
    generation = Generation.objects.create(
        conversation=conversation,
        question=asked,
        requested_by=person,
        model=conversation.model,
        upstream="main",
        first_token_at=now + timedelta(seconds=0.4),
        completion_tokens=150,
        **columns | ending,
    )
    Choice.objects.create(generation=generation, message=answer)
    conversation.head = answer
    conversation.save(update_fields=["head"])
    return answer
