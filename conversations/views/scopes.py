"""What the model is to see with the next question: chosen in a sheet, shown above the text."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models.functions import Left
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from conversations import access
from conversations.actions.messages import title_from
from conversations.actions.turns import Place
from conversations.forms import PlaceForm
from conversations.models import Author, Conversation, Kind, Message, MessageQuerySet, User
from conversations.views.requests import SignedInRequest

Scope = dict[str, Any]
LINE = 300  # characters of a message from which its line is made


@login_required
@require_http_methods(["GET", "POST"])
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    """GET is the sheet with what may be chosen; POST is the choice, as the composer shows it."""
    row = access.conversation(request.user, conversation, to="write")
    form = PlaceForm(request.GET if request.method == "GET" else request.POST)
    is_valid = form.is_valid()
    fields = form.cleaned_data
    place = place_of(request.user, row, fields)
    scope = read(row, place, fields) if is_valid else None
    if request.method == "GET":
        # Of a choice that was pressed in the sheet, which is made anew, it gets the focus back.
        context = _choices(row, place, scope or {}) | {"pressed": request.htmx.trigger}
        return render(request, "conversations/_scope_sheet.html", context)
    if scope is None:
        too_many = " ".join(map(str, form.errors.get("seen", [])))
        context = _choices(row, place, {}) | {"refusal": too_many or gone()}
        response = render(request, "conversations/_scope_sheet.html", context, status=422)
        response["HX-Retarget"], response["HX-Reswap"] = "#sheet", "innerHTML"
        return response
    return _chip(request, row, place, scope)


@login_required
@require_GET
def from_here(request: SignedInRequest, message: str) -> HttpResponse:
    """The choice of this message and all after it."""
    row = access.message(request.user, message, to="write")
    form = PlaceForm(request.GET)
    if not form.is_valid():
        raise Http404
    place = place_of(request.user, row.conversation, form.cleaned_data)
    chosen = {"sees": "from", "seen": [row.public_id]}
    scope = read(row.conversation, place, chosen)
    if scope is None:
        raise Http404
    return _chip(request, row.conversation, place, scope)


def place_of(user: User, conversation: Conversation, ids: Mapping[str, Any]) -> Place:
    """By the messages that were named, of this conversation."""
    named = {
        name: access.message(user, public_id, to="write")
        for name in ("instead", "below")
        if (public_id := ids.get(name))
    }
    if any(message.conversation != conversation for message in named.values()):
        raise Http404
    return Place(**named)


def read(conversation: Conversation, place: Place, fields: Mapping[str, Any]) -> Scope | None:
    """What was chosen, as a message keeps it: {} for all that stands before the question. None
    where something is named that does not stand there."""
    if not fields["sees"]:
        return {}
    branch = list(_before(conversation, place).values_list("public_id", flat=True))
    named = set(fields["seen"])
    if not named <= set(branch) or (fields["sees"] == "from" and len(named) != 1):
        return None
    if fields["sees"] == "from":
        chosen = branch[branch.index(named.pop()) :]
    else:
        chosen = [name for name in branch if name in named]
    if chosen == branch:
        return {}
    if chosen and chosen == branch[-len(chosen) :]:
        return {"from": chosen[0]}  # also what is said until the question is sent
    return {"only": chosen}


def shown(conversation: Conversation, place: Place, scope: Scope | None) -> dict[str, Any]:
    """What the composer's template is given of it; nothing for the whole conversation."""
    if not scope:
        return {}
    before = _before(conversation, place)
    seen = before.within(scope)
    if "only" in scope:
        names = list(seen.values_list("public_id", flat=True))
        return {"kind": "only", "names": names, "seen": len(names), "of": before.count()}
    first = seen.values_list("public_id", Left("text", LINE)).first()
    if first is None:
        return {}
    name, beginning = first
    return {
        "kind": "from",
        "names": [name],
        "seen": seen.count(),
        "of": before.count(),
        "first": _line(beginning),
    }


def kept(user: User, conversation: Conversation, form: PlaceForm) -> dict[str, Any]:
    """The same, of a form that was not taken for whatever reason."""
    fields = form.cleaned_data
    if not {"sees", "seen"} <= fields.keys():
        return {}
    place = place_of(user, conversation, fields)
    return shown(conversation, place, read(conversation, place, fields))


def gone() -> str:
    return _("What you chose for the model is not all here any more. Choose again.")


def _before(conversation: Conversation, place: Place) -> MessageQuerySet:
    """What stands before a question there and may be shown to a model, oldest first."""
    end = place.parent(conversation)
    branch = Message.objects.branch_to(end.pk if end else None)
    return branch.filter(kind=Kind.TURN, deleted_at=None)


def _chip(
    request: SignedInRequest, conversation: Conversation, place: Place, scope: Scope
) -> HttpResponse:
    context = {"conversation": conversation, "scope": shown(conversation, place, scope)}
    return render(request, "conversations/_scope.html", context)


def _choices(conversation: Conversation, place: Place, scope: Scope) -> dict[str, Any]:
    """The newest messages there, those that are `seen` checked; `more` are too far back."""
    before = _before(conversation, place)
    lines = before.reverse().annotate(beginning=Left("text", LINE))
    columns = ("public_id", "role", "author__name", "author__email", "beginning")
    newest = lines.values_list(*columns, named=True)[: settings.SCOPE_MESSAGES]
    seen = set(before.within(scope).values_list("public_id", flat=True))
    found = [
        {
            "name": row.public_id,
            "button": f"from-{row.public_id}",
            "by": row.author__name or (row.author__email or "").partition("@")[0],
            "is_answer": row.role == Author.ASSISTANT,
            "text": _line(row.beginning),
            "is_seen": row.public_id in seen,
        }
        for row in newest
    ]
    return {
        "conversation": conversation,
        "place": place.told(),
        "lines": found[::-1],
        "more": before.count() - len(found),
    }


def _line(text: str) -> str:
    return title_from(text) or "…"
