"""One client connection: uvicorn's protocol with limits, time-outs and a handle for the app."""

import asyncio
import math
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from kiro2api.protocol.wire import json
from kiro2api.server.flow import EdgeEvent, EdgeFlow
from kiro2api.server.limits import EdgeLimits

EXTENSION: Final = "kiro2api"

_TOO_LARGE = "The request headers are too large."
_TOO_MANY = "The request has too many headers."
_INVALID = "The request is not valid HTTP."
_SLOW_HEAD = "The request headers did not arrive in time."
_SLOW_BODY = "The request body stopped arriving."
_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


class EdgeState(ServerState):
    """What all connections of one server share; lives as long as the server."""

    def __init__(self, limits: EdgeLimits) -> None:
        super().__init__()
        self.limits = limits
        self.draining = False


class ClientConnection:
    """What the app may know and do about the connection of a request; lives as long as it.

    Found in `scope["extensions"]["kiro2api"]`; the requests of one connection share it.
    """

    __slots__ = ("_callback", "_protocol", "gone")

    def __init__(self, protocol: "GatewayProtocol") -> None:
        self.gone = False
        self._protocol = protocol
        self._callback: Callable[[], object] | None = None

    @property
    def write_paused(self) -> bool:
        """True while the client reads slower than it is sent to."""
        return self._protocol.flow.write_paused

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """Have `callback` called as soon as the client has gone, now if it has; None clears.

        There is one place for it: the last one wins.
        """
        self._callback = callback
        if self.gone:
            self._tell()

    def hold_head(self) -> None:
        """Have the head that comes now leave together with the first piece of its body.

        Each write wakes the client and costs as much as parsing the request did.
        """
        self._protocol.edge.hold_next()

    def abort(self) -> None:
        """Drop the connection, with what waits to be written."""
        self._protocol.abort()

    def lose(self) -> None:
        """Note that the client has gone."""
        self.gone = True
        self._tell()

    def _tell(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class EdgeTransport:
    """The transport as uvicorn sees it: `close` lets the client read the answer first."""

    __slots__ = ("_held", "_transport", "close", "get_extra_info", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self._held = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        # Changed for one or two writes by `hold_next`: all others go straight to the transport.
        self.write: Callable[[bytes], None] = transport.write
        self.close = close

    def hold_next(self) -> None:
        """Let the next write wait for the one after it, and leave with it."""
        self.write = self._hold

    def _hold(self, data: bytes) -> None:
        self._held = data
        self.write = self._write_both

    def _write_both(self, data: bytes) -> None:
        held, self._held = self._held, b""
        self.write = self._transport.write
        self._transport.writelines((held, data))


class _Phase(StrEnum):
    HEAD = "head"
    BODY = "body"
    BETWEEN = "between"


class GatewayProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the limits of `EdgeLimits`; lives as long as its connection.

    It has no timers: the server calls `check_time` on every connection now and then, so the limits
    cost a request no more than a few attributes.
    """

    # Not in the instance's dictionary: with uvicorn's own attributes it would be a big one.
    __slots__ = (
        "_client",
        "_deaf",
        "_extensions",
        "_head_bytes",
        "_heads",
        "_limits",
        "_lingering",
        "_mark",
        "_marked_at",
        "_phase",
        "_raw",
        "_read_bytes",
        "_reads",
        "_refusal",
        "_state",
        "_unwanted_bytes",
        "_upgrading",
        "edge",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # uvicorn's own, passed through
        super().__init__(*args, **kwargs)
        assert isinstance(self.server_state, EdgeState)
        self._state: EdgeState = self.server_state
        self._limits = self._state.limits
        self._client = ClientConnection(self)
        self._extensions = {EXTENSION: self._client}
        self._raw: asyncio.Transport | None = None
        self._phase = _Phase.HEAD
        self._upgrading = False
        self._deaf = False
        self._lingering = False
        self._refusal: tuple[HTTPStatus, str] | None = None
        # Counters: requests begun, reads, the last read's size, the head's bytes so far.
        self._heads = 0
        self._reads = 0
        self._read_bytes = 0
        self._head_bytes = 0
        self._unwanted_bytes = 0
        # What `check_time` saw last, and since when it has not changed.
        self._mark: tuple[str, int] = ("", 0)
        self._marked_at = 0.0

    # ------------------------------------------------------------------------------- transport

    def connection_made(  # type: ignore[override]  # as uvicorn does: always a whole transport
        self, transport: asyncio.Transport
    ) -> None:
        """Take the connection; uvicorn gets our view of it."""
        super().connection_made(transport)
        self._raw = transport
        self.flow = EdgeFlow(transport)
        self.edge = EdgeTransport(transport, self.close)
        self.transport = self.edge  # type: ignore[assignment]  # it has all that uvicorn uses

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app at once."""
        super().connection_lost(exc)
        self._client.lose()

    def abort(self) -> None:
        """Drop the connection."""
        if self._raw is not None:
            self._raw.abort()

    def close_after_answer(self) -> None:
        """Let the answer under way, if any, be the connection's last."""
        if not self._is_answered():
            self.cycle.keep_alive = False

    def _is_answered(self) -> bool:
        # uvicorn's attribute is None before the first request, whatever its type says.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def close(self) -> None:
        """Close after what waits has been written."""
        if self._phase is _Phase.BODY or (self._phase is _Phase.HEAD and self._heads > 0):
            self._linger()
        elif self._raw is not None and not self._lingering:
            self._raw.close()

    def _linger(self) -> None:
        """Close, but read on for a while and throw away.

        A socket that is closed while bytes wait in it is reset, and the reset can overtake the
        answer on its way to a client that is still sending.
        """
        transport = self._raw
        self._deaf = True
        if transport is None or self._lingering or transport.is_closing():
            return
        self._lingering = True
        self.flow.resume_reading()
        transport.write_eof()
        self.loop.call_later(self._limits.linger_s, transport.close)

    # ------------------------------------------------------------------------------ the parser

    def data_received(self, data: bytes) -> None:
        """Parse `data`, unless this connection has had its last answer."""
        if self._deaf:
            return
        self._reads += 1
        self._read_bytes = len(data)
        was_between, heads = self._phase is _Phase.BETWEEN, self._heads
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (HTTPStatus.BAD_REQUEST, _INVALID)))
            return
        if self._phase is _Phase.HEAD:
            # Bytes of an earlier request in the same read are none of this head's.
            own = self._heads == heads or ((was_between or heads == 0) and self._heads == heads + 1)
            self._head_bytes += len(data) if own else 0
            if self._head_bytes > self._limits.max_header_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        while data:
            rest = b""
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = data[upgrade.args[0] :]
            if not self._upgrading:
                return
            # The parser takes what follows for another protocol. Nothing here is upgraded (some
            # clients offer HTTP/2 with every first request): parse the same request without it.
            data = self._head_without_upgrade() + rest
            self._upgrading = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() not in _UPGRADE)
            if name not in _UPGRADE:
                lines.append(b"%s: %s\r\n" % (name, value))
        return b"".join(lines) + b"\r\n"

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._phase = _Phase.HEAD
        self._heads += 1
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request unless its head is over a limit."""
        if self.parser.should_upgrade():
            self._upgrading = self.parser.get_method() != b"CONNECT"
            if not self._upgrading:
                raise ValueError(_INVALID)
            return
        limits = self._limits
        if len(self.headers) > limits.max_header_count:
            self._refusal = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_MANY)
            raise ValueError(_TOO_MANY)
        if self._head_bytes + self._read_bytes > limits.max_header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.max_header_bytes:
                self._refusal = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LARGE)
                raise ValueError(_TOO_LARGE)
        self._phase = _Phase.BODY
        self._unwanted_bytes = 0
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]  # our own
        super().on_headers_complete()
        self.cycle.message_event = EdgeEvent()
        if self._state.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; too much that nobody wants ends the connection."""
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > self._limits.max_unwanted_bytes:
                self._linger()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request's body, and go on reading to see the client leave."""
        if self._upgrading:
            return
        self._phase = _Phase.BETWEEN
        super().on_message_complete()
        if not self.pipeline:
            # uvicorn pauses for a big body and would resume only when the app asks for more.
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Start the next request of a pipeline; idle connections are left to `check_time`."""
        self._state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    # --------------------------------------------------------------------------------- refusals

    def check_time(self, now: float) -> None:
        """End the connection when the client has taken too long for what it must do now."""
        mark, limit_s = self._duty()
        if mark != self._mark:
            self._mark = mark
            self._marked_at = now
        elif now - self._marked_at >= limit_s and not self._lingering:
            self._time_is_up()

    def _duty(self) -> tuple[tuple[str, int], float]:
        """Return what the client must do now, with a number that changes when it does, in how long."""
        limits = self._limits
        if self.flow.write_paused and self._raw is not None:
            return ("unread", self._raw.get_write_buffer_size()), limits.unread_s
        if self._phase is _Phase.HEAD:
            return ("head", self._heads), limits.header_s
        if self._phase is _Phase.BODY and not self.flow.read_paused:
            return ("body", self._reads), limits.body_silence_s
        if self._is_answered():
            return ("idle", self._heads), limits.keep_alive_s
        return ("wait", 0), math.inf

    def _time_is_up(self) -> None:
        if self.flow.write_paused:
            self.abort()
        elif self._phase is _Phase.HEAD and self._heads > 0:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, _SLOW_HEAD)
        elif self._phase is _Phase.BODY:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, _SLOW_BODY)
        else:
            self.close()

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer what the app cannot: bytes that are no request, too many, or too late."""
        self._deaf = True
        cycle = self.cycle
        if not self._is_answered():
            if self._phase is not _Phase.BODY:
                # An answer is under way and the next request is bad: end after the answer.
                cycle.keep_alive = False
                return
            if cycle.response_started:
                self.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        body = json.encode(
            {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        )
        lines = [STATUS_LINE[status]]
        for name, value in self._state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        lines += (
            b"content-type: application/json\r\nconnection: close\r\n",
            b"content-length: %d\r\n\r\n" % len(body),
            body,
        )
        self.transport.write(b"".join(lines))
        self._client.lose()
        self._linger()
