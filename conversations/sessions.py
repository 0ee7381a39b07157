"""Sessions in the database, asked only for keys that could be ours."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore


class SessionStore(DatabaseSessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        """A cookie holds what its sender likes: PostgreSQL fails on NUL."""
        return key is not None and len(key) >= 8 and key.isascii() and key.isalnum()
