"""The branches of a conversation that are shared, for readers who go from one to the other."""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q
from django.http import Http404

from conversations.models import Choice, Kind, Message, Share


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a message stands among those in its place; public ids of the ones beside it."""

    number: int  # from 1
    total: int
    previous: str
    next: str


class Branches:
    """All turns that a share shows: of a snapshot those that were whole when it was taken."""

    def __init__(self, share: Share) -> None:
        turns = Message.objects.filter(
            conversation=share.conversation_id, kind=Kind.TURN, deleted_at=None
        )
        if not share.is_live:
            at = share.created_at
            late = Q(generation__settled_at=None) | Q(generation__settled_at__gt=at)
            growing = Choice.objects.filter(
                late, message=OuterRef("pk"), generation__created_at__lte=at
            )
            turns = turns.filter(~Exists(growing), created_at__lte=at)
        self._beside: dict[tuple[int | None, str], list[str]] = defaultdict(list)
        self._below: dict[int | None, int] = {}  # the newest
        self._key: dict[str, int] = {}
        shown: set[int] = set()
        rows = turns.order_by("pk").values_list("pk", "parent_id", "role", "public_id")
        for key, parent, role, name in rows:
            if parent is not None and parent not in shown:
                continue  # below what is not shown
            shown.add(key)
            self._key[name], self._below[parent] = key, key
            self._beside[parent, role].append(name)

    def end(self, through: str) -> int:
        """The newest leaf below the message with this public id. Raises Http404."""
        key = self._key.get(through)
        if key is None:
            raise Http404
        while (below := self._below.get(key)) is not None:
            key = below
        return key

    def ways(self, message: Message) -> Ways | None:
        """None where it stands alone."""
        names = self._beside.get((message.parent_id, message.role), [])
        if len(names) < 2 or message.public_id not in names:
            return None
        at = names.index(message.public_id)
        previous, following = names[at - 1] if at else "", names[at + 1 : at + 2]
        return Ways(at + 1, len(names), previous, following[0] if following else "")
