"""The emulator as a server: its options, its listener, and its life."""

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Self, cast

import msgspec

from kiro2api.emulator import control, tls
from kiro2api.emulator.accounts import AccountKind, AccountSpec
from kiro2api.emulator.exchange import Exchange, reply
from kiro2api.emulator.http1 import Http1Connection, Serve
from kiro2api.emulator.http2 import PREFACE, Http2Connection
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.service import Service
from kiro2api.emulator.world import World
from kiro2api.protocol.wire import json

_BACKLOG = 1024
_WRITE_HIGH_BYTES = 64 * 1024
# Transports tell of their start and their end in later turns of the loop.
_TURNS = 5


class Tls(StrEnum):
    """Whether the listener speaks TLS, and with whose certificate."""

    OFF = "off"
    SELF_SIGNED = "self-signed"
    FILES = "files"


def demo_accounts() -> tuple[AccountSpec, ...]:
    """Return the accounts that exist when nobody defines others: one of each common kind."""
    return (
        AccountSpec(name="demo-social"),
        AccountSpec(name="demo-idc", kind=AccountKind.IDC),
    )


class EmulatorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How an emulator is set up; port 0 is a free one."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: Tls = Tls.OFF
    # With Tls.FILES: the listener's certificate chain and key.
    certificate_file: str = ""
    key_file: str = ""
    # With Tls.SELF_SIGNED: where to write the authority that clients have to trust.
    ca_file: str = ""
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    max_streams: int = 128
    profile: ProfileName = ProfileName.RUNTIME_2026
    seed: int = 1
    accounts: tuple[AccountSpec, ...] = msgspec.field(default_factory=demo_accounts)


class Emulator:
    """A running emulator; lives as long as its `async with` block.

    `url` is its base URL, `world` its state, `ca_pem` the authority to trust (b"" without TLS of
    its own making).
    """

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self.world = World(
            seed=options.seed,
            profile=options.profile,
            accounts=options.accounts,
            clock=time.time,  # noqa: TID251 - here the emulator's clock is given its source
            monotonic=time.monotonic,
        )
        self.url = ""
        self.ca_pem = b""
        self._service = Service(self.world)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Listener] = set()
        self._accepted = 0
        self._stack = contextlib.AsyncExitStack()
        self._is_closing = False

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self._stack.__aenter__()
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        context = self._context()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Listener(self, self._connections),
            self._options.host,
            self._options.port,
            ssl=context,
            backlog=_BACKLOG,
        )
        self._stack.push_async_callback(self._stop, server)
        port = server.sockets[0].getsockname()[1]
        scheme = "http" if context is None else "https"
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        self.url = self.world.url = f"{scheme}://{host}:{port}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Break off what is running and close the listener."""
        await self._stack.aclose()

    def number(self) -> int:
        """Return the number of the next connection."""
        self._accepted += 1
        return self._accepted

    @property
    def is_closing(self) -> bool:
        """Whether connections that come now come too late."""
        return self._is_closing

    @property
    def max_streams(self) -> int:
        """How many streams an HTTP/2 connection may have at once."""
        return self._options.max_streams

    def serve(self, exchange: Exchange) -> None:
        """Start to answer `exchange`."""
        if exchange.request.path.startswith(control.PREFIX):
            if exchange.request.path == control.RESET:
                self._cancel_tasks()
            control.answer(self.world, exchange)
            return
        task = self._group.create_task(self._answer(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        exchange.on_gone(lambda: _cancel(task))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._service.answer(exchange)
        except asyncio.CancelledError:
            exchange.reset()
            raise
        except Exception as error:  # noqa: BLE001 - a fault of the emulator must fail the test
            record = self.world.records[-1]
            self.world.violate("emulator", f"{type(error).__name__}: {error}", record)
            if record.status:
                exchange.reset()
                return
            body = json.encode({"message": f"the emulator failed: {error}"})
            reply(exchange, 500, {"content-type": "application/json"}, body)

    def _context(self) -> ssl.SSLContext | None:
        options = self._options
        match options.tls:
            case Tls.OFF:
                return None
            case Tls.FILES:
                certificate, key = Path(options.certificate_file), Path(options.key_file)
                return tls.server_context(certificate, key, alpn=options.alpn)
            case Tls.SELF_SIGNED:
                made = tls.make_certificate(options.host, now=self.world.clock.now())
                self.ca_pem = made.authority
                if options.ca_file:
                    Path(options.ca_file).write_bytes(made.authority)
                return tls.self_signed_context(made, alpn=options.alpn)

    async def _stop(self, server: asyncio.Server) -> None:
        """Stop to listen, break off what runs, and wait until all of it has been told."""
        self._is_closing = True
        # A connection that is being accepted while the listener closes would never be closed.
        await _turns()
        server.close()
        for connection in list(self._connections):
            connection.stop()
        self._cancel_tasks()
        await _turns()

    def _cancel_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()


class _Listener(asyncio.Protocol):
    """One accepted connection, until it is known which HTTP it speaks and after."""

    def __init__(self, emulator: Emulator, connections: "set[_Listener]") -> None:
        self._emulator = emulator
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._http: Http1Connection | Http2Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; ALPN may have settled which HTTP it speaks."""
        # uvloop's transports have the methods, but not the base class.
        writable = cast(asyncio.Transport, transport)
        if self._emulator.is_closing:
            writable.abort()
            return
        self._connections.add(self)
        self._transport = writable
        writable.set_write_buffer_limits(high=_WRITE_HIGH_BYTES)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = transport.get_extra_info("ssl_object")
        if secure is not None and secure.selected_alpn_protocol() == "h2":
            self._speak(writable, is_http2=True)

    def data_received(self, data: bytes) -> None:
        """Hand on what came; the first bytes tell HTTP/2 without TLS from HTTP/1.1."""
        if self._http is not None:
            self._http.receive(data)
            return
        self._first += data
        if self._transport is None:
            return
        if len(self._first) < len(PREFACE) and PREFACE.startswith(self._first):
            return
        first, self._first = self._first, b""
        self._speak(self._transport, is_http2=first.startswith(PREFACE)).receive(first)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the streams that their client is gone."""
        self._connections.discard(self)
        if self._http is not None:
            self._http.lose()

    def pause_writing(self) -> None:
        """Tell the streams to wait."""
        if self._http is not None:
            self._http.pause()

    def resume_writing(self) -> None:
        """Tell the streams to go on."""
        if self._http is not None:
            self._http.resume()

    def stop(self) -> None:
        """Break the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def _speak(
        self, transport: asyncio.Transport, *, is_http2: bool
    ) -> Http1Connection | Http2Connection:
        number = self._emulator.number()
        serve: Serve = self._emulator.serve
        if is_http2:
            streams = self._emulator.max_streams
            self._http = Http2Connection(transport, number, serve, max_streams=streams)
        else:
            self._http = Http1Connection(transport, number, serve)
        return self._http


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def serve(options: EmulatorOptions, *, started: Callable[[str], None] | None = None) -> None:
    """Run an emulator until SIGTERM or SIGINT; `started` is told its URL."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Emulator(options) as emulator:
        if started is not None:
            started(emulator.url)
        await stop.wait()


def run(options: EmulatorOptions, *, started: Callable[[str], None] | None = None) -> None:
    """Run an emulator in this process until SIGTERM or SIGINT."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options, started=started))
