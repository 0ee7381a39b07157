"""What the thread's template is given, for a conversation that is there and for a new one."""

from typing import Any

from django.conf import settings
from django.http import Http404

from conversations import access, catalogue, fragments, ledger
from conversations.forms import MessageForm, SettingsForm
from conversations.fragments import Article
from conversations.models import WRITING, Conversation, Kind, Message, Role, User

FACES = 4
FACES_WHEN_NARROW = 2


def composer(
    user: User, message_form: MessageForm | None = None, refusal: str = ""
) -> dict[str, Any]:
    """With the fullest budget, from where people are to see it before it refuses something."""
    fullest = next(iter(ledger.meters(user)), None)
    is_near = fullest is not None and fullest.percent >= settings.BUDGET_METER_PERCENT
    return {
        "message_form": message_form or MessageForm(user=user),
        "refusal": refusal,
        "meter": fullest if is_near else None,
    }


def new(
    user: User,
    message_form: MessageForm | None = None,
    settings_form: SettingsForm | None = None,
    refusal: str = "",
) -> dict[str, Any]:
    models = catalogue.models_for(user)
    first = models[0] if models else None
    return {
        "conversation": None,
        "articles": [],
        "composer": composer(user, message_form, refusal),
        "models": models,
        "current_model": first,
        "settings_form": settings_form
        or SettingsForm(initial={"model": first.id if first else ""}),
        "first_prompts": settings.FIRST_PROMPTS,
        "no_model": not catalogue.models(),
        "role": Role.OWNER,
    }


def of(user: User, conversation: Conversation) -> dict[str, Any]:
    models = catalogue.models_for(user)
    return {
        **messages(conversation),
        **fragments.waiting(conversation),
        "composer": composer(user),
        "models": models,
        "current_model": catalogue.find(conversation.model),
        "settings_form": SettingsForm.of(conversation),
        "no_model": not catalogue.models(),
        **fork(user, conversation),
        **company(user, conversation),
    }


def fork(user: User, conversation: Conversation) -> dict[str, Any]:
    """What it is a fork of, as `origin` where the person may read that; whether they `may_offer`
    its branch there; and what became of the last `offer`."""
    if conversation.forked_from_id is None:
        return {}
    origin = access.origin(user, conversation)
    may_offer = (
        origin is not None
        and origin.reader_role in WRITING
        and access.may(user, conversation, to="own")
    )
    last = conversation.offered.select_related("offered_by", "decided_by").order_by("-pk")
    return {"origin": origin, "may_offer": may_offer, "offer": last.first() if origin else None}


def company(user: User, conversation: Conversation) -> dict[str, Any]:
    """The person's own `role`; `faces` in the head, none for who is alone, and how many `more`."""
    everybody = list(conversation.participants.listed())
    mine = next((one for one in everybody if one.user_id == user.pk), None)
    if mine is None:  # removed a moment ago
        raise Http404
    shown = everybody[:FACES] if len(everybody) > 1 else []
    return {
        "role": mine.role,
        "read": mine.read_revision,
        "faces": [one.user for one in shown],
        "more_faces": len(everybody) - len(shown) if shown else 0,
        "more_when_narrow": max(len(everybody) - FACES_WHEN_NARROW, 0),
        "company": len(everybody),
    }


def messages(conversation: Conversation, before: Message | None = None) -> dict[str, Any]:
    """The newest messages of the branch, or those just before one; `older` where more remain."""
    end = before.parent_id if before else conversation.head_id
    size = settings.THREAD_PAGE
    branch = Message.objects.branch_to(end, most=size + 1, with_notes=True)
    rows = branch.filter(deleted_at=None).read_for_thread()
    turns = [message for message in rows if message.kind == Kind.TURN]
    older = turns[-size].public_id if len(turns) > size else ""
    shown = {message.pk for message in turns[-size:]}
    articles = [
        fragments.shown(row) if row.pk == conversation.head_id else Article.of(row)
        for row in rows
        if {row.pk, row.parent_id} & shown
    ]
    return {"conversation": conversation, "articles": articles, "older": older}
