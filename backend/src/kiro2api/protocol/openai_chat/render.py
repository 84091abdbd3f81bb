"""Writes a reply as Chat Completions: a stream of chunks, or one body; and the list of models."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kiro2api.protocol.chat.answer import PublicModel, ReplyHead
from kiro2api.protocol.chat.events import (
    Begin,
    BlockStop,
    Failure,
    Finish,
    RedactedThinking,
    ServerToolResult,
    ServerToolUse,
    SignatureDelta,
    StopReason,
    StreamEvent,
    TextDelta,
    TextStart,
    ThinkingDelta,
    ThinkingStart,
    ToolInputDelta,
    ToolUseStart,
)
from kiro2api.protocol.chat.events import Usage as HubUsage
from kiro2api.protocol.chat.fold import Reply
from kiro2api.protocol.chat.request import ChatRequest, Text, Thinking, ToolUse
from kiro2api.protocol.openai_chat import schema
from kiro2api.protocol.openai_chat.errors import render_failure
from kiro2api.protocol.wire import json

FINISH_REASONS: Mapping[StopReason, str] = {
    StopReason.END_TURN: "stop",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.MAX_TOKENS: "length",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.REFUSAL: "content_filter",
    StopReason.CONTEXT_WINDOW: "length",
    StopReason.PAUSE_TURN: "stop",
}
_OWNER = "kiro"
_PING = b": ping\n\n"
_DONE = b"data: [DONE]\n\n"
_END = b"\n\n"
_DELTA_END = b'},"finish_reason":null}]}\n\n'
_INPUT_END = b'}}]},"finish_reason":null}]}\n\n'


class _Channel:
    """One of the two texts of a reply, content or reasoning; lives as long as the reply.

    The API has one string for each where the hub has blocks: a line break stands between blocks.
    """

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._is_opening = False
        self._has_text = False

    def start(self, _event: StreamEvent) -> bytes:
        """Note that a block opens; its first piece brings the break."""
        self._is_opening = True
        return b""

    def delta(self, event: TextDelta | ThinkingDelta) -> bytes:
        """Return the chunk of one piece."""
        text = event.text
        if self._is_opening:
            if not text:
                return b""
            self._is_opening = False
            if self._has_text:
                text = "\n" + text
            self._has_text = True
        return self._prefix + json.encode(text) + _DELTA_END


class StreamRenderer:
    """Renders one streamed reply; lives as long as the reply."""

    def __init__(self, request: ChatRequest, head: ReplyHead) -> None:
        self._include_usage = request.include_usage
        chunk = json.encode(schema.ChunkHead(_id(head), head.created_s, head.model))
        # Everything before a delta's members is the same in each chunk: it is made once.
        self._head = b"data: " + chunk[:-1]
        self._delta = self._head + b',"choices":[{"index":0,"delta":{'
        self._tool_index = -1
        self._input_prefix = b""
        self._has_input = True
        content = _Channel(self._delta + b'"content":')
        reasoning = _Channel(self._delta + b'"reasoning_content":')
        # Each handler takes its own kind of event, which a dict by type cannot spell.
        self._handlers: dict[type, Callable[[Any], bytes]] = {
            Begin: self._begin,
            TextStart: content.start,
            TextDelta: content.delta,
            ThinkingStart: reasoning.start,
            ThinkingDelta: reasoning.delta,
            SignatureDelta: _nothing,
            RedactedThinking: _nothing,
            ServerToolUse: _nothing,
            ServerToolResult: _nothing,
            ToolUseStart: self._tool_start,
            ToolInputDelta: self._tool_input,
            BlockStop: self._stop,
            Finish: self._finish,
            Failure: self._failure,
        }

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the chunks for `events`; after a `Failure` there is neither finish nor `[DONE]`."""
        handlers = self._handlers
        if len(events) == 1:
            return handlers[type(events[0])](events[0])
        return b"".join([handlers[type(event)](event) for event in events])

    def ping(self) -> bytes:
        """Return a comment line, which every reader of event streams skips."""
        return _PING

    def _begin(self, _event: Begin) -> bytes:
        return self._delta + b'"role":"assistant","content":""' + _DELTA_END

    def _tool_start(self, event: ToolUseStart) -> bytes:
        self._tool_index += 1
        index = b"%d" % self._tool_index
        tools = self._delta + b'"tool_calls":[{"index":' + index
        self._input_prefix = tools + b',"function":{"arguments":'
        self._has_input = False
        call = json.encode(schema.ToolCall(event.id, schema.FunctionCall(event.name, "")))
        return tools + b"," + call[1:] + b"]" + _DELTA_END

    def _tool_input(self, event: ToolInputDelta) -> bytes:
        if not event.json:
            return b""
        self._has_input = True
        return self._input_prefix + json.encode(event.json) + _INPUT_END

    def _stop(self, _event: BlockStop) -> bytes:
        if self._has_input:
            return b""
        # A call without input is a call with none: an empty string would be no JSON.
        self._has_input = True
        return self._input_prefix + b'"{}"' + _INPUT_END

    def _finish(self, event: Finish) -> bytes:
        chunks = []
        if event.refusal is not None and event.refusal.explanation:
            refusal = json.encode(event.refusal.explanation)
            chunks.append(self._delta + b'"refusal":' + refusal + _DELTA_END)
        reason = json.encode(FINISH_REASONS[event.stop_reason])
        chunks.append(self._delta + b'},"finish_reason":' + reason + b"}]}" + _END)
        if self._include_usage:
            usage = json.encode(_usage(event.usage))
            chunks.append(self._head + b',"choices":[],"usage":' + usage + b"}" + _END)
        return b"".join(chunks) + _DONE

    def _failure(self, event: Failure) -> bytes:
        return b"data: " + render_failure(event) + _END


def _nothing(_event: StreamEvent) -> bytes:
    """Return no bytes: the API has no place for such an event."""
    return b""


def render_reply(_request: ChatRequest, head: ReplyHead, reply: Reply) -> bytes:
    """Return the body of a whole reply."""
    blocks = reply.blocks
    calls = tuple(
        schema.ToolCall(block.id, schema.FunctionCall(block.name, bytes(block.input).decode()))
        for block in blocks
        if isinstance(block, ToolUse)
    )
    content = "\n".join(b.text for b in blocks if isinstance(b, Text) and b.text)
    reasoning = "\n".join(b.text for b in blocks if isinstance(b, Thinking) and b.text)
    refusal = reply.finish.refusal
    members: dict[str, Any] = {}  # two optional members of two types
    if reasoning:
        members["reasoning_content"] = reasoning
    if calls:
        members["tool_calls"] = calls
    message = schema.Message(
        content=content if content or not calls else None,
        refusal=(refusal.explanation or None) if refusal is not None else None,
        **members,
    )
    choice = schema.Choice(message, FINISH_REASONS[reply.finish.stop_reason])
    usage = _usage(reply.finish.usage)
    return json.encode(schema.Completion(_id(head), head.created_s, head.model, (choice,), usage))


def render_models(entries: Sequence[PublicModel]) -> bytes:
    """Return the list of models."""
    return json.encode(schema.ModelList(tuple(_model(entry) for entry in entries)))


def render_model(entry: PublicModel) -> bytes:
    """Return one model."""
    return json.encode(_model(entry))


def _model(entry: PublicModel) -> schema.Model:
    return schema.Model(id=entry.id, created=entry.created_s, owned_by=_OWNER)


def _id(head: ReplyHead) -> str:
    return f"chatcmpl-{head.id}"


def _usage(usage: HubUsage) -> schema.Usage:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return schema.Usage(
        prompt_tokens=prompt,
        completion_tokens=usage.output_tokens,
        total_tokens=prompt + usage.output_tokens,
        prompt_tokens_details=schema.PromptDetails(
            cached_tokens=usage.cache_read_tokens, cache_write_tokens=usage.cache_write_tokens
        ),
        completion_tokens_details=schema.CompletionDetails(usage.reasoning_tokens),
    )
