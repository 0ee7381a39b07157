"""What can go wrong with a call, as OpenAI's error object and with the reference's statuses.

In English whatever the language of the portal: programs read it, and those who write them.
"""

from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import Any

from django.utils import timezone

from conversations.upstream import (
    BadRequest,
    Busy,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    NoQuota,
    RateLimited,
    UpstreamError,
)

INVALID, SERVER = "invalid_request_error", "server_error"
# Read by OpenAI's clients: asking again does not help.
FINAL = {"x-should-retry": "false"}


class Problem(Exception):
    """An answer with an error status, or an error in the middle of a stream."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


def invalid(param: str | None, message: str, code: str = "invalid_value") -> Problem:
    return Problem(400, message, param=param, code=code)


def no_key() -> Problem:
    text = "No API key was given. Send it in the header `Authorization: Bearer lt_…`."
    return Problem(401, text, code="missing_api_key", headers={"WWW-Authenticate": "Bearer"})


def bad_key() -> Problem:
    """The same whether it never was a key, ran out, was revoked or belongs to nobody any more."""
    text = "The API key is not valid (any more). Make one on the portal's page of keys."
    challenge = 'Bearer error="invalid_token"'
    return Problem(401, text, code="invalid_api_key", headers={"WWW-Authenticate": challenge})


def no_model(model: str) -> Problem:
    """What a key may not use does not exist for it."""
    shown = model if len(model) <= 200 else f"{model[:200]}…"
    text = f"The model '{shown}' does not exist or you do not have access to it."
    return Problem(404, text, param="model", code="model_not_found")


def no_address(method: str, path: str) -> Problem:
    text = f"Unknown request URL: {method} {path[:200]}. See /v1/openapi.json for what there is."
    return Problem(404, text, code="unknown_url")


def no_method(method: str, allowed: str) -> Problem:
    text = f"Not allowed here: {method}. Use {allowed}."
    return Problem(405, text, code="method_not_supported", headers={"Allow": allowed})


def too_large(most: int) -> Problem:
    return Problem(413, f"The body is larger than {most} bytes.", code="request_too_large")


def insecure() -> Problem:
    text = "This portal is reached over https only. Your key was just sent in the clear: revoke it."
    return Problem(400, text, code="https_required")


def too_many(message: str, wait: float | None = None) -> Problem:
    """`wait`, in seconds, is known or guessed."""
    headers = {"Retry-After": str(max(1, ceil(wait or 1)))}
    code = "rate_limit_exceeded"
    return Problem(429, message, kind="requests", code=code, headers=headers)


def over_rate(what: str, limit: int, wait: float) -> Problem:
    """`what` a minute: requests or tokens. `wait` is in seconds."""
    text = f"Over {limit} {what} a minute. Try again in {max(1, ceil(wait))} s."
    headers = {"Retry-After": str(max(1, ceil(wait))), "retry-after-ms": str(ceil(wait * 1000))}
    return Problem(429, text, kind=what, code="rate_limit_exceeded", headers=headers)


def over_budget(message: str, until: datetime) -> Problem:
    """No use to try again before `until`."""
    wait = max(1, ceil((until - timezone.now()).total_seconds()))
    told = FINAL | {"Retry-After": str(wait)}
    quota = "insufficient_quota"
    return Problem(429, message, kind=quota, code=quota, headers=told)


def overloaded() -> Problem:
    text = "The portal has as many calls running as it takes. Try again in a moment."
    return Problem(503, text, kind=SERVER, code="overloaded", headers={"Retry-After": "1"})


def database_away(seconds: int) -> Problem:
    text = "The portal is busy with its database. Try again in a moment."
    headers = {"Retry-After": str(seconds)}
    return Problem(503, text, kind=SERVER, code="overloaded", headers=headers)


def restarting() -> Problem:
    text = "The portal is being restarted. Try again in a moment."
    return Problem(503, text, kind=SERVER, code="restarting", headers={"Retry-After": "2"})


def internal() -> Problem:
    text = "Something went wrong in the portal. It has been noted."
    return Problem(500, text, kind=SERVER, code="internal_error")


def of_upstream(error: UpstreamError) -> Problem:
    """The caller's fault where the server says so and the operators can do nothing about it; its
    own words only there, as far as they are plain."""
    if isinstance(error, BadRequest | InvalidRequest):
        param = getattr(error, "param", None)
        if isinstance(error, ContextTooLong):
            return invalid("messages", error.message, code="context_length_exceeded")
        return invalid(param, error.message)
    if isinstance(error, ModelNotFound):
        return Problem(404, error.message, param="model", code="model_not_found")
    if isinstance(error, RateLimited) and not isinstance(error, NoQuota):
        return too_many(error.sentence, error.retry_after)
    return overloaded() if isinstance(error, Busy) else _not_the_callers(error)


def _not_the_callers(error: UpstreamError) -> Problem:
    code = f"upstream_{error.code.removeprefix('upstream_')}"
    again = {} if error.retryable else FINAL
    return Problem(500, error.sentence, kind=SERVER, code=code, headers=again)
