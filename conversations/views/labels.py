"""A person's own labels, in a sheet that opens from a conversation's row."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from conversations import access, actions
from conversations.actions.refusals import Refused
from conversations.forms_labels import LabelForm
from conversations.models import Colour, Conversation
from conversations.views.requests import SignedInRequest


@login_required
@require_http_methods(["GET", "POST"])
def collection(request: SignedInRequest, conversation: str) -> HttpResponse:
    """GET is the sheet; POST makes a label and puts it on the conversation."""
    row = access.conversation(request.user, conversation, to="read")
    if request.method == "GET":
        return _sheet(request, row)
    form = LabelForm(request.POST)
    if not form.is_valid():
        return _sheet(request, row, new_form=form, status=422)
    try:
        actions.labels.make(conversation=row, person=request.user, **form.cleaned_data)
    except Refused as refused:
        form.add_error("name", refused.message)
        return _sheet(request, row, new_form=form, status=409)
    return _changed(request, row)


@login_required
@require_http_methods(["POST", "DELETE"])
def label(request: SignedInRequest, conversation: str, label: str) -> HttpResponse:
    """POST gives it another name and colour; DELETE takes it from all conversations."""
    row = access.conversation(request.user, conversation, to="read")
    mine = access.label(request.user, label)
    if request.method == "DELETE":
        actions.labels.delete(label=mine)
        return _changed(request, row, focus=True)
    form = LabelForm(request.POST)
    if not form.is_valid():
        return _sheet(request, row, edited=mine, form=form, status=422)
    try:
        actions.labels.change(label=mine, **form.cleaned_data)
    except Refused as refused:
        form.add_error("name", refused.message)
        return _sheet(request, row, edited=mine, form=form, status=409)
    return _changed(request, row, saved=mine)


@login_required
@require_POST
def mark(request: SignedInRequest, conversation: str, label: str) -> HttpResponse:
    """`on` is whether the label is to be on the conversation. The sheet stays as it is: what was
    opened or typed in it meanwhile is not to be lost."""
    row = access.conversation(request.user, conversation, to="read")
    mine = access.label(request.user, label)
    actions.labels.mark(label=mine, conversation=row, is_on="on" in request.POST)
    counted = get_object_or_404(request.user.labels.with_number(), pk=mine.pk)
    context = {"conversation": row, "label": counted, "has_changed": True}
    response = render(request, "conversations/_label_deletion.html", context)
    return _with_list(response, _shown(request))


def _shown(request: SignedInRequest) -> str:
    """What the sidebar's list shows."""
    return request.GET.get("show") or request.POST.get("show") or ""


def _with_list(response: HttpResponse, show: str) -> HttpResponse:
    """Where the list shows a label's alone it is read anew."""
    if show.startswith("label-"):
        trigger_client_event(response, "change", {"target": "#filter"}, after="swap")
    return response


def _changed(request: SignedInRequest, conversation: Conversation, **more: Any) -> HttpResponse:
    """The sheet, the sidebar's choices and its list."""
    show = _shown(request)
    response = _sheet(request, conversation, show=show, has_changed=True, **more)
    return _with_list(response, show)


def _sheet(
    request: SignedInRequest, conversation: Conversation, *, status: int = 200, **more: Any
) -> HttpResponse:
    """`edited` with its `form` where what was typed for it is not taken, or `new_form`. The focus
    goes to the label that was `saved`, or with `focus` to the name of a new one."""
    on = request.user.labels.filter(labellings__participant__conversation=conversation)
    own = list(request.user.labels.with_number().listed())
    context = {
        "conversation": conversation,
        "own_labels": own,
        "on": set(on.values_list("pk", flat=True)),
        "new_form": LabelForm(),
        "colours": Colour.choices,
        "focus": not own,
        "most": settings.LABEL_MAX_CHARS,
        **more,
    }
    return render(request, "conversations/_labels_sheet.html", context, status=status)
