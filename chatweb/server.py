"""Daphne in our own process, on uvloop, with the relay on the same loop.

What Daphne lacks is added here: a bound on request bodies, on what a socket may have waiting and on
what a program does not read, and an end that says goodbye. On SIGTERM or SIGINT what runs may
finish while everybody is still served; then the sockets are closed with 4012 ("come back"), the
jobs beside the server (the relay first of all) are given time to put their work away, and only then
does the loop end. A second signal ends it at once.
"""

import asyncio
import errno
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import uvloop
from django.conf import settings
from twisted.internet import asyncioreactor

from chatweb import jobs

if "twisted.internet.reactor" not in sys.modules:
    # Before Daphne is imported: it would install a reactor on asyncio's slower loop.
    asyncioreactor.install(uvloop.new_event_loop())

from autobahn.websocket.protocol import WebSocketProtocol as Protocol
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.server import Server
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as installed_reactor
from twisted.logger import STDLibLogObserver, globalLogBeginner

log = logging.getLogger(__name__)
reactor: Any = installed_reactor

RESTARTING = 4012  # RFC 6455 leaves 4000 to 4999 to us; pages come back, at random times
GOING_TOO_FAST = 4429  # after HTTP's 429; Autobahn sends no code below 3000 but 1000


TOO_LARGE_FOR_PROGRAMS = (
    b'{"error":{"message":"What you sent is too large.","type":"invalid_request_error",'
    b'"param":null,"code":"request_too_large"}}'
)
PROGRAMS = b"/v1/"  # they read streams, for as long as an answer takes, and errors as JSON


class PortTaken(Exception):
    """Somebody else listens there."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; `certificate` may hold the chain after the server's own."""

    certificate: Path
    key: Path


def listen(host: str, port: int) -> socket.socket:
    """Takes the port. Connections wait until `run` serves them.

    Raises PortTaken, or OSError when the address is not one of this machine's.
    """
    family, kind, protocol, _name, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A portal that has just ended leaves its port in TIME_WAIT, which would look taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken from error
        raise
    listener.setblocking(False)
    return listener


def run(
    listener: socket.socket,
    *,
    application: Any = None,
    tls: Certificate | None = None,
    beside: Mapping[str, jobs.Job] | None = None,
    drain: jobs.Job | None = None,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Serves until a signal, with the jobs `beside` it on the same loop; once per process.

    `drain` is waited for when the signal comes, while everything still goes on. The jobs end in
    the opposite order to the one in which they are named.
    """
    if application is None:
        from chatweb.asgi import application
    Portal(application, listener, tls, beside or {}, drain).run(on_ready)


class Portal(Server):  # type: ignore[misc]  # Daphne has no types
    """One process's server. Daphne's own `run` can take neither a socket nor a longer goodbye."""

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        tls: Certificate | None,
        beside: Mapping[str, jobs.Job],
        drain: jobs.Job | None,
    ) -> None:
        super().__init__(
            application=application,
            endpoints=["an open socket"],
            http_timeout=settings.PAGE_TIMEOUT,
            request_buffer_size=65_536,
            # Never by age: dead connections are found by ping, lost rights by the consumer.
            websocket_timeout=-1,
            websocket_connect_timeout=settings.SOCKET_HANDSHAKE_TIMEOUT,
            websocket_handshake_timeout=settings.SOCKET_HANDSHAKE_TIMEOUT,
            # The address of a proxy's client is not taken from headers here: the first entry of
            # X-Forwarded-For is whatever the client wrote. Django reads the scheme by itself.
            proxy_forwarded_address_header=None,
            server_name="",
        )
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = Pages(self)
        self.ws_factory = Sockets(self, server="")
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxMessagePayloadSize=settings.SOCKET_MESSAGE_MAX_BYTES,
            maxFramePayloadSize=settings.SOCKET_MESSAGE_MAX_BYTES,
            # Too long a message is answered with a close code (1009), not with a cut line.
            failByDrop=False,
            # Origins are judged by the application, which knows schemes and ports.
            allowNullOrigin=True,
            tcpNoDelay=True,
        )
        self._listener = listener
        self._tls = tls
        self._beside = beside
        self._drain = drain
        self._jobs: list[asyncio.Task[None]] = []
        self._ending: asyncio.Task[None] | None = None

    def run(self, on_ready: Callable[[], None] | None) -> None:
        loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        asyncio.set_event_loop(loop)
        logging.getLogger("twisted").setLevel(logging.WARNING)
        observer: Any = STDLibLogObserver("twisted")
        globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
        port = reactor.adoptStreamPort(
            self._listener.fileno(), self._listener.family, self._factory()
        )
        self._listener.close()  # the reactor has its own copy
        self.listeners.append(port)
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)
        # On the running loop: uvloop forgets a signal that comes before it runs.
        loop.call_soon(self._begin, loop, on_ready)
        reactor.run(installSignalHandlers=False)

    def _begin(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], None] | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        for name, job in self._beside.items():
            self._jobs.append(loop.create_task(jobs.keep_running(name, job), name=name))
        if on_ready is not None:
            on_ready()

    def _factory(self) -> Any:
        if self._tls is None:
            return self.http_factory
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return TLSMemoryBIOFactory(
            _tls_options(self._tls), isClient=False, wrappedFactory=self.http_factory
        )

    def _end(self) -> None:
        if self._ending is not None:
            log.warning("Ending at once.")
            reactor.stop()
            return
        self._ending = asyncio.ensure_future(self._say_goodbye())

    async def _say_goodbye(self) -> None:
        if self._drain is not None:
            await self._drain()
        deadline = time.monotonic() + settings.GOODBYE_SECONDS
        for port in self.listeners:
            port.stopListening()
        for protocol in tuple(self.connections):
            if isinstance(protocol, Socket) and protocol.state == Protocol.STATE_OPEN:
                protocol.sendClose(RESTARTING)
        await jobs.end(self._jobs, deadline)
        await jobs.settle(self._applications(), deadline)
        for late in self._applications():
            late.cancel()
        await jobs.settle(self._applications(), deadline)
        _leave_whatever_threads_do()
        reactor.stop()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message.get("more_body") and isinstance(protocol, Request):
            await protocol.until_read()

    def _applications(self) -> list["asyncio.Future[None]"]:
        # A connection that has not sent its whole request yet has no application.
        instances = (details.get("application_instance") for details in self.connections.values())
        return [instance for instance in instances if instance is not None]


def _leave_whatever_threads_do() -> None:
    """Python waits at its end for all threads, and one may ask a database that is away."""
    last = threading.Timer(settings.GOODBYE_SECONDS, os._exit, (0,))
    last.daemon = True
    last.start()


class Request(WebRequest):  # type: ignore[misc]  # Daphne has no types
    """A request whose body is bounded before it is stored: Twisted spools any length to disk.

    A program's is a push producer to its connection, too, which says when the program has stopped
    reading. Pages are not: they come in one go, and waiting would take a turn from somebody else.
    """

    _received = 0
    _refused = False
    _is_a_programs = False
    _room: asyncio.Event | None = None

    def gotLength(self, length: int | None) -> None:
        # Our own path is known only when the whole body is here.
        path = self.channel._path.partition(b"?")[0]
        self._is_a_programs = unquote_to_bytes(path).startswith(PROGRAMS)  # as Daphne reads it
        super().gotLength(length)
        if length is not None and length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._refused:
            return
        if self._received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:  # chunked: no length was given
            self._refuse()
            return
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            self.channel.loseConnection()
            return
        super().requestReceived(command, path, version)

    def process(self) -> Any:
        # Some clients offer every server HTTP/2; Daphne changes the protocol for sockets alone.
        offered = self.requestHeaders.getRawHeaders(b"Upgrade", [b""])[0]
        if self._is_a_programs and offered.lower() != b"websocket":
            self._room = asyncio.Event()
            self._room.set()
            self.registerProducer(self, True)
        return super().process()

    async def until_read(self) -> None:
        """Returns when there is room for more, or the connection is gone."""
        if self._room is None or self._room.is_set():
            return
        try:
            async with asyncio.timeout(settings.CALL_READ_SECONDS):
                await self._room.wait()
        except TimeoutError:
            if self.channel is not None:
                self.channel.transport.abortConnection()

    def pauseProducing(self) -> None:
        if self._room is not None:
            self._room.clear()

    def resumeProducing(self) -> None:
        if self._room is not None:
            self._room.set()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` follows."""
        self.resumeProducing()

    def connectionLost(self, reason: Any) -> None:
        self.resumeProducing()
        super().connectionLost(reason)

    def finish(self) -> None:
        if self.producer is not None and self.channel is not None:
            self.unregisterProducer()
        super().finish()

    def check_timeouts(self) -> None:
        """A call has timeouts of its own, and ends with an event that says so."""
        if self._room is None:
            super().check_timeouts()

    def _refuse(self) -> None:
        self._refused = True
        self.requestHeaders.removeHeader(b"expect")  # or Twisted would still say "100 Continue"
        kind, text = b"text/plain; charset=utf-8", b"What you sent is too large.\n"
        if self._is_a_programs:
            kind, text = b"application/json", TOO_LARGE_FOR_PROGRAMS
        head = (
            b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nCache-Control: no-store\r\n"
            b"X-Request-ID: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
        )
        name = secrets.token_hex(8).encode()
        self.channel.transport.write(head % (name, kind, len(text)) + text)
        reactor.callLater(settings.REFUSAL_SECONDS, self.channel.loseConnection)


class Pages(HTTPFactory):  # type: ignore[misc]  # Daphne has no types
    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = Request
        return protocol


class Socket(WebSocketProtocol):  # type: ignore[misc]  # Daphne has no types
    """A push producer to its transport, which says when the client has stopped reading."""

    _unread: int | None = None  # bytes written since then
    maxMessagePayloadSize: int  # noqa: N815 Autobahn's

    def connectionMade(self) -> None:
        # The upgraded request was the producer until now, and pauses nothing of ours.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        super().connectionMade()

    def pauseProducing(self) -> None:
        self._unread = self._unread or 0  # told at each write, not only when it begins

    def resumeProducing(self) -> None:
        self._unread = None

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        # The queue to the application has no bound of its own.
        if self.application_queue.qsize() >= settings.SOCKET_UNREAD_MESSAGES:
            self.sendClose(GOING_TOO_FAST)
            return
        super().onMessage(payload, isBinary)

    def serverSend(self, content: str | bytes, binary: bool = False) -> None:
        # While a socket is closing Autobahn raises; whoever tells others must not fail by it.
        if self.state not in (Protocol.STATE_OPEN, Protocol.STATE_CONNECTING):
            return
        if self._unread is not None:
            if self._unread > settings.SOCKET_UNSENT_MAX_BYTES:
                self.dropConnection(abort=True)
                return
            self._unread += len(content)
        # Autobahn holds what is sent to the limit of what is received; answers are longer.
        limit: int = self.maxMessagePayloadSize
        self.maxMessagePayloadSize = 0
        try:
            super().serverSend(content, binary)
        finally:
            self.maxMessagePayloadSize = limit

    def handle_exception(self, exception: BaseException) -> None:
        if self.state != Protocol.STATE_CLOSED:
            super().handle_exception(exception)


class Sockets(WebSocketFactory):  # type: ignore[misc]  # Daphne has no types
    protocol = Socket


def _tls_options(files: Certificate) -> Any:
    from twisted.internet import ssl

    chain = re.findall(
        rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----",
        files.certificate.read_bytes(),
        re.DOTALL,
    )
    own = ssl.PrivateCertificate.loadPEM(chain[0] + b"\n" + files.key.read_bytes())
    return ssl.CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        extraCertChain=[ssl.Certificate.loadPEM(one).original for one in chain[1:]],
    )
