"""What belongs to the portal as a whole."""

import sys

from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from django.views.defaults import server_error

from conversations import branding

# Away, restarting, full, locked for too long, or taking no writes (which psycopg calls an internal
# error): none of it is a mistake of ours, and all of it passes.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
RETRY_AFTER = 5
# PostgreSQL's word for going on after an error within a transaction, which is a mistake of ours.
IN_FAILED_TRANSACTION = "25P02"


def failed(request: HttpRequest) -> HttpResponse:
    """What no page expected, wherever it came up. Asks the database for nothing."""
    error = sys.exc_info()[1]
    state = getattr(getattr(error, "__cause__", None), "sqlstate", None)
    if not isinstance(error, DATABASE_AWAY) or state == IN_FAILED_TRANSACTION:
        return server_error(request)
    if request.headers.get("HX-Request"):
        content = _("The portal is busy with its database. Please try again in a moment.")
        kind = "text/plain; charset=utf-8"
    else:
        content, kind = render_to_string("503.html"), "text/html; charset=utf-8"
    headers = {"Retry-After": str(RETRY_AFTER)}
    return HttpResponse(content, status=503, content_type=kind, headers=headers)


@require_GET
def brand(_request: HttpRequest) -> HttpResponse:
    """The accent as a stylesheet: the same for everybody, signed in or not."""
    return HttpResponse(
        branding.stylesheet(),
        content_type="text/css",
        headers={"Cache-Control": "public, max-age=300"},
    )
