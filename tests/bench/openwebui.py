"""Open WebUI's channels, the rooms' nearest kin: people who watch a model's answer together.

One process with SQLite, as `serve` beside it; nothing but the answers is asked of it.
"""

import base64
import hashlib
import hmac
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from conversations.localmodel import free_port

from . import beside

KEY = "a key for measurements alone, which signs nothing that lasts 0123456789"
SETTINGS = {
    "WEBUI_SECRET_KEY": KEY,
    "ENABLE_CHANNELS": "true",
    "OPENAI_API_KEY": "nobody's",
    "BYPASS_MODEL_ACCESS_CONTROL": "true",  # everybody may ask the model
    # Nothing is fetched, nothing is reported, no model is loaded beside it.
    "OFFLINE_MODE": "true",
    "ENABLE_OLLAMA_API": "false",
    "RAG_EMBEDDING_ENGINE": "openai",
    "AUDIO_STT_ENGINE": "openai",
    "ANONYMIZED_TELEMETRY": "false",
    "GLOBAL_LOG_LEVEL": "WARNING",
}
ADMIN = {"name": "Admin", "email": "admin@example.com", "password": "for measurements alone"}


@dataclass(frozen=True)
class Channels:
    base: str
    pids: list[int]
    rooms: list[list[dict[str, str]]]  # of each, the pages of its people


@contextmanager
def channels(command: str, upstream: str, number: int, people: int) -> Iterator[Channels]:
    """So many, with so many people in each. `command` is `open-webui`, or what runs it."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="chatweb-bench-") as folder:
        tables = Path(folder, "webui.db")
        env = SETTINGS | {
            "DATA_DIR": folder,
            "DATABASE_URL": f"sqlite:///{tables}",
            "OPENAI_API_BASE_URL": upstream,
        }
        options = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        alive = f"{base}/health"
        with beside.serving(command, options, folder=folder, env=env, alive=alive) as pids:
            with httpx.Client(base_url=base, timeout=60, trust_env=False) as http:
                # Who comes first is the admin, who is needed no more.
                http.post("/api/v1/auths/signup", json=ADMIN).raise_for_status()
                users = _make_users(tables, number * people)
                companies = [users[at : at + people] for at in range(0, len(users), people)]
                rooms = [_make_channel(http, company) for company in companies]
            yield Channels(base, pids, rooms)


def _make_users(tables: Path, number: int) -> list[str]:
    """Straight into its tables: to hash a password for each would take minutes."""
    users, now = [str(uuid4()) for _ in range(number)], int(time.time())
    with closing(sqlite3.connect(tables, timeout=60)) as database, database:
        database.executemany(
            "INSERT INTO user (id, name, email, role, profile_image_url, last_active_at,"
            " updated_at, created_at) VALUES (?, ?, ?, 'user', '/user.png', ?, ?, ?)",
            [(one, f"Person {n}", _email(n), now, now, now) for n, one in enumerate(users)],
        )
        database.executemany(
            "INSERT INTO auth (id, email, password, active) VALUES (?, ?, '!', 1)",
            [(one, _email(n)) for n, one in enumerate(users)],
        )
    return users


def _email(number: int) -> str:
    return f"person{number}@example.com"


def _make_channel(http: httpx.Client, users: list[str]) -> list[dict[str, str]]:
    tokens = [_token(user) for user in users]
    answer = http.post(
        "/api/v1/channels/create",
        json={"name": "measured", "type": "group", "user_ids": users},
        headers={"Authorization": f"Bearer {tokens[0]}"},
    )
    channel = answer.raise_for_status().json()["id"]
    people = zip(users, tokens, strict=True)
    return [{"user": user, "token": token, "channel": channel} for user, token in people]


def _token(user: str) -> str:
    """The JSON web token that it gives to somebody who signs in."""
    now = int(time.time())
    payload = {"id": user, "jti": str(uuid4()), "iat": now, "exp": now + 86400}
    head = {"alg": "HS256", "typ": "JWT"}
    signed = ".".join(_part(json.dumps(one).encode()) for one in (head, payload))
    return f"{signed}.{_part(hmac.digest(KEY.encode(), signed.encode(), hashlib.sha256))}"


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
