"""Where sign-in attempts are counted."""

from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.db import OperationalError


class Attempts(DatabaseCache):
    """Django's, which takes a database that takes no writes for an entry that is there already:
    people would hear that they tried too often."""

    def add(self, key: str, value: Any, *arguments: Any, **named: Any) -> bool:
        """Raises django.db.Error when the table cannot be read or written."""
        if super().add(key, value, *arguments, **named):
            return True
        if self.get(key, version=named.get("version")) is None:
            raise OperationalError("the database takes no writes")
        return False
