"""Judges each answer of the Anthropic dialect by the types of the SDK that is imported."""

from collections.abc import Iterable, Sequence
from typing import Any

import anthropic
from anthropic.types import ErrorResponse, Message, MessageTokensCount, ModelInfo
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.raw_message_stream_event import RawMessageStreamEvent

from kiro2api.protocol.wire import json
from tests.sdk.strict import read
from tests.support.sse import SseEvent, check_anthropic_stream
from tests.support.wiretap import Exchange

# The earlier SDK does not know how a model's life goes.
_EXTRA = frozenset(() if anthropic.__version__ >= "2" else ("lifecycle",))


def judge(exchanges: Iterable[Exchange]) -> None:
    """Require that every answer is what the SDK's own types say, to the letter."""
    for exchange in exchanges:
        path = exchange.path.partition("?")[0]
        if exchange.is_stream:
            assert exchange.status == 200
            _judge_stream(exchange.events)
            continue
        assert exchange.answer_headers["content-type"].startswith("application/json")
        assert exchange.answer_headers["request-id"].startswith("req_")
        answer = json.decode(exchange.answer)
        if exchange.status != 200:
            read(ErrorResponse, answer, extra=frozenset({"details"}))
            assert answer["request_id"] == exchange.answer_headers["request-id"]
        elif path.endswith("/count_tokens"):
            read(MessageTokensCount, answer)
        elif path.endswith("/messages"):
            read(Message, answer)
            read(BetaMessage, answer)
        elif path.endswith("/models"):
            assert set(answer) == {"data", "has_more", "first_id", "last_id"}
            read(list[ModelInfo], answer["data"], extra=_EXTRA)
        else:
            read(ModelInfo, answer, extra=_EXTRA)


def _judge_stream(events: Sequence[SseEvent]) -> None:
    check_anthropic_stream(events)
    for event in events:
        if event.name == "error":
            read(ErrorResponse, event.data)
        elif event.name != "ping":
            read(RawMessageStreamEvent, event.data)
            read(BetaRawMessageStreamEvent, event.data)


def replies(exchanges: Iterable[Exchange]) -> list[Any]:
    """Return the JSON of the answers that are no streams."""
    return [json.decode(one.answer) for one in exchanges if not one.is_stream]
