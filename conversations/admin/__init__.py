"""The operators' tables. What is not registered here has no admin page."""

from conversations.admin import budgets, catalogue, conversations, keys, people, review
from conversations.admin.site import site

__all__ = ["budgets", "catalogue", "conversations", "keys", "people", "review", "site"]
