"""The gateway's contract as an OpenAPI 3.1 document, from which the portal's page about it is made.

Ranges are the gateway's own: a test holds the one against the other.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from conversations.upstream import MAX_CHOICES, MAX_STOPS

MOST_TOKENS = 10_000_000  # ten times what the longest model reads
ROLES = ("system", "user", "assistant")
JSON, EVENTS = "application/json", "text/event-stream"

# For the caller's or OpenAI's own bookkeeping: taken, and passed on to nobody.
IGNORED = ("user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier")
# OpenAI's, known to change nothing with these values alone.
NEUTRAL: dict[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "store": False,
    "tools": [],
    "response_format": {"type": "text"},
    "modalities": ["text"],
}

PARAMETERS = (
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
    "stop",
    "n",
)
REQUIRED = ["model", "messages"]

TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


def parameters() -> dict[str, dict[str, Any]]:
    """Of a request, as JSON Schema; those without a default in the reference are required."""
    most_tokens = WHOLE | {"minimum": 1, "maximum": MOST_TOKENS}
    sequence = TEXT | {"minLength": 1}
    return {
        "model": TEXT | {"minLength": 1, "description": _("The id of a model, as listed.")},
        "messages": {
            "type": "array",
            "minItems": 1,
            "maxItems": settings.CALL_MESSAGES,
            "items": {"$ref": "#/components/schemas/Message"},
            "description": _("The conversation so far, the oldest first."),
        },
        "temperature": _or_null(NUMBER)
        | {
            "minimum": 0,
            "maximum": 2,
            "default": 1.0,
            "description": _("How freely the model chooses its words."),
        },
        "top_p": _or_null(NUMBER)
        | {
            "minimum": 0,
            "maximum": 1,
            "default": 1.0,
            "description": _("From which share of likely words it chooses."),
        },
        "max_tokens": _or_null(most_tokens)
        | {"description": _("The longest answer, in tokens; none: as long as the model likes.")},
        "max_completion_tokens": _or_null(most_tokens)
        | {"description": _("A newer name for the same.")},
        "stream": _or_null({"type": "boolean"})
        | {"default": False, "description": _("Send words as they are written.")},
        "stream_options": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "include_usage": _or_null({"type": "boolean"}),
                "include_obfuscation": {"const": False},
            },
            "description": _("With a stream: include_usage sends the tokens at the end."),
        },
        "stop": {
            "anyOf": [
                sequence,
                {"type": "array", "maxItems": MAX_STOPS, "items": sequence},
                {"type": "null"},
            ],
            "description": _("Up to four texts at which the answer ends."),
        },
        "n": _or_null(WHOLE)
        | {
            "minimum": 1,
            "maximum": MAX_CHOICES,
            "default": 1,
            "description": _("How many answers."),
        },
    }


ERRORS: dict[str, Any] = {
    "400": _("The request is malformed; `param` names the parameter."),
    "401": _("The key is missing or good no more."),
    "404": _("This key may use no such model."),
    "413": _("The body is too large."),
    "429": _("Too many requests, tokens or calls at once; `Retry-After` says when to ask again."),
    "500": _("The model's server failed, or the portal; `code` says which."),
    "503": _("The portal is full or restarting; `Retry-After` says when to ask again."),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter as the page about it shows it."""

    name: str
    kind: str
    default: str
    required: bool
    does: Any


def rows() -> list[Row]:
    return [
        Row(
            name,
            _kind(schema),
            json.dumps(schema["default"]) if "default" in schema else "",
            name in REQUIRED,
            schema["description"],
        )
        for name, schema in parameters().items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    """A JSON type, with its range where it has one."""
    if "anyOf" in schema:
        return " | ".join(_kind(one) for one in schema["anyOf"] if one["type"] != "null")
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    kind = " | ".join(one for one in kinds if one != "null")
    if "minimum" in schema:
        return f"{kind} {schema['minimum']}–{schema['maximum']}"  # noqa: RUF001  a range's dash
    return kind


def document() -> dict[str, Any]:
    """In English, as it is read by programs."""
    with translation.override("en"):
        told: dict[str, Any] = _plain(_document())
    return told


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.PORTAL_NAME}: chat completions",
            "version": "1",
            "description": _("The models of this portal for your programs."),
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": {"post": _completions()},
            "/v1/models": {
                "get": _reading("listModels", _("The models that this key may use."), "ModelList")
            },
            "/v1/models/{model}": {
                "get": _reading("retrieveModel", _("One of these models."), "Model")
                | {"parameters": [_model_parameter()]}
            },
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _completions() -> dict[str, Any]:
    answer = {
        JSON: {"schema": {"$ref": "#/components/schemas/Completion"}},
        EVENTS: {"schema": TEXT},
    }
    return {
        "operationId": "createChatCompletion",
        "summary": _("An answer to a conversation."),
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Request"}}},
        },
        "responses": {
            "200": {
                "description": _("The answer; with `stream` as events that end with `[DONE]`."),
                "content": answer,
            },
            **_errors(*ERRORS),
        },
    }


def _reading(name: str, summary: Any, schema: str) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": content},
            **_errors("400", "401", "404", "500", "503"),
        },
    }


def _model_parameter() -> dict[str, Any]:
    return {"name": "model", "in": "path", "required": True, "schema": TEXT | {"minLength": 1}}


def _errors(*statuses: str) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": ERRORS[status], "content": content} for status in statuses}


def _object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """Closed: what is not named here does not occur."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties) if required is None else required,
        "properties": properties,
    }


def _schemas() -> dict[str, Any]:
    anything: dict[str, Any] = {}
    ignored = dict.fromkeys(IGNORED, anything)
    neutral = {name: {"enum": [value, None]} for name, value in NEUTRAL.items()}
    nullable = _or_null(TEXT)
    choice = _object(
        index=WHOLE,
        message=_object(role={"const": "assistant"}, content=TEXT),
        finish_reason=TEXT,
    )
    return {
        "Request": _object(REQUIRED, **parameters(), **ignored, **neutral),
        "Message": _object(
            ["role", "content"],
            role={"enum": list(ROLES)},
            content=TEXT,
            name=nullable,
            **{name: {"enum": [None]} for name in ("refusal", "tool_calls", "audio")},
        ),
        "Completion": _object(
            id=TEXT,
            object={"const": "chat.completion"},
            created=WHOLE,
            model=TEXT,
            choices={"type": "array", "items": choice},
            usage={"$ref": "#/components/schemas/Usage"},
        ),
        "Usage": _object(prompt_tokens=WHOLE, completion_tokens=WHOLE, total_tokens=WHOLE),
        "Model": _object(id=TEXT, object={"const": "model"}, created=WHOLE, owned_by=TEXT),
        "ModelList": _object(
            object={"const": "list"},
            data={"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        ),
        "Error": _object(error=_object(message=TEXT, type=TEXT, param=nullable, code=nullable)),
    }


def _plain(value: Any) -> Any:
    """Without lazy strings, which no JSON library knows."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else str(value)
