"""What a server's error status or error object means."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from .errors import (
    BadKey,
    BadRequest,
    ContextTooLong,
    ModelNotFound,
    NoQuota,
    RateLimited,
    Refused,
    ServerFailed,
    UpstreamError,
    masked,
    presentable,
)
from .retries import retry_after
from .sentences import gettext_noop

# Statuses after which the official clients send the same request again.
RESENDABLE = frozenset({408, 409, 429})
_QUOTA = re.compile(
    r"insufficient[_ ]quota|billing[_ ](?:hard[_ ]limit|not[_ ]active)|credits?\b.*exhaust",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context[_ ](?:length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|exceeds? .{0,40}context",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"model[_ ]not[_ ]found|model .{0,200}(?:does not exist|not found)|no such model",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate[_ ]limit", re.IGNORECASE)
ERROR_STATUS = gettext_noop("The model's server answered with error %(status)s.")
_OPAQUE = (BadKey, NoQuota, ContextTooLong, ModelNotFound)


def from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str], now: float
) -> UpstreamError:
    """Classify an answer with an error status. `now` is the wall clock, for HTTP dates."""
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    error = parsed.get("error") or parsed if isinstance(parsed, dict) else parsed
    failure = refusal(status, error, secrets)
    text = masked(body[:8000].decode("utf-8", "replace"), secrets)
    failure.detail = f"HTTP {status}: {text}"[:2000]
    failure.retry_after = retry_after(headers, now=now)
    if (should := headers.get("x-should-retry")) in {"true", "false"}:
        failure.resend = should == "true"
    return failure


def refusal(status: int | None, error: object, secrets: Iterable[str]) -> UpstreamError:
    """Classify an error object in any of its shapes; `status` is None inside a 200 stream."""
    fields = error if isinstance(error, dict) else {"message": error}
    if isinstance(nested := fields.get("error"), dict):
        fields = nested
    if status is None:
        status = _status(fields)
    texts = (fields.get(name) for name in ("code", "type", "message", "error", "detail"))
    words = " ".join(str(text or "")[:2000] for text in texts)
    kind = _kind(status, words)
    message = fields.get("message") or fields.get("detail")
    said = "" if issubclass(kind, _OPAQUE) else presentable(message, secrets)
    failure = kind(_sentence(kind, status, said), status=status, detail=masked(str(error), secrets))
    failure.resend = _resend(kind, status)
    return failure


def _status(fields: Mapping[str, Any]) -> int | None:
    for name in ("code", "status", "status_code"):
        value = fields.get(name)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return None


def _kind(status: int | None, words: str) -> type[Refused]:
    if status == 402 or _QUOTA.search(words):
        kind: type[Refused] = NoQuota
    elif status == 429 or (status is None and _RATE.search(words)):
        kind = RateLimited
    elif status in {401, 403, 407} or (status is None and "invalid_api_key" in words):
        kind = BadKey
    elif status == 413 or (status in {None, 400, 422} and _CONTEXT.search(words)):
        kind = ContextTooLong
    elif status == 404 or (status in {None, 400} and _MODEL.search(words)):
        kind = ModelNotFound
    elif status is not None and status < 500 and status not in RESENDABLE:
        kind = BadRequest
    else:
        kind = ServerFailed
    return kind


def _sentence(kind: type[Refused], status: int | None, said: str) -> str:
    if not said:
        if kind is ServerFailed and status is not None:
            return ERROR_STATUS % {"status": status}
        return kind.sentence
    return f"{kind.sentence.rstrip('.')}: {said}"


def _resend(kind: type[Refused], status: int | None) -> bool:
    return (
        not issubclass(kind, NoQuota)
        and status is not None
        and (status in RESENDABLE or status >= 500)
    )
