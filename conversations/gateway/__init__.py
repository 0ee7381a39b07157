"""The portal's own /v1/, which a company's programs use with keys of people.

A call belongs to its request: whoever leaves ends it. It never becomes a conversation, and nothing
of what was asked or answered is stored.
"""

from conversations.gateway.app import Gateway
from conversations.gateway.calls import calls

__all__ = ["Gateway", "calls"]
