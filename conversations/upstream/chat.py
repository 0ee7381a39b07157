"""What is asked of an upstream: the parameters of the chat completions API with their ranges."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

from .errors import InvalidRequest
from .sentences import gettext_noop

Role = Literal["system", "user", "assistant"]
ROLES: tuple[str, ...] = get_args(Role)

MAX_STOPS = 4
MAX_CHOICES = 8

_ROLE = gettext_noop("A message's role must be system, user or assistant.")
_NO_MODEL = gettext_noop("The model must be named.")
_NO_MESSAGES = gettext_noop("There must be at least one message.")
_STOPS = gettext_noop("There can be at most %(most)s stop sequences.")
_EMPTY_STOP = gettext_noop("A stop sequence must not be empty.")
_TEXT = gettext_noop("%(param)s must be text.")
_HALF = gettext_noop("%(param)s holds half of a character.")
_NUMBER = gettext_noop("%(param)s must be a number from 0 to %(most)s.")
_WHOLE = gettext_noop("%(param)s must be a whole number of at least 1.")
_WHOLE_TO = gettext_noop("%(param)s must be a whole number from 1 to %(most)s.")


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidRequest("messages", _ROLE)
        _check_text("messages", self.content)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that is known to be valid: raises InvalidRequest, which names the parameter.

    Parameters left at None are not sent, so the server's own defaults hold.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1

    def __post_init__(self) -> None:
        _check_text("model", self.model)
        if not self.model.strip():
            raise InvalidRequest("model", _NO_MODEL)
        if not self.messages:
            raise InvalidRequest("messages", _NO_MESSAGES)
        _check_number("temperature", self.temperature, most=2)
        _check_number("top_p", self.top_p, most=1)
        if self.max_tokens is not None:
            _check_count("max_tokens", self.max_tokens, most=None)
        _check_count("n", self.n, most=MAX_CHOICES)
        if not isinstance(self.stop, tuple) or len(self.stop) > MAX_STOPS:
            raise InvalidRequest("stop", _STOPS % {"most": MAX_STOPS})
        for sequence in self.stop:
            _check_text("stop", sequence)
            if not sequence:
                raise InvalidRequest("stop", _EMPTY_STOP)

    def to_json(self, *, stream: bool, usage: bool = False) -> bytes:
        """Give the request's body; `usage` asks for token counts at the end of a stream."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "stream": stream,
        }
        for name in ("temperature", "top_p", "max_tokens"):
            if (value := getattr(self, name)) is not None:
                body[name] = value
        if self.stop:
            body["stop"] = self.stop
        # Not every server knows `n`; one that is asked for the default should not have to.
        if self.n > 1:
            body["n"] = self.n
        if stream and usage:
            body["stream_options"] = {"include_usage": True}
        return orjson.dumps(body)


def _check_text(param: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(param, _TEXT % {"param": param})
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(param, _HALF % {"param": param}) from None


def _check_number(param: str, value: object, *, most: float) -> None:
    if value is None:
        return
    # bool is an int in Python, and `true` is no temperature.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and 0 <= value <= most):  # type: ignore[arg-type, operator]
        raise InvalidRequest(param, _NUMBER % {"param": param, "most": most})


def _check_count(param: str, value: object, *, most: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and value >= 1 and (most is None or value <= most):  # type: ignore[operator]
        return
    bounds = _WHOLE if most is None else _WHOLE_TO
    raise InvalidRequest(param, bounds % {"param": param, "most": most})
