"""LiteLLM's proxy, the gateway's nearest kin: one process, one key, no database."""

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conversations.localmodel import free_port

from . import beside
from .people import MODEL

# Nothing is fetched, nothing is reported, and no line is written for each request.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
}


@dataclass(frozen=True)
class Proxy:
    base: str  # up to /v1
    key: str
    pids: list[int]


@contextmanager
def proxy(command: str, upstream: str) -> Iterator[Proxy]:
    """`command` is `litellm`, or what runs it."""
    key, port = f"sk-{secrets.token_hex(16)}", free_port()
    server = {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "nobody's"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": server}],
        "general_settings": {"master_key": key},
    }
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder:
        file = Path(folder, "config.yaml")
        file.write_text(json.dumps(config))  # which is YAML, too
        options = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
        alive = f"{base}/health/liveliness"
        with beside.serving(command, options, folder=folder, env=QUIET, alive=alive) as pids:
            yield Proxy(f"{base}/v1", key, pids)
