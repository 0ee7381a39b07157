"""The one protocol that the portal speaks with model servers, `POST /v1/chat/completions`.

Framework-free. Make a `Client` for an `Upstream` and pull its `stream`; see UpstreamError for
the ways in which that can end.
"""

from .chat import MAX_CHOICES, MAX_STOPS, ChatMessage, ChatRequest, Role
from .client import Client
from .config import Limits, Timeouts, Upstream
from .errors import (
    BadKey,
    BadRequest,
    Busy,
    ContextTooLong,
    Disconnected,
    Interrupted,
    InvalidRequest,
    ModelNotFound,
    NoFirstToken,
    NoQuota,
    RateLimited,
    Redirected,
    Refused,
    ServerFailed,
    Stalled,
    TLSFailed,
    TooLarge,
    Unreachable,
    Unreadable,
    UpstreamError,
)
from .events import (
    CompletedChoice,
    Completion,
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Retrying,
    Started,
    TextDelta,
    UsageReported,
    Warned,
)
from .sentences import SENTENCES

__all__ = [
    "MAX_CHOICES",
    "MAX_STOPS",
    "SENTENCES",
    "BadKey",
    "BadRequest",
    "Busy",
    "ChatMessage",
    "ChatRequest",
    "Client",
    "CompletedChoice",
    "Completion",
    "ContextTooLong",
    "Disconnected",
    "Event",
    "FinishReason",
    "Finished",
    "Interrupted",
    "InvalidRequest",
    "Limits",
    "ModelNotFound",
    "NoFirstToken",
    "NoQuota",
    "RateLimited",
    "ReasoningDelta",
    "Redirected",
    "Refused",
    "Retrying",
    "Role",
    "ServerFailed",
    "Stalled",
    "Started",
    "TLSFailed",
    "TextDelta",
    "Timeouts",
    "TooLarge",
    "Unreachable",
    "Unreadable",
    "Upstream",
    "UpstreamError",
    "UsageReported",
    "Warned",
]
