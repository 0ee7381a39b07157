"""The operators' tables. What is not registered here has no admin page."""

from conversations.admin import conversations, people, review
from conversations.admin.site import site

__all__ = ["conversations", "people", "review", "site"]
