"""What a signed-in person sees stays out of every cache, and what our pages never ask for no script
of theirs may. What requests come to is counted."""

import time
from collections.abc import Callable

from django.db import Error as AnyDatabaseError
from django.http import HttpRequest, HttpResponse

from chatweb import logs
from conversations import tracing
from conversations.counts import counts

PERMISSIONS = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


class PrivateResponses:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        response["Permissions-Policy"] = PERMISSIONS
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


class Counted:
    """The first of all, so that it sees what the others answer by themselves. Tells the log whose
    request it is, once somebody has looked that up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.monotonic()
        logs.person.set(lambda: _person(request))
        with tracing.span("request", request_id=logs.request_id.get()):
            response = self.get_response(request)
            match = request.resolver_match
            view = match.view_name if match is not None else ""
            tracing.note(view=view, status=response.status_code)
        counts.request(view, response.status_code, time.monotonic() - begun)
        return response

    def process_exception(self, _request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, AnyDatabaseError):
            counts.database_error()


def _person(request: HttpRequest) -> str:
    """Django keeps the user here when `request.user` was asked for; asking costs queries."""
    return getattr(getattr(request, "_cached_user", None), "public_id", "")
