"""Calling people by name in a message: who is meant, and word to them."""

from collections import defaultdict

from django.conf import settings
from django.utils import translation
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from conversations import markdown
from conversations.models import Conversation, Mention, Message, User


def render(text: str, conversation: Conversation) -> SafeString:
    """The text as all see it, with the calls of those who take part marked."""
    names = _names(conversation) if "@" in text else {}
    return markdown.render(text, names=names)


def note(message: Message) -> dict[int, str]:
    """Keeps whom a new message calls, inside the caller's transaction: {person: notice}. Its HTML
    holds the names that were found as it was rendered; who they are is asked now."""
    called = markdown.mentioned(message.html)
    if not called:
        return {}
    names = _names(message.conversation)
    meant: dict[int, str] = {}
    for name in called:
        for person in names.get(name.lower(), ()):
            meant.setdefault(person, name)
    meant.pop(message.author_id or 0, None)
    bounded = dict(list(meant.items())[: settings.MENTIONS_PER_MESSAGE])
    Mention.objects.bulk_create(
        Mention(message=message, user_id=person, written=name) for person, name in bounded.items()
    )
    author = message.author.display_name if message.author else ""
    with translation.override(settings.LANGUAGE_CODE):
        text = _("%(name)s mentions you.") % {"name": author}
    return dict.fromkeys(bounded, text)


def _names(conversation: Conversation) -> dict[str, set[int]]:
    """{name in lower case: whom it means}: whole names, and first ones that mean one alone."""
    whole: dict[str, set[int]] = defaultdict(set)
    first: dict[str, set[int]] = defaultdict(set)
    people = User.objects.filter(participations__conversation=conversation, is_active=True)
    for person in people.only("name", "email"):
        name = person.display_name.lower()
        whole[name].add(person.pk)
        first[name.split()[0] if name.split() else name].add(person.pk)
    alone = {name: meant for name, meant in first.items() if len(meant) == 1}
    return alone | whole
