"""The only writers. Keyword-only functions, one transaction each, audited, told on commit."""

from conversations.actions import conversations, generations, messages, workers

__all__ = ["conversations", "generations", "messages", "workers"]
