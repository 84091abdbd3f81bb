"""Anthropic answers: the event stream, the whole message, the count of tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kiro2api.protocol.anthropic.errors import error_type
from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.chat import fold as folded
from kiro2api.protocol.chat.answer import ReplyHead
from kiro2api.protocol.chat.request import ChatRequest, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.wire.json import encode

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP_MESSAGE = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":'
_BLOCK = b',"content_block":'
_END = b"}\n\n"
_END_DELTA = b"}}\n\n"
_NO_INPUT = b'""'
_REFUSAL_CATEGORIES = frozenset(("cyber", "bio", "frontier_llm", "reasoning_extraction"))

_Object = dict[str, object]


class StreamRenderer:
    """Turns the events of one reply into Anthropic's server-sent events; lives as long as the reply."""

    def __init__(self, _request: ChatRequest, head: ReplyHead) -> None:
        self._head = head
        self._prefix = b""  # all of a delta's event before its text, made when its block starts
        self._signature_prefix = b""
        self._has_input = True  # False while a tool call is open that has shown no input yet

    def render(self, events: Sequence[ev.StreamEvent]) -> bytes:
        """Return the server-sent events for `events`; a `Failure` becomes the `error` event."""
        out: list[bytes] = []
        for event in events:
            _RENDERERS[type(event)](self, event, out)
        return b"".join(out)

    def ping(self) -> bytes:
        """Return a `ping` event."""
        return _PING

    def _begin(self, event: ev.Begin, out: list[bytes]) -> None:
        usage = ev.Usage(input_tokens=event.input_tokens)
        message = _message(self._head, [], stop={}, usage=_usage(usage))
        start = {"type": "message_start", "message": message}
        out += (b"event: message_start\ndata: ", encode(start), b"\n\n")

    def _text_start(self, event: ev.TextStart, out: list[bytes]) -> None:
        index = b"%d" % event.index
        self._prefix = _DELTA + index + b',"delta":{"type":"text_delta","text":'
        out += (_START, index, _BLOCK, b'{"type":"text","text":""}', _END)

    def _thinking_start(self, event: ev.ThinkingStart, out: list[bytes]) -> None:
        index = b"%d" % event.index
        delta = _DELTA + index + b',"delta":{"type":'
        self._prefix = delta + b'"thinking_delta","thinking":'
        self._signature_prefix = delta + b'"signature_delta","signature":'
        block = b'{"type":"thinking","thinking":"","signature":""}'
        out += (_START, index, _BLOCK, block, _END)

    def _tool_use_start(self, event: ev.ToolUseStart, out: list[bytes]) -> None:
        self._open_input(event.index)
        self._start(event.index, _call("tool_use", event.id, event.name, {}), out)

    def _server_tool_use(self, event: ev.ServerToolUse, out: list[bytes]) -> None:
        # Clients read the input from deltas only.
        self._open_input(event.index)
        self._has_input = True
        self._start(event.index, _call("server_tool_use", event.id, event.name, {}), out)
        out += (self._prefix, encode(bytes(event.input).decode()), _END_DELTA)

    def _server_tool_result(self, event: ev.ServerToolResult, out: list[bytes]) -> None:
        block = _search_result(event.tool_use_id, event.content)
        self._start(event.index, block, out)

    def _redacted_thinking(self, event: ev.RedactedThinking, out: list[bytes]) -> None:
        self._start(event.index, {"type": "redacted_thinking", "data": event.data}, out)

    def _text_delta(self, event: ev.TextDelta | ev.ThinkingDelta, out: list[bytes]) -> None:
        out += (self._prefix, encode(event.text), _END_DELTA)

    def _signature_delta(self, event: ev.SignatureDelta, out: list[bytes]) -> None:
        if event.signature:
            out += (self._signature_prefix, encode(event.signature), _END_DELTA)

    def _input_delta(self, event: ev.ToolInputDelta, out: list[bytes]) -> None:
        self._has_input = True
        out += (self._prefix, encode(event.json), _END_DELTA)

    def _block_stop(self, event: ev.BlockStop, out: list[bytes]) -> None:
        if not self._has_input:
            # A call without arguments: the service sends one empty piece, and clients wait for it.
            self._has_input = True
            out += (self._prefix, _NO_INPUT, _END_DELTA)
        out += (_STOP, b"%d" % event.index, _END)

    def _finish(self, event: ev.Finish, out: list[bytes]) -> None:
        end = {"type": "message_delta", "delta": _stop(event), "usage": _usage(event.usage)}
        out += (b"event: message_delta\ndata: ", encode(end), b"\n\n", _STOP_MESSAGE)

    def _failure(self, event: ev.Failure, out: list[bytes]) -> None:
        error = {"type": error_type(event.kind), "message": event.message}
        out += (b"event: error\ndata: ", encode({"type": "error", "error": error}), b"\n\n")

    def _open_input(self, index: int) -> None:
        self._prefix = _DELTA + b'%d,"delta":{"type":"input_json_delta","partial_json":' % index
        self._has_input = False

    def _start(self, index: int, block: _Object, out: list[bytes]) -> None:
        out += (_START, b"%d" % index, _BLOCK, encode(block), _END)


# `Any`: each method takes the type of event that is its key.
_RENDERERS: dict[type, Callable[[StreamRenderer, Any, list[bytes]], None]] = {
    ev.Begin: StreamRenderer._begin,
    ev.TextStart: StreamRenderer._text_start,
    ev.TextDelta: StreamRenderer._text_delta,
    ev.ThinkingStart: StreamRenderer._thinking_start,
    ev.ThinkingDelta: StreamRenderer._text_delta,
    ev.SignatureDelta: StreamRenderer._signature_delta,
    ev.RedactedThinking: StreamRenderer._redacted_thinking,
    ev.ToolUseStart: StreamRenderer._tool_use_start,
    ev.ToolInputDelta: StreamRenderer._input_delta,
    ev.ServerToolUse: StreamRenderer._server_tool_use,
    ev.ServerToolResult: StreamRenderer._server_tool_result,
    ev.BlockStop: StreamRenderer._block_stop,
    ev.Finish: StreamRenderer._finish,
    ev.Failure: StreamRenderer._failure,
}


def render_reply(_request: ChatRequest, head: ReplyHead, reply: folded.Reply) -> bytes:
    """Return the JSON body of a whole reply."""
    content = [_block(block) for block in reply.blocks]
    finish = reply.finish
    return encode(_message(head, content, stop=_stop(finish), usage=_usage(finish.usage)))


def render_count(tokens: int) -> bytes:
    """Return the answer of `/v1/messages/count_tokens`."""
    return encode({"input_tokens": tokens})


def _message(head: ReplyHead, content: list[_Object], *, stop: _Object, usage: _Object) -> _Object:
    return {
        "id": f"msg_{head.id}",
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        **stop,
        "usage": usage,
    }


def _block(block: folded.ReplyBlock) -> _Object:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": block.data}
        case ToolUse():
            return _call("tool_use", block.id, block.name, block.input)
        case folded.ServerToolCall():
            return _call("server_tool_use", block.id, block.name, block.input)
        case folded.ServerToolAnswer():
            return _search_result(block.tool_use_id, block.content)


def _call(kind: str, call_id: str, name: str, input: object) -> _Object:
    return {"type": kind, "id": call_id, "name": name, "input": input}


def _search_result(tool_use_id: str, content: msgspec.Raw) -> _Object:
    return {"type": "web_search_tool_result", "tool_use_id": tool_use_id, "content": content}


def _stop(finish: ev.Finish) -> _Object:
    """The members that tell how the reply ended; `stop_details` only with a refusal."""
    stop: _Object = {"stop_reason": finish.stop_reason, "stop_sequence": finish.stop_sequence}
    if finish.stop_reason is ev.StopReason.REFUSAL:
        refusal = finish.refusal or ev.Refusal()
        category = refusal.category.lower()
        stop["stop_details"] = {
            "type": "refusal",
            "category": category if category in _REFUSAL_CATEGORIES else None,
            "explanation": refusal.explanation or None,
        }
    return stop


def _usage(usage: ev.Usage) -> _Object:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
