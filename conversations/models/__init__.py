"""The tables. Rows change through `actions/` alone; rows named by a person come from `access`."""

from conversations.models.audit import AuditEntry, Outcome
from conversations.models.cache import CacheEntry
from conversations.models.conversations import Conversation, Participant, Role
from conversations.models.generations import OPEN, Choice, Generation, State, UsageSource
from conversations.models.keys import KEY_PREFIX_CHARACTERS, Key
from conversations.models.messages import Author, Kind, Message, MessageVersion
from conversations.models.people import (
    OneTimeLink,
    Purpose,
    ReviewGrant,
    RightsChange,
    Team,
    TeamMember,
    User,
)
from conversations.models.workers import Worker

__all__ = [
    "KEY_PREFIX_CHARACTERS",
    "OPEN",
    "AuditEntry",
    "Author",
    "CacheEntry",
    "Choice",
    "Conversation",
    "Generation",
    "Key",
    "Kind",
    "Message",
    "MessageVersion",
    "OneTimeLink",
    "Outcome",
    "Participant",
    "Purpose",
    "ReviewGrant",
    "RightsChange",
    "Role",
    "State",
    "Team",
    "TeamMember",
    "UsageSource",
    "User",
    "Worker",
]
