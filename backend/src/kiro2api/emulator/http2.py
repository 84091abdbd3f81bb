"""HTTP/2 of the emulator: frames by h2, answers queued per stream as the windows allow."""

import asyncio
from collections.abc import Callable, Mapping

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from kiro2api.emulator.exchange import Request
from kiro2api.emulator.http1 import MAX_BODY_BYTES, Serve, make_request

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WINDOW_BYTES = 16 * 1024 * 1024
_MAX_HEADERS_BYTES = 256 * 1024
# A stream with more than this waiting for the client's window counts as slow.
_QUEUE_HIGH_BYTES = 64 * 1024


class Http2Connection:
    """One HTTP/2 connection and its streams; owned by its listener's protocol."""

    def __init__(
        self, transport: asyncio.Transport, number: int, serve: Serve, *, max_streams: int
    ) -> None:
        self.transport = transport
        self._number = number
        self._serve = serve
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.wire = h2.connection.H2Connection(config=config)
        self._streams: dict[int, _Incoming | Http2Exchange] = {}
        # Settings given at birth: changed later, they would count only once acknowledged.
        self.wire.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: max_streams,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADERS_BYTES,
            },
        )
        self.wire.initiate_connection()
        self.wire.increment_flow_control_window(_WINDOW_BYTES)
        self.flush()

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        try:
            events = self.wire.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.transport.close()
            return
        for event in events:
            self._take(event)
        self.flush()

    def lose(self) -> None:
        """Note that the connection is gone."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            if isinstance(stream, Http2Exchange):
                stream.lose()

    def pause(self) -> None:
        """Note that the client reads slowly: the windows say so too."""

    def resume(self) -> None:
        """Note that the client has caught up."""
        for stream in list(self._streams.values()):
            if isinstance(stream, Http2Exchange):
                stream.advance()
        self.flush()

    def flush(self) -> None:
        """Send what h2 has made ready."""
        data = self.wire.data_to_send()
        if data:
            self.transport.write(data)

    def forget(self, stream_id: int) -> None:
        """Drop a stream whose answer has ended."""
        self._streams.pop(stream_id, None)

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(number)):
                self._streams[number] = _Incoming(list(event.headers or ()))
            case h2.events.DataReceived(stream_id=int(number)):
                self.wire.acknowledge_received_data(event.flow_controlled_length or 0, number)
                incoming = self._streams.get(number)
                if isinstance(incoming, _Incoming):
                    incoming.body += event.data or b""
                    if len(incoming.body) > MAX_BODY_BYTES:
                        self.transport.abort()
            case h2.events.StreamEnded(stream_id=int(number)):
                self._dispatch(number)
            case h2.events.StreamReset(stream_id=int(number)):
                stream = self._streams.pop(number, None)
                if isinstance(stream, Http2Exchange):
                    stream.lose()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self.resume()
            case h2.events.ConnectionTerminated():
                self.transport.close()
            case _:
                pass

    def _dispatch(self, number: int) -> None:
        incoming = self._streams.get(number)
        if not isinstance(incoming, _Incoming):
            return
        headers = {_word(name): _word(value) for name, value in incoming.headers}
        request = make_request(
            headers.get(":method", ""),
            headers.get(":path", "/"),
            {name: value for name, value in headers.items() if not name.startswith(":")},
            bytes(incoming.body),
            version="2",
            connection=self._number,
        )
        exchange = Http2Exchange(self, number, request)
        self._streams[number] = exchange
        self._serve(exchange)


class _Incoming:
    """A request that is still arriving."""

    def __init__(self, headers: list[tuple[bytes | str, bytes | str]]) -> None:
        self.headers = headers
        self.body = bytearray()


def _word(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


class Http2Exchange:
    """One request and its answer over HTTP/2; see `Exchange`."""

    def __init__(self, connection: Http2Connection, number: int, request: Request) -> None:
        self.request = request
        self._connection = connection
        self._number = number
        self._queue = bytearray()
        self._written = 0
        self._ending = False
        self._over = False
        self._gone = False
        self._room = asyncio.Event()
        self._room.set()
        self._on_gone: list[Callable[[], None]] = []

    @property
    def is_gone(self) -> bool:
        """Tell whether the client left before the answer had ended."""
        return self._gone

    @property
    def sent_bytes(self) -> int:
        """How many bytes of the body were handed to the operating system."""
        waiting = len(self._queue) + self._connection.transport.get_write_buffer_size()
        return max(0, self._written - waiting)

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` run when the client leaves before the answer has ended."""
        self._on_gone.append(call)

    def lose(self) -> None:
        """Note that the client is gone."""
        if not self._over:
            self._gone = self._over = True
            self._room.set()
            for call in self._on_gone:
                call()

    def begin(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        """Send the head; the length is told when it is known."""
        if self._over:
            return
        fields = [(":status", str(status)), *headers.items()]
        if length is not None:
            fields.append(("content-length", str(length)))
        self._connection.wire.send_headers(self._number, fields)
        self._connection.flush()

    def write(self, data: bytes) -> None:
        """Send a piece of the body, as far as the client's window allows."""
        if self._over:
            return
        self._written += len(data)
        self._queue += data
        self.advance()
        self._connection.flush()

    async def drain(self) -> None:
        """Wait until the client's window has let most of the body through."""
        await self._room.wait()

    def end(self) -> None:
        """End the stream once all of the body is through."""
        if self._over:
            return
        self._ending = True
        self.advance()
        self._connection.flush()

    def close(self) -> None:
        """Close the whole connection without ending the stream."""
        if not self._over:
            self._over = True
            self._connection.flush()
            self._connection.transport.close()

    def reset(self) -> None:
        """Break off this stream alone."""
        if not self._over:
            self._over = True
            self._connection.wire.reset_stream(self._number, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self._connection.forget(self._number)
            self._connection.flush()

    def advance(self) -> None:
        """Hand to h2 what the window takes; the caller flushes."""
        if self._over:
            return
        wire = self._connection.wire
        while self._queue:
            room = wire.local_flow_control_window(self._number)
            size = min(room, wire.max_outbound_frame_size, len(self._queue))
            if size <= 0:
                break
            wire.send_data(self._number, bytes(self._queue[:size]))
            del self._queue[:size]
        if len(self._queue) > _QUEUE_HIGH_BYTES:
            self._room.clear()
        else:
            self._room.set()
        if self._ending and not self._queue:
            self._over = True
            wire.end_stream(self._number)
            self._connection.forget(self._number)
