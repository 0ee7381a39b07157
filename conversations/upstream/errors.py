"""Everything that can go wrong between us and an upstream.

UpstreamError
├── InvalidRequest           invalid_request, nothing was sent; has `param`
├── Busy                     busy, all connections to this upstream are in use
├── Unreachable              unreachable, no connection
│   ├── Disconnected         disconnected, a connection that gave no byte of an answer
│   └── TLSFailed            tls
├── Redirected               redirected, never followed
├── Refused                  refused, an error status or an error object; has `status`
│   ├── BadRequest           bad_request
│   │   └── ContextTooLong   context_too_long
│   ├── BadKey               bad_key
│   ├── ModelNotFound        model_not_found
│   ├── RateLimited          rate_limited
│   │   └── NoQuota          no_quota
│   └── ServerFailed         upstream_error
├── Unreadable               unreadable, an answer in no form that we know
├── TooLarge                 too_large, a limit reached before any text came
├── NoFirstToken             timeout_first_token
└── Interrupted              interrupted, the answer broke off
    └── Stalled              timeout_idle
"""

import json
import re
from collections.abc import Iterable
from typing import ClassVar

from .sentences import gettext_noop

MESSAGE_CHARACTERS = 300
DETAIL_CHARACTERS = 2000
QUOTED_CHARACTERS = 16  # as many in a row, or a whole shorter text, are no chance

_LOOKS_LIKE_HTML = re.compile(r"<[a-zA-Z!/?]|&(?:#\w+|[a-zA-Z]+);")
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
# A key that a server quotes back may be another one than ours, a neighbour's for example.
_SECRETS = re.compile(
    r"(?i)((?:bearer|basic)\s+)[^\s\"',;]+"
    r"|((?:authorization|api[-_]?key|x-api-key|cookie)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+"
    r"|\b(?:sk|lt|pk|key)[-_][\w*.-]{6,}"
)


class UpstreamError(Exception):
    """One failure, with a sentence for the person and details for the operator.

    `retryable`: asking again later may help. `retry_after`: seconds that the server named.
    `operator_fault`: only those who run the portal can mend it. `after_text`: part of the
    answer had already been handed out.
    """

    code: ClassVar[str] = "upstream_error"
    retryable: ClassVar[bool] = False
    operator_fault: ClassVar[bool] = False
    sentence: ClassVar[str] = gettext_noop("The model's server failed.")

    def __init__(
        self,
        message: str = "",
        *,
        detail: str = "",
        retry_after: float | None = None,
        status: int | None = None,
        resend: bool | None = None,
    ) -> None:
        self.message = message or self.sentence
        self.detail = detail[:DETAIL_CHARACTERS]
        self.retry_after = retry_after
        self.status = status
        # The server's word on whether the same request may be sent again at once.
        self.resend = resend
        self.after_text = False
        super().__init__(self.message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, status={self.status})"


class InvalidRequest(UpstreamError, ValueError):
    code = "invalid_request"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class Busy(UpstreamError):
    code = "busy"
    retryable = True
    sentence = gettext_noop(
        "All connections to the model's server are in use. Please try again in a moment."
    )


class Unreachable(UpstreamError):
    code = "unreachable"
    retryable = True
    sentence = gettext_noop("The model's server cannot be reached.")


class Disconnected(Unreachable):
    code = "disconnected"
    sentence = gettext_noop("The model's server closed the connection without an answer.")


class TLSFailed(Unreachable):
    code = "tls"
    retryable = False
    operator_fault = True
    sentence = gettext_noop(
        "The secure connection to the model's server failed; the operators have to look."
    )


class Redirected(UpstreamError):
    code = "redirected"
    operator_fault = True
    sentence = gettext_noop(
        "The upstream URL redirects elsewhere; the operators have to correct it."
    )


class Refused(UpstreamError):
    code = "refused"
    sentence = gettext_noop("The model's server refused the request.")


class BadRequest(Refused):
    code = "bad_request"


class ContextTooLong(BadRequest):
    code = "context_too_long"
    sentence = gettext_noop("The conversation is longer than this model can read.")


class BadKey(Refused):
    code = "bad_key"
    operator_fault = True
    sentence = gettext_noop(
        "The model's server does not accept the portal's key; the operators have to look."
    )


class ModelNotFound(Refused):
    code = "model_not_found"
    sentence = gettext_noop("The model's server does not know this model.")


class RateLimited(Refused):
    code = "rate_limited"
    retryable = True
    sentence = gettext_noop("The model's server has too many requests at the moment.")


class NoQuota(RateLimited):
    code = "no_quota"
    retryable = False
    operator_fault = True
    sentence = gettext_noop("The portal's quota with the model's server is used up.")


class ServerFailed(Refused):
    code = "upstream_error"
    retryable = True
    sentence = gettext_noop("The model's server failed.")


class Unreadable(UpstreamError):
    code = "unreadable"
    retryable = True
    sentence = gettext_noop("The model's server sent an unreadable answer.")


class TooLarge(UpstreamError):
    code = "too_large"
    sentence = gettext_noop("The model's server sent more than the portal accepts.")


class NoFirstToken(UpstreamError):
    code = "timeout_first_token"
    retryable = True
    sentence = gettext_noop("The model did not begin to answer in time.")


class Interrupted(UpstreamError):
    code = "interrupted"
    retryable = True
    sentence = gettext_noop("The answer was interrupted.")


class Stalled(Interrupted):
    code = "timeout_idle"
    sentence = gettext_noop("The model fell silent in the middle of its answer.")


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Take out what looks like a key and each of `secrets`; for logs and details."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    return _SECRETS.sub(lambda found: (found[1] or found[2] or "") + "[key]", text)


def unquoted(text: str, said: Iterable[str]) -> str:
    """Take out what repeats the beginnings of what was said: servers quote requests that they
    refuse, and the log is read by people whom the conversation does not concern."""
    for words in (whole[: len(text)] for whole in said):
        forms = {words, repr(words)[1:-1]}
        forms |= {json.dumps(words, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        # The longest has the most escapes: a plainer one would end at the first of them.
        for form in sorted(forms, key=len, reverse=True):
            text = _without(text, form)
    return text


def _without(text: str, words: str) -> str:
    probe = words[:QUOTED_CHARACTERS]
    at = text.find(probe) if len(probe) >= 4 else -1
    while at >= 0:
        end = at + len(probe)
        while end < len(text) and text[at : end + 1] == words[: end + 1 - at]:
            end += 1
        text = f"{text[:at]}[text]{text[end:]}"
        at = text.find(probe, at + len("[text]"))
    return text


def presentable(text: object, secrets: Iterable[str] = ()) -> str:
    """A stranger's words as one plain line for people; empty when they are no plain words."""
    if not isinstance(text, str) or _LOOKS_LIKE_HTML.search(text[: 4 * DETAIL_CHARACTERS]):
        return ""
    line = " ".join(_UNPRINTABLE.sub(" ", masked(text[:DETAIL_CHARACTERS], secrets)).split())
    line = line.encode("utf-8", "replace").decode()
    if len(line) > MESSAGE_CHARACTERS:
        return line[: MESSAGE_CHARACTERS - 1].rstrip() + "…"
    return line
