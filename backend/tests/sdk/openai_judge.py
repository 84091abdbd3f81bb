"""Judges each answer of the Chat Completions dialect by the types of the OpenAI SDK."""

from collections.abc import Iterable

from openai.types import ErrorObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from kiro2api.protocol.wire import json
from tests.sdk.strict import read
from tests.support.sse import check_chat_stream
from tests.support.wiretap import Exchange

# Not the vendor's, but what every client of reasoning models reads.
_REASONING = frozenset({"reasoning_content"})


def judge(exchanges: Iterable[Exchange]) -> None:
    """Require that every answer is what the SDK's own types say, to the letter."""
    for exchange in exchanges:
        path = exchange.path.partition("?")[0]
        assert exchange.answer_headers["x-request-id"].startswith("req_")
        if exchange.is_stream:
            _judge_stream(exchange)
            continue
        assert exchange.answer_headers["content-type"].startswith("application/json")
        answer = json.decode(exchange.answer)
        if exchange.status != 200:
            assert answer["request_id"] == exchange.answer_headers["x-request-id"]
            read(ErrorObject, answer["error"])
        elif path.endswith("/completions"):
            read(ChatCompletion, answer, extra=_REASONING)
        elif path.endswith("/models"):
            assert set(answer) == {"object", "data"}
            assert answer["object"] == "list"
            read(list[Model], answer["data"])
        else:
            read(Model, answer)


def _judge_stream(exchange: Exchange) -> None:
    assert exchange.status == 200
    wants_usage = bool((exchange.asked.get("stream_options") or {}).get("include_usage"))
    check_chat_stream(exchange.events, includes_usage=wants_usage)
    for event in exchange.events:
        if event.is_done:
            continue
        if "error" in event.data:
            read(ErrorObject, event.data["error"])
        else:
            read(ChatCompletionChunk, event.data, extra=_REASONING)
