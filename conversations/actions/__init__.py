"""The only writers. Keyword-only functions, one transaction each, audited, told on commit."""

from conversations.actions import (
    catalogue,
    conversations,
    generations,
    invitelinks,
    messages,
    participants,
    queue,
    shares,
    workers,
)

__all__ = [
    "catalogue",
    "conversations",
    "generations",
    "invitelinks",
    "messages",
    "participants",
    "queue",
    "shares",
    "workers",
]
