"""HTTP/1.1 of the emulator: requests by h11, answers that can be cut anywhere."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from kiro2api.emulator.exchange import Exchange, Request

# With this a close sends a reset instead of an orderly end.
_LINGER_ZERO = struct.pack("ii", 1, 0)
MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_HEAD_BYTES = 256 * 1024

Serve = Callable[[Exchange], None]


def make_request(
    method: str, target: str, headers: dict[str, str], body: bytes, *, version: str, connection: int
) -> Request:
    """Return the request with its target taken apart."""
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, body, version, connection)


def reset_transport(transport: asyncio.Transport) -> None:
    """Break the TCP connection off with a reset, whatever was still to be sent."""
    lent = transport.get_extra_info("socket")
    if lent is not None:
        # A duplicate: what the event loop lends is for looking at only.
        with lent.dup() as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


class Flow:
    """Whether a connection takes more bytes now; shared by its exchanges."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pause(self) -> None:
        """Note that the transport's buffer is full."""
        self._open.clear()

    def resume(self) -> None:
        """Note that it has emptied, or that nothing matters any more."""
        self._open.set()

    async def wait(self) -> None:
        """Wait until there is room."""
        await self._open.wait()


class Http1Connection:
    """One HTTP/1.1 connection, one request at a time; owned by its listener's protocol."""

    def __init__(self, transport: asyncio.Transport, number: int, serve: Serve) -> None:
        self.transport = transport
        self.flow = Flow()
        self._number = number
        self._serve = serve
        self.wire = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._exchange: Http1Exchange | None = None

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        self.wire.receive_data(data)
        self._advance()

    def lose(self) -> None:
        """Note that the connection is gone."""
        self.flow.resume()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lose()

    def pause(self) -> None:
        """Note that the client reads slowly."""
        self.flow.pause()

    def resume(self) -> None:
        """Note that the client has caught up."""
        self.flow.resume()

    def finished(self) -> None:
        """Go on to the next request after an answer has ended."""
        self._exchange = None
        if self.wire.our_state is h11.DONE and self.wire.their_state is h11.DONE:
            self.wire.start_next_cycle()
            self._advance()
        else:
            self.transport.close()

    def _advance(self) -> None:
        while self._exchange is None and not self.transport.is_closing():
            try:
                event = self.wire.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return
            match event:
                case h11.Request():
                    self._head = event
                    self._body.clear()
                    self._send_continue()
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > MAX_BODY_BYTES:
                        self.transport.abort()
                case h11.EndOfMessage():
                    self._dispatch()
                case h11.ConnectionClosed():
                    self.transport.close()
                case _:
                    return

    def _send_continue(self) -> None:
        if self.wire.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            self.transport.write(self.wire.send(go_on) or b"")

    def _dispatch(self) -> None:
        head = self._head
        if head is None:
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        request = make_request(
            head.method.decode("ascii"),
            head.target.decode("latin-1"),
            headers,
            bytes(self._body),
            version=head.http_version.decode("ascii"),
            connection=self._number,
        )
        self._body.clear()
        self._exchange = Http1Exchange(self, request)
        self._serve(self._exchange)

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self.wire.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            head = h11.Response(
                status_code=error.error_status_hint,
                headers=[("content-length", "0"), ("connection", "close")],
            )
            self.transport.write(self.wire.send(head) or b"")
        self.transport.close()


class Http1Exchange:
    """One request and its answer over HTTP/1.1; see `Exchange`."""

    def __init__(self, connection: Http1Connection, request: Request) -> None:
        self.request = request
        self._connection = connection
        self._chunked = False
        self._written = 0
        self._over = False
        self._gone = False
        self._on_gone: list[Callable[[], None]] = []

    @property
    def is_gone(self) -> bool:
        """Tell whether the client left before the answer had ended."""
        return self._gone

    @property
    def sent_bytes(self) -> int:
        """How many bytes of the body were handed to the operating system."""
        return max(0, self._written - self._connection.transport.get_write_buffer_size())

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` run when the client leaves before the answer has ended."""
        self._on_gone.append(call)

    def lose(self) -> None:
        """Note that the client is gone."""
        if not self._over:
            self._gone = self._over = True
            for call in self._on_gone:
                call()

    def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        """Send the head; without a `length` the body is sent in chunks."""
        if self._over:
            return
        self._chunked = length is None
        framing = (
            ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
        )
        head = h11.Response(status_code=status, headers=[*headers.items(), framing])
        self._connection.transport.write(self._connection.wire.send(head) or b"")

    def write(self, data: bytes) -> None:
        """Send a piece of the body in one write (and in one chunk) of its own."""
        if self._over:
            return
        self._written += len(data)
        if self._chunked:
            # Past h11 on purpose: it keeps no count of chunks, and this is the hot path.
            self._connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._connection.transport.write(self._connection.wire.send(h11.Data(data=data)) or b"")

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written."""
        await self._connection.flow.wait()

    def end(self) -> None:
        """End the answer; the connection is used again."""
        if self._over:
            return
        self._over = True
        self._connection.transport.write(self._connection.wire.send(h11.EndOfMessage()) or b"")
        self._connection.finished()

    def close(self) -> None:
        """Close the connection in good order for TCP but not for HTTP."""
        if not self._over:
            self._over = True
            self._connection.transport.close()

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        if not self._over:
            self._over = True
            reset_transport(self._connection.transport)
