"""The client of one upstream server."""

import asyncio
import logging
import random
import socket
import ssl
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from .answer import Answer
from .body import inflater, raw_bytes
from .chat import ChatRequest
from .chunks import AnswerReader
from .config import Upstream
from .errors import (
    BadRequest,
    Busy,
    Disconnected,
    Interrupted,
    NoFirstToken,
    Redirected,
    TLSFailed,
    TooLarge,
    Unreachable,
    Unreadable,
    UpstreamError,
    masked,
    unquoted,
)
from .events import Completion, Event, Retrying
from .folding import fold
from .parallel import side_by_side
from .refusals import from_response
from .retries import RetryPlan
from .transport import NoResponse, PacedTransport

logger = logging.getLogger(__name__)

USER_AGENT = "chatweb"
MODEL_NAME_CHARACTERS = 200


class Client:
    """Talks with one upstream; make one for each event loop and close it at the end.

    Every method raises UpstreamError and nothing else of its own. `transport` replaces the
    network; `sleep`, `jitter` (0 to 1) and `wall` (seconds since 1970) replace chance and time
    between retries.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.upstream = upstream
        self._sleep = sleep
        self._jitter = jitter
        self._wall = wall
        self._ask_usage = upstream.ask_usage
        self._slots = asyncio.Semaphore(upstream.limits.connections)
        self._http = httpx.AsyncClient(
            transport=transport or _transport(upstream),
            headers=_headers(upstream),
            # Waiting for words is timed where the words are understood.
            timeout=httpx.Timeout(None, connect=upstream.timeouts.connect),
            follow_redirects=False,
            trust_env=False,
        )
        # One person's answers must not carry a cookie into another's.
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    def stream(self, request: ChatRequest) -> AsyncGenerator[list[Event], None]:
        """Give the answer as it comes: one batch, never empty, for all that arrived since the last.

        Nothing is read between two batches, so a slow caller slows the server down. Ends after
        each choice had its Finished; anything else raises UpstreamError, after the batches ahead
        of it. To stop, close this generator or cancel the task that waits in it: the connection
        closes at once.
        """
        return self._choices(request, stream=True)

    async def complete(
        self, request: ChatRequest, *, under_way: set[object] | None = None
    ) -> Completion:
        """Ask for the whole answer in one piece. Raises UpstreamError for any unfinished one.

        `under_way` has something in it while the server may be writing: since a request was sent
        and has not been refused.
        """
        choices = self._choices(request, stream=False, under_way=under_way)
        batches = [batch async for batch in choices]
        return fold(event for batch in batches for event in batch)

    async def models(self) -> list[str]:
        """Names of the models that the server offers, in its order."""
        end_by = time.monotonic() + self.upstream.timeouts.first_token
        async with self._slot():
            response = await self._send("GET", "/models", None, end_by)
            try:
                async with asyncio.timeout(end_by - time.monotonic()):
                    body = await _read_capped(response, self.upstream.limits.json_bytes)
            except (TimeoutError, httpx.TransportError, zlib.error) as error:
                raise Interrupted(detail=f"model list: {type(error).__name__}") from error
            finally:
                await response.aclose()
        return _model_names(body)

    def _choices(
        self, request: ChatRequest, *, stream: bool, under_way: set[object] | None = None
    ) -> AsyncGenerator[list[Event], None]:
        sent: set[object] = set() if under_way is None else under_way
        if request.n == 1 or self.upstream.gives_choices:
            return self._answer(request, sent, stream=stream)
        one = replace(request, n=1)
        return side_by_side([self._answer(one, sent, stream=stream) for _ in range(request.n)])

    async def _answer(
        self, request: ChatRequest, under_way: set[object], *, stream: bool
    ) -> AsyncGenerator[list[Event], None]:
        begun = time.monotonic()
        end_by = begun + self.upstream.timeouts.total
        plan = RetryPlan(self.upstream.limits, self._jitter)
        async with self._slot():
            while True:
                first_by = end_by
                if stream:
                    first_by = min(end_by, time.monotonic() + self.upstream.timeouts.first_token)
                attempt = object()
                sent = partial(under_way.add, attempt)
                try:
                    response = await self._open(request, stream=stream, by=first_by, sent=sent)
                    break
                except UpstreamError as error:
                    if not isinstance(error, NoFirstToken):
                        under_way.discard(attempt)
                    delay = plan.delay(error, elapsed=time.monotonic() - begun)
                    self._log(request, error)
                    if delay is None:
                        raise
                    retrying = Retrying(error.code, delay, plan.attempt, error.sentence)
                yield [retrying]
                await self._sleep(delay)
            async with self._reading(response, request, first_by, end_by) as answer:
                while (batch := await answer.pull()) is not None:
                    yield batch

    @asynccontextmanager
    async def _reading(
        self, response: httpx.Response, request: ChatRequest, first_by: float, end_by: float
    ) -> AsyncIterator[Answer]:
        reader = AnswerReader(
            self.upstream.limits,
            choices=request.n,
            finish_reason_required=self.upstream.finish_reason_required,
            secrets=(self.upstream.api_key,),
        )
        try:
            answer = Answer(response, self.upstream, reader, first_by=first_by, end_by=end_by)
            with closing(answer):
                yield answer
        except UpstreamError as error:
            self._log(request, error)
            raise
        finally:
            await response.aclose()
            if reader.counts:
                logger.info("upstream %s: oddities %s", self.upstream.name, reader.counts)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.upstream.timeouts.slot):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy(detail=f"{self.upstream.limits.connections} connections in use") from None
        try:
            yield
        finally:
            self._slots.release()

    async def _open(
        self, request: ChatRequest, *, stream: bool, by: float, sent: Callable[[], None]
    ) -> httpx.Response:
        usage = stream and self._ask_usage
        try:
            content = request.to_json(stream=stream, usage=usage)
            return await self._send("POST", "/chat/completions", content, by, sent)
        except BadRequest as error:
            if not (usage and "stream_options" in error.detail):
                raise
            self._ask_usage = False
        return await self._open(request, stream=stream, by=by, sent=sent)

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        by: float,
        sent: Callable[[], None] | None = None,
    ) -> httpx.Response:
        """Send and give the response with a good status, its body unread."""
        headers = {"Content-Type": "application/json"} if content is not None else None
        url = self.upstream.base_url + path
        request = self._http.build_request(
            method, url, content=content, headers=headers, extensions={"sent": sent}
        )
        try:
            async with asyncio.timeout(by - time.monotonic()):
                response = await self._http.send(request, stream=True)
        except TimeoutError:
            raise NoFirstToken(detail="no response headers in time") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if response.is_success:
            return response
        try:
            raise await self._refusal(response)
        finally:
            await response.aclose()

    async def _refusal(self, response: httpx.Response) -> UpstreamError:
        if response.is_redirect or 300 <= response.status_code < 400:
            target = masked(response.headers.get("location", "")[:500], (self.upstream.api_key,))
            return Redirected(detail=f"HTTP {response.status_code} to {target!r}")
        body = b""
        try:
            async with asyncio.timeout(self.upstream.timeouts.error):
                most = self.upstream.limits.error_bytes
                body = await _read_capped(response, most, cut=True)
        except (TimeoutError, httpx.TransportError, UpstreamError, zlib.error):
            logger.info("upstream %s: error body could not be read", self.upstream.name)
        return from_response(
            response.status_code,
            response.headers,
            body,
            secrets=(self.upstream.api_key,),
            now=self._wall(),
        )

    def _unreachable(self, error: Exception) -> UpstreamError:
        detail = masked(f"{type(error).__name__}: {error}", (self.upstream.api_key,))
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            return TLSFailed(detail=detail)
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return Unreachable(detail=f"host name not found; {detail}")
        if isinstance(error, NoResponse):
            return Disconnected(detail=detail)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return Unreachable(detail=detail)
        return Interrupted(detail=detail)

    def _log(self, request: ChatRequest, error: UpstreamError) -> None:
        logger.warning(
            "upstream %s, model %s: %s; %s",
            self.upstream.name,
            request.model,
            error.code,
            unquoted(error.detail, [message.content for message in request.messages]),
        )


def _transport(upstream: Upstream) -> PacedTransport:
    return PacedTransport(
        connections=upstream.limits.connections,
        keepalive=upstream.limits.keepalive,
        ca_file=upstream.ca_file,
        trust_env=upstream.trust_env,
    )


def _headers(upstream: Upstream) -> dict[str, str]:
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "text/event-stream, application/json",
        # Compressed events would be held back until a block is full.
        "Accept-Encoding": "identity",
    }
    if upstream.api_key:
        headers["Authorization"] = f"Bearer {upstream.api_key}"
    return headers


async def _read_capped(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """Read a small body; past `limit` it is cut, or raises TooLarge."""
    encoding = response.headers.get("content-encoding", "")
    body = bytearray()
    decoder = inflater(encoding)
    async for piece in raw_bytes(response):
        body += piece if decoder is None else decoder.feed(piece)
        while decoder is not None and decoder.pending and len(body) <= limit:
            body += decoder.feed(b"")
        if len(body) > limit:
            if not cut:
                raise TooLarge
            break
    return bytes(body[:limit])


def _model_names(body: bytes) -> list[str]:
    try:
        listed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable(detail="the model list is no JSON") from error
    entries = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(entries, list):
        raise Unreadable(detail="the model list has no `data`")
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    kept = (name for name in names if isinstance(name, str) and name.strip())
    return list(dict.fromkeys(name for name in kept if len(name) <= MODEL_NAME_CHARACTERS))


def _causes(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        # aiohttp keeps the socket's own error in an attribute.
        inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
        if isinstance(inner, BaseException):
            chain.append(inner)
        error = error.__cause__ or error.__context__
    return chain
