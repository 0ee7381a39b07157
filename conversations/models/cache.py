"""What all processes count together."""

from django.db import models


class CacheEntry(models.Model):
    """A row of Django's cache, which reads and writes the table by itself: the history of sign-in
    attempts. In the database, so that it counts for all processes and outlives their restart."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "conversations_cache"

    def __str__(self) -> str:
        return self.cache_key
