"""The way back from a private fork: its branch is offered, and the others take it or not.

Whoever changes both conversations locks the one that was forked first.

Refused
├── NothingToOffer    the fork has nothing that the other has not
├── TooManyOffers     as many are open there as may
├── OfferDecided      it was taken, declined or withdrawn meanwhile
├── PlaceGone         the message that it follows on from was deleted
├── StillWriting      see copies
└── TooMuchToCopy     see copies
"""

from django.conf import settings
from django.db.models.functions import Length
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from conversations import access, audit
from conversations.actions import conversations, copies, decisions, history
from conversations.actions.copies import StillWriting
from conversations.actions.refusals import Refused, RightLost
from conversations.models import (
    Conversation,
    Generation,
    Kind,
    Message,
    Offer,
    OfferState,
    User,
    What,
)

OF_A_PATH = ("pk", "depth", "length", "copied_from", "copied_from__conversation")
TOLD_AS = {
    OfferState.TAKEN: What.TOOK,
    OfferState.DECLINED: What.DECLINED,
    OfferState.WITHDRAWN: What.WITHDREW,
}


class NothingToOffer(Refused):
    def __init__(self) -> None:
        super().__init__(_("Nothing was said here yet that the others have not."))


class TooManyOffers(Refused):
    def __init__(self) -> None:
        super().__init__(_("As many branches are offered there as may be. Decide on one first."))


class OfferDecided(Refused):
    def __init__(self) -> None:
        super().__init__(_("Somebody was faster: it is not offered any more."))


class PlaceGone(Refused):
    def __init__(self) -> None:
        super().__init__(_("The message from which this branch goes on was deleted."))


# --- Offering -----------------------------------------------------------------------------------


def make(*, fork: Conversation, original: Conversation, actor: User, text: str) -> Offer:
    """Offers what the fork's branch has and the original has not, as it is now. Whatever the fork
    offered before is withdrawn, unless it is the same: then that stays.

    Raises RightLost, NotAnOwner, StillWriting, NothingToOffer, TooManyOffers or TooMuchToCopy.
    """
    with audit.action(actor, "offer.made", original, fork=fork.public_id):
        there = conversations.locked_to_write(original, actor)
        here = conversations.locked_to_own(fork, actor)
        if here.generations.filter(settled_at=None).exists():
            raise StillWriting
        if same := _same(here, actor, text):
            return same
        others = there.offers.open().exclude(fork=here)
        if others.count() >= settings.OFFERS_PER_CONVERSATION:
            raise TooManyOffers
        offer = _cut(here, there)
        copies.check(offer.messages())
        offer.text, offer.offered_by = text, actor
        _take_back(here, actor)
        offer.save()
        history.note(there, actor, What.OFFERED)
        conversations.queue_changed(there, active=True)
        conversations.tell_rows(there, moves=True, notices=_word_to_others(there, actor))
        _tell_fork(here)
    return offer


def _same(fork: Conversation, actor: User, text: str) -> Offer | None:
    """Pressed twice. An answer that was continued since is not the same."""
    offer = Offer.objects.filter(fork=fork, state=OfferState.OPEN).first()
    now = (fork.head_id, text, actor)
    if offer is None or (offer.head_id, offer.text, offer.offered_by) != now:
        return None
    since = fork.generations.filter(created_at__gt=offer.offered_at)
    return None if since.exists() else offer


def _cut(fork: Conversation, original: Conversation) -> Offer:
    """What both have in common comes first: copies of messages there, and then messages of which
    there are copies there, since they were taken before. The rest is offered."""
    branch = Message.objects.branch_to(fork.head_id).filter(kind=Kind.TURN, deleted_at=None)
    path = list(branch.annotate(length=Length("text")).values_list(*OF_A_PATH, named=True))
    taken = (
        Message.objects.filter(conversation=original, deleted_at=None)
        .filter(copied_from__in=[one.pk for one in path])
        .annotate(length=Length("text"))
        .values_list("pk", "parent", "length", "copied_from", named=True)
    )
    copy_of = {copy.copied_from: copy for copy in taken.order_by("pk")}
    base: int | None = None
    for place, message in enumerate(path):
        copy = copy_of.get(message.pk)
        if message.copied_from__conversation == original.pk:
            base = message.copied_from
        # An answer that was continued since is longer.
        elif copy and (copy.parent, copy.length) == (base, message.length):
            base = copy.pk
        else:
            return Offer(
                conversation=original,
                fork=fork,
                base_id=base,
                since=message.depth,
                head_id=path[-1].pk,
                size=len(path) - place,
            )
    raise NothingToOffer


def _take_back(fork: Conversation, actor: User) -> None:
    Offer.objects.filter(fork=fork, state=OfferState.OPEN).update(
        state=OfferState.WITHDRAWN, decided_by=actor, decided_at=timezone.now()
    )


def _word_to_others(original: Conversation, actor: User) -> dict[int, str]:
    with translation.override(settings.LANGUAGE_CODE):
        text = _("%(name)s offers a branch.") % {"name": actor.display_name}
    others = original.participants.exclude(user=actor)
    return dict.fromkeys(others.values_list("user_id", flat=True), text)


# --- Deciding -----------------------------------------------------------------------------------


def take(*, offer: Offer, actor: User) -> None:
    """Copies what is offered below the message that it follows on from, and makes its end the one
    that all see; what stood there stays, as another branch. Once, however many press.

    Raises RightLost, OfferDecided, StillWriting while an answer is written there, PlaceGone or
    TooMuchToCopy.
    """
    with audit.action(actor, "offer.taken", offer.conversation, offer=offer.public_id):
        original = conversations.locked_to_write(offer.conversation, actor)
        if not _decide(offer, original, actor, OfferState.TAKEN):
            return
        if Generation.objects.open().filter(conversation=original).exists():
            raise StillWriting
        articles = copies.turns_of(offer.messages(), at=offer.offered_at)
        base = _base(offer)
        leaf = copies.put(articles, into=original, below=base, news=original.revision + 1)
        if base and (draft := decisions.undecided(base)):
            decisions.choose(draft, original, actor, went_on=True)
        revision = conversations.changed(original, active=True, head=leaf)
        conversations.tell_changed(original, revision)
        _word_to_maker(offer, original, actor, moves=True)


def decline(*, offer: Offer, actor: User) -> None:
    """Declining twice changes nothing. Raises RightLost or OfferDecided."""
    with audit.action(actor, "offer.declined", offer.conversation, offer=offer.public_id):
        original = conversations.locked_to_write(offer.conversation, actor)
        if _decide(offer, original, actor, OfferState.DECLINED):
            conversations.queue_changed(original)
            _word_to_maker(offer, original, actor, moves=False)


def withdraw(*, offer: Offer, actor: User) -> None:
    """By who made it. Withdrawing twice changes nothing. Raises RightLost or OfferDecided."""
    with audit.action(actor, "offer.withdrawn", offer.conversation, offer=offer.public_id):
        original = conversations.locked(offer.conversation)
        if not access.may(actor, original, to="read"):
            raise RightLost
        if _decide(offer, original, actor, OfferState.WITHDRAWN):
            conversations.queue_changed(original)


def withdraw_all(*, conversation: Conversation, person: User, actor: User) -> None:
    """What the person offers there and could not withdraw any more, since they go. Inside the
    caller's transaction, with the conversation locked."""
    rows = conversation.offers.filter(offered_by=person, state=OfferState.OPEN)
    offers = list(rows.select_related("fork").order_by("fork_id"))
    for offer in offers:
        _take_back(offer.fork, actor)
        audit.record(actor, "offer.withdrawn", conversation, offer=offer.public_id)
        history.note(conversation, actor, What.WITHDREW, person=person)
        _tell_fork(offer.fork)
    if offers:
        conversations.queue_changed(conversation)


def _decide(offer: Offer, original: Conversation, actor: User, state: OfferState) -> bool:
    """Under the original's lock: False where it was decided in this way before."""
    columns = {"state": state, "decided_by": actor, "decided_at": timezone.now()}
    if not Offer.objects.open().filter(pk=offer.pk).update(**columns):
        offer.refresh_from_db(fields=["state"])
        if offer.state != state:
            raise OfferDecided
        return False
    history.note(original, actor, TOLD_AS[state], person=offer.offered_by)
    _tell_fork(offer.fork)
    return True


def _base(offer: Offer) -> Message | None:
    """Raises PlaceGone."""
    base = offer.base
    if base.deleted_at is not None if base else offer.since > 0:
        raise PlaceGone
    return base


def _word_to_maker(offer: Offer, original: Conversation, actor: User, *, moves: bool) -> None:
    maker = offer.offered_by_id
    with translation.override(settings.LANGUAGE_CODE):
        text = (
            _("%(name)s took your branch.") if moves else _("%(name)s declined your branch.")
        ) % {"name": actor.display_name}
    notices = {maker: text} if maker and maker != actor.pk else {}
    conversations.tell_rows(original, moves=moves, notices=notices)


def _tell_fork(fork: Conversation) -> None:
    """Its page says how the offer fares."""
    conversations.tell_changed(fork, conversations.changed(fork))
