"""A chat request over HTTP: parse, serve, stream or fold, and errors in the caller's dialect."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kiro2api.errors import BusyError, Kiro2apiError
from kiro2api.gateway.attempt import Gateway
from kiro2api.gateway.ledger import RequestRecord
from kiro2api.gateway.outcome import answer_for, failure_for
from kiro2api.gateway.ports import Clock, ReplySink
from kiro2api.protocol.chat.answer import ReplyHead
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.dialect import Dialect
from kiro2api.protocol.tokens import estimate
from kiro2api.server.exchange import Exchange
from kiro2api.server.keys import ClientKey, require_model
from kiro2api.server.streams import FoldSink, OpenStreams, StreamSink

# What a client that met a busy gateway is told to wait.
BUSY_RETRY_S = 5.0
_STOPPING = "The gateway is stopping; send the request again."

T = TypeVar("T")


class ChatEndpoint:
    """Serves chat requests of every dialect; one for the whole program."""

    def __init__(
        self,
        gateway: Gateway,
        streams: OpenStreams,
        clock: Clock,
        new_id: Callable[[], str],
        *,
        max_body_bytes: int,
    ) -> None:
        self._gateway = gateway
        self._streams = streams
        self._clock = clock
        self._new_id = new_id
        self._max_body_bytes = max_body_bytes
        self._running: set[asyncio.Task[object]] = set()
        self._stopped: set[asyncio.Task[object]] = set()

    def stop_running(self) -> None:
        """End every request that runs with an error that says so, in its dialect."""
        self._stopped |= self._running
        for task in self._running:
            task.cancel()

    async def serve(
        self,
        exchange: Exchange,
        dialect: Dialect,
        group: str,
        record: RequestRecord,
        holder: ClientKey,
    ) -> None:
        """Answer one chat request, well or with an error in the caller's dialect."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            body = await self._until_stopped(exchange.body(self._max_body_bytes), record)
            request = dialect.parse(body, exchange.headers)
            record.model = request.model
            record.stream = request.stream
            require_model(holder, request.model)
            if exchange.connection is not None:
                exchange.connection.on_gone(task.cancel)
            if request.stream:
                await self._stream(exchange, dialect, request, group, record)
            else:
                await self._answer(exchange, dialect, request, group, record)
        finally:
            self._running.discard(task)
            self._stopped.discard(task)
            if exchange.connection is not None:
                exchange.connection.on_gone(None)

    async def _answer(
        self,
        exchange: Exchange,
        dialect: Dialect,
        request: ChatRequest,
        group: str,
        record: RequestRecord,
    ) -> None:
        head = self._head(request)
        sink = FoldSink(exchange, dialect, request, head)
        await self._run(request, group, head, sink, record)
        await sink.finish()

    async def _stream(
        self,
        exchange: Exchange,
        dialect: Dialect,
        request: ChatRequest,
        group: str,
        record: RequestRecord,
    ) -> None:
        head = self._head(request)
        sink = StreamSink(exchange, dialect, request, head, self._clock)
        self._streams.add(sink)
        try:
            await self._run(request, group, head, sink, record)
        except Exception as error:
            if not exchange.started:
                raise
            # The status is out: the error can only follow inside the stream.
            record.refused(answer_for(error))
            record.is_partial = sink.content_committed
            await sink.deliver([failure_for(error)])
            await sink.finish()
            if not isinstance(error, Kiro2apiError):
                raise
        finally:
            self._streams.discard(sink)
        await sink.finish()

    def _head(self, request: ChatRequest) -> ReplyHead:
        return ReplyHead(
            id=self._new_id(),
            model=request.model,
            created_s=int(self._clock.wall()),
            input_tokens=estimate(request),
        )

    async def _run(
        self,
        request: ChatRequest,
        group: str,
        head: ReplyHead,
        sink: ReplySink,
        record: RequestRecord,
    ) -> None:
        work = self._gateway.serve(
            request, group=group, input_tokens=head.input_tokens, sink=sink, record=record
        )
        await self._until_stopped(work, record)

    async def _until_stopped(self, work: Awaitable[T], record: RequestRecord) -> T:
        """Return what `work` returns.

        Raises:
            BusyError: `stop_running` was called first.
        """
        try:
            return await work
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task not in self._stopped:
                raise
            task.uncancel()
            record.failed("stopping")
            raise BusyError(_STOPPING, retry_after_s=BUSY_RETRY_S) from None
