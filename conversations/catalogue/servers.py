"""The servers, as the settings name them. Nothing else does: no page and no request."""

from functools import cache
from pathlib import Path

from django.conf import settings

from chatweb.upstreams import LOCAL, MAIN
from conversations.upstream import Limits, Timeouts, Upstream


def upstreams() -> dict[str, Upstream]:
    """By name, in the settings' order; the local model where there is no other."""
    servers = {}
    if settings.UPSTREAM_BASE_URL:
        servers[MAIN] = _upstream(
            MAIN,
            settings.UPSTREAM_BASE_URL,
            settings.UPSTREAM_API_KEY,
            can_continue=settings.UPSTREAM_CONTINUES,
            finish_reason_required=settings.UPSTREAM_SENDS_FINISH_REASON,
            ca_file=settings.UPSTREAM_CA_FILE,
        )
    for name, server in settings.UPSTREAM_SERVERS.items():
        servers[name] = _upstream(
            name,
            server.base_url,
            server.api_key,
            can_continue=server.continues,
            finish_reason_required=server.sends_finish_reason,
            ca_file=server.ca_file,
        )
    if not servers and settings.LOCAL_MODEL_URL:
        # llama.cpp never answers a request for more than one choice.
        servers[LOCAL] = _upstream(
            LOCAL, settings.LOCAL_MODEL_URL, "", can_continue=True, gives_choices=False
        )
    return servers


def upstream(name: str = "") -> Upstream | None:
    """The server of this name, or without one the first; None where there is none."""
    servers = upstreams()
    return servers.get(name) if name else next(iter(servers.values()), None)


@cache
def _upstream(
    name: str,
    base_url: str,
    api_key: str,
    *,
    can_continue: bool,
    gives_choices: bool = True,
    finish_reason_required: bool = True,
    ca_file: str = "",
) -> Upstream:
    return Upstream(
        name=name,
        base_url=base_url,
        api_key=api_key,
        can_continue=can_continue,
        gives_choices=gives_choices,
        finish_reason_required=finish_reason_required,
        trust_env=settings.UPSTREAM_TRUST_ENV,
        ca_file=ca_file,
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


def configured_models(name: str) -> list[str]:
    """What the settings say that this server offers; ["auto"] asks it."""
    if name == LOCAL:
        return [local_model_name()]
    if name == MAIN:
        return list(settings.UPSTREAM_MODELS)
    return list(settings.UPSTREAM_SERVERS[name].models)


def asks_the_server(name: str = MAIN) -> bool:
    return configured_models(name) == ["auto"]


def local_model_name() -> str:
    """The file's own name, so that nobody takes it for something else."""
    if settings.LOCAL_MODEL in {"auto", "off"}:
        return "SmolLM2-135M-Instruct"
    return Path(settings.LOCAL_MODEL).stem
