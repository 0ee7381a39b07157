"""What comes of each way in which servers were seen to misbehave: what the table then holds, and
what people read. The rows are those of `python -m tests.upstream --help`.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from conversations.models import Conversation, State, User
from tests.house import Web, person
from tests.upstream.framing import ACCENTS, SEPARATORS

HELLO, HALF = "Hello, world", "Half an answer"
# What the portal has to be told, so that nobody waits long for what never comes.
IMPATIENT = {
    "UPSTREAM_FIRST_TOKEN_TIMEOUT": "1.5",
    "UPSTREAM_IDLE_TIMEOUT": "1",
    "UPSTREAM_AFTER_END_TIMEOUT": "0.2",
    "UPSTREAM_TOTAL_TIMEOUT": "6",
    "UPSTREAM_BODY_MAX_BYTES": "3000000",
    "ANSWER_MAX_BYTES": "20500",
    # Nor is the server asked for what is no answer: that would play what a test has prepared.
    "UPSTREAM_MODELS": "crimson-falcon-4",
    "HEALTH_UPSTREAM_SECONDS": "3600",
}


@dataclass(frozen=True)
class Quirk:
    """`played` by the server one after the other, each for one request; then it is sensible."""

    row: int
    played: tuple[tuple[str, dict[str, Any]], ...]
    state: State = State.DONE
    why: str = "stop"  # the finish_reason of what is done, else the error_code
    text: str = HELLO
    says: str = ""  # beneath the text
    reasoning: str = ""
    tokens: tuple[int | None, int | None] = (None, None)
    requests: int = 1
    more: dict[str, Any] = field(default_factory=dict)  # other columns

    def __str__(self) -> str:
        name, options = self.played[0]
        times = f" x{len(self.played)}" if len(self.played) > 1 else ""
        told = "".join(f" {key}={value!r}" for key, value in options.items())
        return f"{self.row} {name}{told}{times}".encode("ascii", "replace").decode()


def _one(row: int, name: str, *, times: int = 1, **rest: Any) -> Quirk:
    known = Quirk.__dataclass_fields__
    options = {key: value for key, value in rest.items() if key not in known}
    expected = {key: value for key, value in rest.items() if key in known}
    expected.setdefault("requests", times)
    return Quirk(row, ((name, options),) * times, **expected)


def _broken(
    row: int, name: str, *, why: str = "interrupted", text: str = HALF, **rest: Any
) -> Quirk:
    says = rest.pop("says", "What arrived is kept." if text else "interrupted")
    return _one(row, name, state=State.INTERRUPTED, why=why, text=text, says=says, **rest)


def _failed(row: int, name: str, why: str, says: str, **rest: Any) -> Quirk:
    return _one(
        row, name, state=State.FAILED, why=why, says=says, text=rest.pop("text", ""), **rest
    )


def _cut(row: int, name: str, text: str, **rest: Any) -> Quirk:
    return _one(row, name, why="length", text=text, says=rest.pop("says", "limit"), **rest)


def every() -> Iterator[Quirk]:
    """In the order of the rows; 38 and 39 are about portals that are set up otherwise."""
    yield from _words()
    yield from _bytes()
    yield from _endings()
    yield from _refusals()
    yield from _connections()


def _words() -> Iterator[Quirk]:
    yield _one(1, "role_only_first")
    yield _one(2, "empty_deltas")
    yield _one(3, "usage_last", tokens=(7, 3), says="3 tokens")
    yield _one(4, "usage_packed", tokens=(7, 3), says="3 tokens")
    yield _broken(5, "cut_midway")
    yield _one(6, "filter_first")
    yield _one(7, "comments", every=0.02)
    yield _failed(7, "comments_for_ever", "timeout_first_token", "did not begin", every=0.1)
    for shape in ("object", "flat", "string"):
        crashed = {"why": "upstream_error", "says": "The model crashed.", "shape": shape}
        yield _failed(8, "error_first", **crashed)
        yield _failed(8, "error_midway", text=HALF, done=int(shape == "flat"), **crashed)
    yield _failed(9, "finish", "upstream_error", "failed", text=HELLO, reason="error")
    yield _one(9, "finish", why="other", says="weary", reason="weary")


def _bytes() -> Iterator[Quirk]:
    yield _one(10, "no_done")
    yield _broken(11, "eof_midway")
    yield _broken(12, "done_without_finish", text=HELLO)
    for name in ("cut_midway", "reset_midway"):
        yield _broken(13, name)
    yield _broken(13, "bad_chunk", why="timeout_idle")  # the server holds the connection open
    for style in ("crlf", "cr", "mixed", "split"):
        yield _one(14, "line_ends", style=style)
    yield _one(15, "unicode_separators", text=SEPARATORS)
    yield _one(16, "split_characters", text=ACCENTS)
    yield _one(16, "bad_utf8", text="Caf\ufffd!")
    yield _one(16, "half_surrogates", text="a\ufffd\ufffdb")
    yield _one(17, "several_data_lines")
    yield _one(18, "spaces", count=0)
    yield _one(18, "spaces", count=2)
    yield _one(19, "bom_and_fields")
    yield _one(19, "blanks")
    yield _failed(19, "named_error", "upstream_error", "The model crashed.", text=HALF)
    yield _one(20, "no_last_blank")
    yield _cut(21, "huge_event", "Hello")
    yield _cut(21, "endless", "x" * 20_500)
    yield _cut(21, "endless", "", size=1, pause=0.05)  # as much as came in its time
    yield _one(22, "long_line", text="x" * 15_000, size=15_000)
    for encoding in ("gzip", "deflate", "raw"):
        yield _one(23, "compressed", encoding=encoding)
    yield _failed(23, "compressed", "unreadable", "unreadable", encoding="br")
    yield _cut(23, "bomb", "Hello", megabytes=60)


def _endings() -> Iterator[Quirk]:
    yield _cut(24, "finish", HELLO, reason="length")
    yield _one(24, "finish", why="content_filter", says="filter", reason="content_filter")
    yield _one(24, "finish", why="tool_calls", says="asked for a tool", reason="tool_calls")
    yield _one(24, "finish", why="tool_calls", says="asked for a tool", reason="function_call")
    yield _one(24, "tool_call", why="tool_calls", says="asked for a tool", text="")
    yield _cut(25, "two_choices", "one two three")
    yield _one(25, "no_index")
    for name in ("reasoning_content", "reasoning"):
        yield _one(26, "reasoning", reasoning="Let me think.", field=name)
    yield _one(27, "parts", text="Hello, world!")
    yield _one(27, "repeats", text="HaHaHa")
    yield _one(27, "message_for_delta")
    yield _one(27, "json_answer", tokens=(25, 2), says="2 tokens")


def _refusals() -> Iterator[Quirk]:
    yield _one(28, "garbage_line")
    yield _failed(28, "all_garbage", "unreadable", "unreadable")
    yield _failed(29, "html_error", "upstream_error", "502", times=3)
    yield _failed(29, "empty_error", "upstream_error", "504", times=3)
    yield _failed(29, "empty_page", "unreadable", "empty")
    yield _failed(29, "sign_in_page", "unreadable", "web page")
    for value in ("text/plain", "application/json", ""):
        yield _one(30, "content_type", value=value)
    yield _one(30, "content_type", value="text/event-stream", form="json", tokens=(25, 2))
    yield _failed(30, "content_type", "unreadable", "unreadable", value="text/plain", form="words")
    for after in ("0.2", "Thu, 01 Jan 1970 00:00:00 GMT", "", "2"):
        yield _one(31, "rate_limited", retry_after=after, requests=2, text="", says="tokens")
    yield _one(31, "rate_limited", retry_after_ms="250", requests=2, text="", says="tokens")
    yield _failed(31, "rate_limited", "rate_limited", "too many requests", retry_after="86400")
    yield _failed(31, "no_quota", "no_quota", "quota")
    for status in (408, 409, 500, 502, 503):
        yield _one(32, "failing", status=status, requests=2, text="", says="tokens")
    yield _failed(32, "failing", "upstream_error", "overloaded", times=3)
    yield _failed(32, "failing", "upstream_error", "overloaded", status=500, should_retry="false")
    yield _failed(33, "context_too_long", "context_too_long", "longer than this model can read")
    for status in (401, 403):
        yield _failed(33, "bad_key", "bad_key", "operators have to look", status=status)
    yield _failed(33, "unknown_model", "model_not_found", "does not know this model")
    yield _failed(33, "refused", "bad_request", "Bad parameter.")


def _connections() -> Iterator[Quirk]:
    for name in ("silent", "mute"):
        yield _failed(34, name, "timeout_first_token", "did not begin")
    yield _broken(34, "stall_midway", why="timeout_idle")
    yield _broken(34, "trickle", why="timeout_idle", text="Hi", every=0.1, after="Hi")
    yield _one(34, "open_end")
    for status in (301, 302, 307):
        yield _failed(35, "redirect", "redirected", "redirects", status=status)
    yield _failed(35, "redirect", "redirected", "redirects", to="/v1/other")
    for how in ("close", "reset"):
        yield _one(36, "drop", how=how, requests=2, text="", says="tokens")
    yield _failed(36, "drop", "disconnected", "without an answer", times=2)
    yield _broken(36, "drop_in_headers", text="")
    yield _broken(36, "bad_head", text="")
    yield _one(37, "usage_last", tokens=(7, 3))
    yield _one(40, "text_after_end")


# --- On the page ----------------------------------------------------------------------------------


def read_out(article: str) -> str:
    """What a reader of the page is told."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", article)).split())


async def article_of(web: Web, conversation: Conversation, user: User, message: str) -> str:
    async with await person(web, user) as reader:
        page = (await reader.get(f"/c/{conversation.public_id}/")).text
    start = page.index(f'<article id="m-{message}"')
    return page[start : page.index("</article>", start) + len("</article>")]
