"""What the operator says about one upstream server."""

import math
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Each one ends the answer when it runs out; none is ever switched off."""

    connect: float = 5.0
    # Waiting for a free connection when `Limits.connections` are in use.
    slot: float = 5.0
    # From sending the request to the first word, reasoning included; comments do not count.
    first_token: float = 120.0
    # Silence while an answer runs; a comment (`: ping`) counts as a life sign.
    between_tokens: float = 60.0
    # After the last finish_reason: only usage and `[DONE]` are still to come.
    after_end: float = 5.0
    # The words that come with a refusal, for the operator's log.
    error: float = 5.0
    # The whole answer, waiting between retries included.
    total: float = 900.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"timeout {name} must be a positive number of seconds")


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes after decompression; counts; `retry_budget` and `keepalive` in seconds."""

    event_bytes: int = 1024 * 1024
    # Text and reasoning of one choice, in UTF-8.
    answer_bytes: int = 2_000_000
    # Everything that one request may send back, framing, comments and all choices together.
    body_bytes: int = 64 * 1024 * 1024
    # A plain JSON answer or a model list has to be held in memory in one piece.
    json_bytes: int = 8 * 1024 * 1024
    # An error page is read this far, for the operator's log.
    error_bytes: int = 16 * 1024
    connections: int = 100
    retries: int = 2
    retry_budget: float = 30.0
    # Below the 5 s after which Node and uvicorn close idle connections, so that we close first.
    keepalive: float = 4.0

    def __post_init__(self) -> None:
        for name in (
            "event_bytes",
            "answer_bytes",
            "body_bytes",
            "json_bytes",
            "error_bytes",
            "connections",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"limit {name} must be at least 1")
        for name in ("retries", "retry_budget", "keepalive"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"limit {name} must not be negative or infinite")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server that answers `/v1/chat/completions`. Its key is never shown by `repr`.

    Raises ValueError for a base URL or key that cannot be used; the message never holds the key.
    """

    name: str
    # Ends in the API's root, such as "https://models.example/v1".
    base_url: str
    api_key: str = field(default="", repr=False)
    # Some proxies end with `[DONE]` and never send a finish_reason: only then say False.
    finish_reason_required: bool = True
    # The server goes on writing when the last message is the assistant's.
    can_continue: bool = False
    # `n` is understood; where it is not, as many requests go out side by side.
    gives_choices: bool = True
    # Ask for token counts at the end of a stream; withdrawn when the server objects.
    ask_usage: bool = True
    # Honour HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE of the process's environment.
    trust_env: bool = False
    # PEM file with the authorities to trust; empty: the public ones.
    ca_file: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        url = urlsplit(self.base_url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError("the upstream's base URL must be an http or https URL")
        if url.username is not None or url.query or url.fragment:
            raise ValueError("the upstream's base URL must hold no user name, query or fragment")
        if not (self.api_key.isascii() and all(33 <= ord(char) < 127 for char in self.api_key)):
            raise ValueError("the upstream's key must be plain ASCII without spaces")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
