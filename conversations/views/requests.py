"""What the decorators on our views guarantee about a request."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from conversations.models import User


class SignedInRequest(HttpRequest):
    user: User
    htmx: HtmxDetails


def wants_fragment(request: SignedInRequest) -> bool:
    """htmx asks for a piece, unless it restores a page from the browser's history."""
    return bool(request.htmx) and not request.htmx.history_restore_request
