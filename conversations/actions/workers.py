"""Relays say that they live; whoever is silent for too long is given up with all that it held."""

from collections.abc import Collection

from django.db.models import F
from django.utils import timezone

from conversations.models import Generation, Worker


def beat(*, name: str, running: int) -> None:
    """Still here, with this many answers. A worker that was given up by mistake is back with it."""
    now = timezone.now()
    alive = Worker.objects.filter(name=name).update(
        beats=F("beats") + 1, running=running, beat_at=now
    )
    if not alive:
        Worker.objects.get_or_create(name=name, defaults={"running": running})


def census() -> dict[str, int]:
    """All that claim to live with their beats, and -1 for who holds something without a word."""
    silent = dict.fromkeys(Generation.objects.claimed().values_list("worker", flat=True), -1)
    return silent | dict(Worker.objects.values_list("name", "beats"))


def strike(*, names: Collection[str]) -> None:
    """Takes them off the list of those who live."""
    Worker.objects.filter(name__in=names).delete()
