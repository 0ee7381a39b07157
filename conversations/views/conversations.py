"""The pages of conversations: the list, a new one, one that is there, and what changes it."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from conversations import access, actions, catalogue
from conversations.actions.refusals import Refused
from conversations.forms import MessageForm, SettingsForm, TitleForm
from conversations.models import Answers, Conversation
from conversations.views import sidebar, thread_page
from conversations.views.requests import SignedInRequest, wants_fragment

PAGE = "conversations/thread.html"


@login_required
@require_GET
def new(request: SignedInRequest) -> HttpResponse:
    return _page(request, thread_page.new(request.user))


@login_required
@require_http_methods(["GET", "POST"])
def collection(request: SignedInRequest) -> HttpResponse:
    """GET is a page of the sidebar; POST starts a conversation with its first message."""
    if request.method == "GET":
        context = sidebar.page(
            request.user, request.GET.get("before", ""), request.GET.get("show", "")
        )
        if same := get_conditional_response(request, etag=context["tag"]):
            return same
        return render(request, "conversations/_rows.html", context)
    message_form = MessageForm(request.POST, user=request.user)
    settings_form = SettingsForm(request.POST)
    if not (message_form.is_valid() and settings_form.is_valid()):
        return _refuse_new(request, message_form, settings_form, status=422)
    try:
        sent = actions.messages.start(
            author=request.user,
            **message_form.message(),
            model=settings_form.cleaned_data["model"],
            system_prompt=settings_form.cleaned_data["system_prompt"],
            parameters=settings_form.parameters(),
        )
    except Refused as refused:
        return _refuse_new(request, message_form, settings_form, refused.message, status=409)
    return opened(request, sent.question.conversation.public_id)


def opened(request: SignedInRequest, public_id: str) -> HttpResponse:
    """A conversation that has just begun, in the place of whatever page asked for it."""
    conversation = access.conversation(request.user, public_id, to="read")
    response = _page(request, thread_page.of(request.user, conversation))
    response["HX-Push-Url"] = reverse("thread", args=[conversation.public_id])
    response["HX-Retarget"], response["HX-Reswap"] = "#main", "outerHTML"
    return response


@login_required
@require_GET
def thread(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="read")
    return _page(request, thread_page.of(request.user, row))


@login_required
@require_POST
def title(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="write")
    form = TitleForm(request.POST)
    if not form.is_valid():
        context = {"conversation": row, "title_form": form}
        return render(request, f"{PAGE}#title", context, status=422)
    actions.conversations.rename(
        conversation=row, actor=request.user, title=form.cleaned_data["title"]
    )
    return render(request, f"{PAGE}#title", {"conversation": row})


@login_required
@require_POST
def settings(request: SignedInRequest, conversation: str) -> HttpResponse:
    row = access.conversation(request.user, conversation, to="write")
    form = SettingsForm(request.POST, user=request.user, current=row.model)
    status = 422
    if form.is_valid():
        actions.conversations.configure(
            conversation=row,
            actor=request.user,
            model=form.cleaned_data["model"],
            system_prompt=form.cleaned_data["system_prompt"],
            parameters=form.parameters(),
            answers=Answers(form.cleaned_data["answers"] or row.answers),
        )
        form, status = SettingsForm.of(row), 200
    context = {
        "conversation": row,
        "settings_form": form,
        "current_model": catalogue.find(row.model),
    }
    return render(request, f"{PAGE}#settings", context, status=status)


@login_required
def deletion(request: SignedInRequest, conversation: str) -> HttpResponse:
    """POST deletes, DELETE takes that back."""
    if request.method == "POST":
        row = access.conversation(request.user, conversation, to="own")
        actions.conversations.delete(conversation=row, actor=request.user)
        return HttpResponse(status=204)
    if request.method == "DELETE":
        row = access.conversation(request.user, conversation, to="own", deleted=True)
        actions.conversations.restore(conversation=row, actor=request.user)
        return HttpResponse(status=204)
    return HttpResponseNotAllowed(["POST", "DELETE"])


@login_required
@require_http_methods(["POST", "DELETE"])
def mute(request: SignedInRequest, conversation: str) -> HttpResponse:
    """POST silences it for this person, DELETE takes that back."""
    row = access.conversation(request.user, conversation, to="read")
    actions.attention.mute(conversation=row, person=request.user, is_muted=request.method == "POST")
    return HttpResponse(status=204)


def _page(request: SignedInRequest, context: dict[str, Any]) -> HttpResponse:
    if wants_fragment(request):
        return render(request, f"{PAGE}#main", context)
    current: Conversation | None = context["conversation"]
    return render(request, PAGE, {**context, **sidebar.frame(request.user), "current": current})


def _refuse_new(
    request: SignedInRequest,
    message_form: MessageForm,
    settings_form: SettingsForm,
    refusal: str = "",
    *,
    status: int,
) -> HttpResponse:
    """The composer again, with what was typed and why it was not taken."""
    context = thread_page.new(request.user, message_form, settings_form, refusal)
    return render(request, f"{PAGE}#composer", context, status=status)
