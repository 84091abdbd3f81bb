"""Replies on their way to clients, streamed or whole, and the sweep that keeps streams alive."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from kiro2api.gateway.ports import Clock
from kiro2api.protocol.chat.answer import ReplyHead
from kiro2api.protocol.chat.events import CONTENT_EVENTS, Begin, Failure, Finish, StreamEvent
from kiro2api.protocol.chat.fold import fold
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.dialect import Dialect
from kiro2api.server.exchange import JSON_TYPE, Exchange

SWEEP_S = 0.5
STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds until the status is sent anyhow, and of silence until a ping."""

    status_commit_s: float = 10.0
    ping_s: float = 15.0


class StreamSink:
    """A reply that the client reads as it comes; lives as long as the reply."""

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        request: ChatRequest,
        head: ReplyHead,
        clock: Clock,
    ) -> None:
        self.content_committed = False
        self.ended = False
        self._exchange = exchange
        self._renderer = dialect.renderer(request, head)
        self._render = self._renderer.render
        self._send = exchange.send
        self._now = clock.monotonic
        self._begun = False
        self._last = b""
        self.is_writing = False
        self.opened_at = self.written_at = clock.monotonic()

    async def deliver(self, events: Sequence[StreamEvent]) -> None:
        """Render `events` and write them at once; returns when the client can take more.

        What a `Finish` ends is written by `finish`, together with the end of the body; nothing
        can follow it.
        """
        if self._last:
            return
        if not self.content_committed:
            events = self._before_content(events)
            if not events:
                return
        data = self._render(events)
        if not self._exchange.status:
            await self._exchange.start(200, STREAM_HEADERS)
        if type(events[-1]) is Finish:
            self._last = data
        else:
            await self._write(data)

    def _before_content(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        self.content_committed = any(type(event) in CONTENT_EVENTS for event in events)
        if self._begun:
            # A later attempt begins anew; the client has seen the beginning already.
            return [event for event in events if not isinstance(event, Begin)]
        self._begun = any(isinstance(event, Begin) for event in events)
        return events

    async def _write(self, data: bytes) -> None:
        self._exchange.bytes_out += len(data)
        self.is_writing = True
        self.written_at = self._now()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.is_writing = False

    def restart(self) -> None:
        """Another attempt starts; what was written stays."""

    async def keep_alive(self, limits: StreamLimits) -> None:
        """Ping a silent stream; start one whose upstream takes its time.

        A client that takes nothing is the connection's to drop.
        """
        now = self._now()
        connection = self._exchange.connection
        if self.ended or self.is_writing or (connection is not None and connection.write_paused):
            # A write would wait here, and the sweep of all other streams with it.
            return
        if not self._exchange.status:
            if now - self.opened_at >= limits.status_commit_s:
                await self._exchange.start(200, STREAM_HEADERS)
                await self._write(self._renderer.ping())
        elif now - self.written_at >= limits.ping_s:
            await self._write(self._renderer.ping())

    async def finish(self) -> None:
        """End the response body."""
        if not self.ended:
            self.ended = True
            self._exchange.bytes_out += len(self._last)
            await self._send({"type": "http.response.body", "body": self._last})


class FoldSink:
    """A reply that the client reads whole; lives as long as the reply."""

    content_committed = False

    def __init__(
        self, exchange: Exchange, dialect: Dialect, request: ChatRequest, head: ReplyHead
    ) -> None:
        self._exchange = exchange
        self._dialect = dialect
        self._request = request
        self._head = head
        self._events: list[StreamEvent] = []

    async def deliver(self, events: Sequence[StreamEvent]) -> None:
        """Keep `events` for the fold."""
        self._events += events

    def restart(self) -> None:
        """Forget the attempt that failed."""
        self._events.clear()

    async def finish(self) -> None:
        """Fold what was delivered and send it as one JSON body."""
        reply = fold(self._events)
        if isinstance(reply, Failure):
            raise AssertionError("a reply that nobody has seen fails by exception")
        body = self._dialect.render_reply(self._request, self._head, reply)
        await self._exchange.answer(200, body, (JSON_TYPE,))


class OpenStreams:
    """All streams that are open now, swept twice a second; one for the whole program."""

    def __init__(self, limits: StreamLimits, on_error: Callable[[BaseException], None]) -> None:
        self._limits = limits
        self._on_error = on_error
        self._sinks: set[StreamSink] = set()

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, sink: StreamSink) -> None:
        """Sweep `sink` from now on."""
        self._sinks.add(sink)

    def discard(self, sink: StreamSink) -> None:
        """Sweep `sink` no more."""
        self._sinks.discard(sink)

    async def sweep_forever(self) -> None:
        """Keep all open streams alive until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for sink in tuple(self._sinks):
                if sink in self._sinks:
                    try:
                        await sink.keep_alive(self._limits)
                    except Exception as error:  # noqa: BLE001 - one stream must not end the sweep
                        self._on_error(error)
