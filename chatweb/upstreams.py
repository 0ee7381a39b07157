"""The model servers that are set up besides the first one. A part of `chatweb.settings`.

UPSTREAMS=main,lab
UPSTREAM_BASE_URL=https://models.example/v1     (that is main)
UPSTREAM_LAB_BASE_URL=http://lab.internal:8000/v1
UPSTREAM_LAB_API_KEY=…
"""

import re
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from chatweb import env

MAIN = "main"
LOCAL = "local"  # the small model on this machine
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
# Stands for any name where settings are explained.
ANY = "<name>"


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    models: tuple[str, ...] = ("auto",)
    continues: bool = False
    sends_finish_reason: bool = True
    ca_file: str = ""


def configured(names: list[str], *, main_url: str) -> dict[str, Server]:
    """All but `main`, by name, in their order. Raises ImproperlyConfigured."""
    for name in names:
        if not NAME.fullmatch(name) or name == LOCAL:
            raise ImproperlyConfigured(
                f"UPSTREAMS: {name!r} is no name as lab or lab-2, or means the local model."
            )
    if len(set(names)) < len(names):
        raise ImproperlyConfigured("UPSTREAMS names one server twice.")
    if main_url and MAIN not in names:
        raise ImproperlyConfigured("UPSTREAM_BASE_URL is that of main, which UPSTREAMS leaves out.")
    _read(ANY)  # explains the settings of any server
    servers = {name: _read(name) for name in names if name != MAIN}
    for server in servers.values():
        if not server.base_url:
            raise ImproperlyConfigured(f"{_prefix(server.name)}BASE_URL is not set.")
    return servers


def _read(name: str) -> Server:
    before = _prefix(name)
    return Server(
        name=name,
        base_url=env.address(
            f"{before}BASE_URL", why="address of the server of this name in UPSTREAMS, up to /v1"
        ),
        api_key=env.key(f"{before}API_KEY", why="its key: as UPSTREAM_API_KEY"),
        models=tuple(
            env.words(f"{before}MODELS", "auto", least=1, why="its models: as UPSTREAM_MODELS")
        ),
        continues=env.switch(f"{before}CONTINUES", False, why="as UPSTREAM_CONTINUES"),
        sends_finish_reason=env.switch(
            f"{before}SENDS_FINISH_REASON", True, why="as UPSTREAM_SENDS_FINISH_REASON"
        ),
        ca_file=env.file(f"{before}CA_FILE", why="as UPSTREAM_CA_FILE"),
    )


def _prefix(name: str) -> str:
    return f"UPSTREAM_{name.upper().replace('-', '_')}_"
