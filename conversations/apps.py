"""The one app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from conversations import tracing


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = _("Conversations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        tracing.begin()
