"""Which models exist and who serves them: from settings until operators manage rows."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from conversations.upstream import Limits, Timeouts, Upstream

MAIN = "main"
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    upstream: str
    note: str = ""


# What a server answered when UPSTREAM_MODELS is `auto`; the relay asks and fills it.
_learned: list[str] = []


def upstream() -> Upstream | None:
    """The server in use, or None while nothing is configured."""
    if settings.UPSTREAM_BASE_URL:
        return _upstream(
            MAIN,
            settings.UPSTREAM_BASE_URL,
            settings.UPSTREAM_API_KEY,
            can_continue=settings.UPSTREAM_CONTINUES,
        )
    if settings.LOCAL_MODEL_URL:
        # llama.cpp never answers a request for more than one choice.
        return _upstream(
            LOCAL, settings.LOCAL_MODEL_URL, "", can_continue=True, gives_choices=False
        )
    return None


@cache
def _upstream(
    name: str, base_url: str, api_key: str, *, can_continue: bool, gives_choices: bool = True
) -> Upstream:
    return Upstream(
        name=name,
        base_url=base_url,
        api_key=api_key,
        can_continue=can_continue,
        gives_choices=gives_choices,
        finish_reason_required=settings.UPSTREAM_SENDS_FINISH_REASON,
        trust_env=settings.UPSTREAM_TRUST_ENV,
        ca_file=settings.UPSTREAM_CA_FILE,
        timeouts=Timeouts(
            connect=settings.UPSTREAM_CONNECT_TIMEOUT,
            first_token=settings.UPSTREAM_FIRST_TOKEN_TIMEOUT,
            between_tokens=settings.UPSTREAM_IDLE_TIMEOUT,
            after_end=settings.UPSTREAM_AFTER_END_TIMEOUT,
            error=settings.UPSTREAM_ERROR_TIMEOUT,
            slot=settings.UPSTREAM_SLOT_TIMEOUT,
            total=settings.UPSTREAM_TOTAL_TIMEOUT,
        ),
        limits=Limits(
            event_bytes=settings.EVENT_MAX_BYTES,
            answer_bytes=settings.ANSWER_MAX_BYTES,
            body_bytes=settings.UPSTREAM_BODY_MAX_BYTES,
            json_bytes=settings.UPSTREAM_JSON_MAX_BYTES,
            error_bytes=settings.UPSTREAM_ERROR_MAX_BYTES,
            retries=settings.UPSTREAM_RETRIES,
            retry_budget=settings.UPSTREAM_RETRY_BUDGET,
            keepalive=settings.UPSTREAM_KEEPALIVE,
            connections=settings.GENERATIONS_PER_PROCESS + 16,
        ),
    )


def asks_the_server() -> bool:
    return bool(settings.UPSTREAM_BASE_URL) and settings.UPSTREAM_MODELS == ["auto"]


def learn(names: list[str]) -> None:
    _learned[:] = names


def models() -> tuple[Model, ...]:
    """In the order in which they are offered; empty while nothing is configured."""
    server = upstream()
    if server is None:
        return ()
    if server.name == LOCAL:
        note = _("A very small model on this machine: quick to try, often wrong.")
        return (Model(local_model_name(), LOCAL, note),)
    names = _learned if asks_the_server() else settings.UPSTREAM_MODELS
    return tuple(Model(name, server.name) for name in names)


def find(model_id: str) -> Model | None:
    return next((model for model in models() if model.id == model_id), None)


def local_model_name() -> str:
    """The file's own name, so that nobody takes it for something else."""
    if settings.LOCAL_MODEL in {"auto", "off"}:
        return "SmolLM2-135M-Instruct"
    return Path(settings.LOCAL_MODEL).stem
