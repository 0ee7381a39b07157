"""What a call asks for: the reference's parameters, each with its range, and nothing else.

A field that is not known here is refused by name, so that nobody takes it for heeded. A few fields
that clients of OpenAI's send by themselves are taken where they change nothing, and go nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson
from django.conf import settings

from conversations.gateway.problems import invalid
from conversations.openapi import IGNORED, MOST_TOKENS, NEUTRAL, PARAMETERS, ROLES
from conversations.upstream import ChatMessage, ChatRequest, InvalidRequest

TEMPERATURE = TOP_P = 1.0
OF_A_MESSAGE = {"role", "content"}
# OpenAI's clients give an answer back with these empty.
EMPTY_IN_A_MESSAGE = {"refusal", "tool_calls", "function_call", "audio", "annotations", "name"}
MISSING = "missing_required_parameter"


@dataclass(frozen=True, slots=True)
class Asked:
    request: ChatRequest
    stream: bool
    include_usage: bool

    def completed(self, defaults: Mapping[str, Any]) -> Self:
        """With the model's own parameters and those of the reference, where the caller has none."""
        own = {"temperature": TEMPERATURE, "top_p": TOP_P} | dict(defaults)
        own["stop"] = tuple(own.get("stop") or ())
        missing: dict[str, Any] = {
            name: own.get(name)
            for name in ("temperature", "top_p", "max_tokens", "stop")
            if getattr(self.request, name) in (None, ())
        }
        return replace(self, request=replace(self.request, **missing))


def read(body: bytes) -> Asked:
    """Raises Problem, which names the parameter."""
    try:
        fields: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(None, f"The body is not JSON: {error.msg}.", "invalid_json") from None
    if not isinstance(fields, dict):
        raise invalid(None, "The body must be a JSON object.", "invalid_json")
    _refuse_unknown(fields)
    # A parameter that is null is one that was not given.
    given = {name: value for name, value in fields.items() if value is not None}
    stream = _switch(given, "stream")
    try:
        request = ChatRequest(
            model=_required(given, "model"),
            messages=_messages(_required(given, "messages")),
            temperature=given.get("temperature"),
            top_p=given.get("top_p"),
            max_tokens=_max_tokens(given),
            stop=_stop(given.get("stop", [])),
            n=given.get("n", 1),
        )
    except InvalidRequest as error:
        raise invalid(error.param, error.message) from None
    return Asked(request, stream, _include_usage(given, stream=stream))


def _refuse_unknown(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name in PARAMETERS or name in IGNORED:
            continue
        if name not in NEUTRAL:
            shown = name[:100]
            raise invalid(shown, f"Unknown parameter: '{shown}'.", "unknown_parameter")
        if value is not None and not _same(value, NEUTRAL[name]):
            neutral = orjson.dumps(NEUTRAL[name]).decode()
            text = f"'{name}' is not supported here other than as {neutral}."
            raise invalid(name, text, "unsupported_parameter")


def _same(value: Any, neutral: Any) -> bool:
    """0 is no `false` and `false` is no 0."""
    return bool(value == neutral) and isinstance(value, bool) == isinstance(neutral, bool)


def _required(given: dict[str, Any], name: str) -> Any:
    if name not in given:
        raise invalid(name, f"Missing required parameter: '{name}'.", MISSING)
    return given[name]


def _switch(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise invalid(name, f"{name} must be true or false.")
    return value


def _messages(value: Any) -> tuple[ChatMessage, ...]:
    if not isinstance(value, list):
        raise invalid("messages", "messages must be an array.")
    if not value:
        raise invalid("messages", "messages must hold at least one message.")
    if len(value) > settings.CALL_MESSAGES:
        raise invalid("messages", f"There can be at most {settings.CALL_MESSAGES} messages.")
    messages = tuple(_message(f"messages[{at}]", one) for at, one in enumerate(value))
    if sum(len(one.content) for one in messages) > settings.PROMPT_MAX_CHARS:
        text = f"The messages are longer than {settings.PROMPT_MAX_CHARS} characters."
        raise invalid("messages", text, "context_length_exceeded")
    return messages


def _message(where: str, value: Any) -> ChatMessage:
    if not isinstance(value, dict):
        raise invalid(where, f"{where} must be an object.")
    for name, field in value.items():
        if name in OF_A_MESSAGE or (name in EMPTY_IN_A_MESSAGE and not field):
            continue
        if name == "name" and isinstance(field, str):
            continue
        shown = f"{where}.{name[:100]}"
        raise invalid(shown, f"Unknown parameter: '{shown}'.", "unknown_parameter")
    role, content = value.get("role"), value.get("content")
    for name, part in (("role", role), ("content", content)):
        if part is None:
            raise invalid(f"{where}.{name}", f"Missing: '{where}.{name}'.", MISSING)
    if role not in ROLES:
        raise invalid(f"{where}.role", f"{where}.role must be one of {', '.join(ROLES)}.")
    if not isinstance(content, str):
        raise invalid(f"{where}.content", f"{where}.content must be a string.")
    return ChatMessage(role, content)


def _max_tokens(given: dict[str, Any]) -> int | None:
    """OpenAI has a newer name for it; both at once must say the same."""
    older, newer = given.get("max_tokens"), given.get("max_completion_tokens")
    if older is not None and newer is not None and older != newer:
        text = "max_tokens and max_completion_tokens are the same: give one of them."
        raise invalid("max_completion_tokens", text)
    name = "max_tokens" if newer is None else "max_completion_tokens"
    value = older if newer is None else newer
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TOKENS:
        raise invalid(name, f"{name} must be a whole number from 1 to {MOST_TOKENS}.")
    return value


def _stop(value: Any) -> tuple[str, ...]:
    sequences = [value] if isinstance(value, str) else value
    if not isinstance(sequences, list):
        raise invalid("stop", "stop must be a string or an array of strings.")
    if sum(len(one) for one in sequences if isinstance(one, str)) > settings.STOP_MAX_CHARS:
        raise invalid("stop", f"stop is longer than {settings.STOP_MAX_CHARS} characters.")
    return tuple(sequences)


def _include_usage(given: dict[str, Any], *, stream: bool) -> bool:
    options = given.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise invalid("stream_options", "stream_options must be an object.")
    if not stream:
        raise invalid("stream_options", "stream_options goes with stream=true alone.")
    for name, value in options.items():
        # OpenAI's padding against watchers of packet sizes; asking for none of it is heeded.
        if name == "include_usage" or (name == "include_obfuscation" and value is False):
            continue
        shown = f"stream_options.{name[:100]}"
        raise invalid(shown, f"Unknown parameter: '{shown}'.", "unknown_parameter")
    wanted = options.get("include_usage")
    if wanted is not None and not isinstance(wanted, bool):
        raise invalid("stream_options", "stream_options.include_usage must be true or false.")
    return bool(wanted)
