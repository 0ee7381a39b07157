"""The only writers. Keyword-only functions, one transaction each, audited, told on commit."""

from conversations.actions import (
    attention,
    catalogue,
    conversations,
    forks,
    generations,
    invitelinks,
    labels,
    messages,
    offers,
    participants,
    queue,
    shares,
    votes,
    workers,
)

__all__ = [
    "attention",
    "catalogue",
    "conversations",
    "forks",
    "generations",
    "invitelinks",
    "labels",
    "messages",
    "offers",
    "participants",
    "queue",
    "shares",
    "votes",
    "workers",
]
