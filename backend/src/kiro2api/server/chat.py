"""A chat request over HTTP: parse, serve, stream or fold, and errors in the caller's dialect."""

import asyncio
from collections.abc import Callable

from kiro2api.errors import FaultKind, Kiro2apiError
from kiro2api.gateway.attempt import Gateway
from kiro2api.gateway.ledger import RequestRecord
from kiro2api.gateway.outcome import answer_for
from kiro2api.gateway.ports import Clock
from kiro2api.protocol.chat.answer import ReplyHead
from kiro2api.protocol.chat.events import Failure
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.dialect import Dialect
from kiro2api.protocol.tokens import estimate
from kiro2api.server.exchange import Exchange
from kiro2api.server.streams import FoldSink, OpenStreams, StreamSink


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

    async def serve(
        self, exchange: Exchange, dialect: Dialect, group: str, record: RequestRecord
    ) -> None:
        """Answer one chat request, well or with an error in the caller's dialect."""
        body = await exchange.body(self._max_body_bytes)
        request = dialect.parse(body, exchange.headers)
        record.model = request.model
        record.stream = request.stream
        record.conversation_key = request.conversation_key
        input_tokens = estimate(request)
        head = ReplyHead(
            id=self._new_id(),
            model=request.model,
            created_s=int(self._clock.wall()),
            input_tokens=input_tokens,
        )
        task = asyncio.current_task()
        if exchange.connection is not None and task is not None:
            exchange.connection.on_gone(task.cancel)
        try:
            if request.stream:
                sink = StreamSink(exchange, dialect, request, head, self._clock)
                await self._stream(exchange, request, group, input_tokens, sink, record)
            else:
                folded = FoldSink(exchange, dialect, request, head)
                await self._gateway.serve(
                    request, group=group, input_tokens=input_tokens, sink=folded, record=record
                )
                await folded.finish()
        finally:
            if exchange.connection is not None:
                exchange.connection.on_gone(None)

    async def _stream(
        self,
        exchange: Exchange,
        request: ChatRequest,
        group: str,
        input_tokens: int,
        sink: StreamSink,
        record: RequestRecord,
    ) -> None:
        self._streams.add(sink)
        try:
            await self._gateway.serve(
                request, group=group, input_tokens=input_tokens, sink=sink, record=record
            )
        except Kiro2apiError as error:
            if not exchange.started:
                raise
            # The status is out, for pings: the error can only follow inside the stream.
            answer = answer_for(error)
            record.failed(answer.code or type(error).__name__)
            kind = answer.kind or FaultKind.UNKNOWN
            await sink.deliver([Failure(kind, answer.message)])
        finally:
            self._streams.discard(sink)
        await sink.finish()
