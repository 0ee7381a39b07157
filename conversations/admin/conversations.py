"""Conversations as rows without words, and the transcript for those who may review."""

from django.conf import settings
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from conversations import access, audit
from conversations.admin.site import Rows, actor, site
from conversations.fragments import Article
from conversations.models import Conversation, Message, Participant, Role, User


@admin.register(Conversation, site=site)
class ConversationAdmin(Rows):
    """No title: it is made from the first message."""

    list_display = ("public_id", "owner", "created_at", "active_at", "messages", "is_deleted")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter),)
    date_hierarchy = "active_at"
    search_fields = ("public_id", "participants__user__email")
    ordering = ("-active_at",)

    def has_view_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        return super().has_view_permission(request, obj) or _may_review(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or _may_review(request)

    def get_fields(self, request: HttpRequest, obj: object | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return (*self.list_display, "transcript") if _may_review(request) else self.list_display

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        rows: QuerySet[Conversation] = super().get_queryset(request)
        owners = Participant.objects.filter(role=Role.OWNER).select_related("user")
        return rows.annotate(message_count=Count("messages", distinct=True)).prefetch_related(
            Prefetch("participants", owners, to_attr="owners")
        )

    @admin.display(description=_("owner"))
    def owner(self, conversation: Conversation) -> str:
        owners: list[Participant] = conversation.owners  # type: ignore[attr-defined]  # prefetched
        return ", ".join(owner.user.email for owner in owners)

    @admin.display(description=_("messages"), ordering="message_count")
    def messages(self, conversation: Conversation) -> int:
        count: int = conversation.message_count  # type: ignore[attr-defined]  # annotated
        return count

    @admin.display(description=_("deleted"), boolean=True)
    def is_deleted(self, conversation: Conversation) -> bool:
        return conversation.deleted_at is not None

    @admin.display(description=_("transcript"))
    def transcript(self, conversation: Conversation) -> SafeString:
        address = reverse("admin:transcript", args=[conversation.public_id])
        return format_html('<a href="{}">{}</a>', address, gettext("Read the transcript"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(transcript))
        return [path("<slug:public_id>/transcript/", view, name="transcript"), *super().get_urls()]


def transcript(request: HttpRequest, public_id: str) -> HttpResponse:
    """The branch that everybody sees with its notes, for people with the review right alone."""
    conversation = access.reviewed_conversation(request.user, public_id)
    branch = Message.objects.branch_to(conversation.head_id, with_notes=True).for_thread()
    page = Paginator(branch, settings.TRANSCRIPT_PAGE).get_page(request.GET.get("page"))
    # Before anything is shown, and by itself: what goes wrong later takes no entry back.
    audit.record(actor(request), "conversation.reviewed", conversation, page=page.number)
    context = {
        "conversation": conversation,
        "page": page,
        "articles": [Article.of(message) for message in page],
        "participants": conversation.participants.select_related("user"),
    }
    return render(request, "admin/conversations/transcript.html", context)


def _may_review(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.may_review
