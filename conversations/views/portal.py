"""What belongs to the portal as a whole."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from conversations import branding


@require_GET
def brand(_request: HttpRequest) -> HttpResponse:
    """The accent as a stylesheet: the same for everybody, signed in or not."""
    return HttpResponse(
        branding.stylesheet(),
        content_type="text/css",
        headers={"Cache-Control": "public, max-age=300"},
    )
