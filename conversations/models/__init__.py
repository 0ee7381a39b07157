"""The tables. Rows change through `actions/` alone; rows named by a person come from `access`."""

from conversations.models.audit import AuditEntry, Outcome
from conversations.models.cache import CacheEntry
from conversations.models.catalogue import LanguageModel
from conversations.models.changes import Change, What
from conversations.models.conversations import (
    WRITING,
    Answers,
    Conversation,
    ConversationQuerySet,
    Participant,
    Role,
)
from conversations.models.drafts import Decision, Draft, Vote, decisions
from conversations.models.generations import OPEN, Choice, Generation, State, UsageSource
from conversations.models.keys import KEY_PREFIX_CHARACTERS, Key
from conversations.models.labels import Colour, Label, Labelling
from conversations.models.ledger import (
    Budget,
    BudgetCounter,
    Ending,
    Period,
    Reservation,
    Scope,
    Source,
    Unit,
    UsageRecord,
)
from conversations.models.messages import (
    Author,
    Kind,
    Mention,
    Message,
    MessageQuerySet,
    MessageVersion,
)
from conversations.models.offers import Offer, OfferState
from conversations.models.people import (
    OneTimeLink,
    Purpose,
    ReviewGrant,
    RightsChange,
    Team,
    TeamMember,
    User,
)
from conversations.models.queue import Held, QueuedTurn
from conversations.models.sharing import Audience, InviteLink, Share
from conversations.models.workers import Worker

__all__ = [
    "KEY_PREFIX_CHARACTERS",
    "OPEN",
    "WRITING",
    "Answers",
    "Audience",
    "AuditEntry",
    "Author",
    "Budget",
    "BudgetCounter",
    "CacheEntry",
    "Change",
    "Choice",
    "Colour",
    "Conversation",
    "ConversationQuerySet",
    "Decision",
    "Draft",
    "Ending",
    "Generation",
    "Held",
    "InviteLink",
    "Key",
    "Kind",
    "Label",
    "Labelling",
    "LanguageModel",
    "Mention",
    "Message",
    "MessageQuerySet",
    "MessageVersion",
    "Offer",
    "OfferState",
    "OneTimeLink",
    "Outcome",
    "Participant",
    "Period",
    "Purpose",
    "QueuedTurn",
    "Reservation",
    "ReviewGrant",
    "RightsChange",
    "Role",
    "Scope",
    "Share",
    "Source",
    "State",
    "Team",
    "TeamMember",
    "Unit",
    "UsageRecord",
    "UsageSource",
    "User",
    "Vote",
    "What",
    "Worker",
    "decisions",
]
