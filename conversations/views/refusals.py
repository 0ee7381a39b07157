"""What an action refused, and its view has no better place for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from conversations.actions.refusals import Refused


class Refusals:
    """A middleware: 409 with the sentence alone, which pages say in passing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, _request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Refused):
            return None
        plain = "text/plain; charset=utf-8"
        return HttpResponse(exception.message, status=409, content_type=plain)
