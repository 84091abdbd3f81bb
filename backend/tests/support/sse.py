"""Reading server-sent events as a client does, and the law that every stream must keep."""

from collections.abc import Iterable
from typing import Any

import msgspec

from kiro2api.protocol.wire import json


class SseEvent(msgspec.Struct, frozen=True):
    """One event: its name ("" without an `event:` line), its decoded data (None for `[DONE]`)."""

    name: str
    data: Any

    @property
    def is_done(self) -> bool:
        return self.data is None


class SseParser:
    """Turns the bytes of one stream into events, at any cut; comments are counted."""

    def __init__(self) -> None:
        self._rest = b""
        self.comments = 0

    def feed(self, data: bytes) -> list[SseEvent]:
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        events = []
        for block in blocks:
            event = self._event(block)
            if event is not None:
                events.append(event)
        return events

    def _event(self, block: bytes) -> SseEvent | None:
        name, data = "", []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not field:
                self.comments += 1
            elif field == b"event":
                name = value.decode()
            elif field == b"data":
                data.append(value)
            else:
                raise AssertionError(f"no line of an event stream: {line!r}")
        if not data:
            return None
        text = b"\n".join(data)
        return SseEvent(name, None if text == b"[DONE]" else json.decode(text))

    @property
    def rest(self) -> bytes:
        return self._rest


def parse_sse(body: bytes) -> list[SseEvent]:
    """Return the events of a whole stream, which must end at the end of an event."""
    parser = SseParser()
    events = parser.feed(body)
    assert parser.rest == b"", f"the stream ends inside an event: {parser.rest!r}"
    return events


_DELTAS = {
    "text": {"text_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set(),
    "tool_use": {"input_json_delta"},
}


def check_anthropic_stream(events: Iterable[SseEvent]) -> None:
    """Require the order of an Anthropic stream, ended or cut by one error."""
    begun = ended = stopping = False
    index, open_block = 0, ""
    for event in events:
        data = event.data
        assert event.name == data["type"], f"the event line differs: {event}"
        assert not ended, f"after the end: {event}"
        match data["type"]:
            case "ping":
                continue
            case "error":
                assert {"type", "message"} <= set(data["error"])
                ended = True
            case "message_start":
                assert not begun
                begun = True
                message = data["message"]
                assert message["id"].startswith("msg_")
                assert message["content"] == []
                assert message["stop_reason"] is None
            case "content_block_start":
                assert (begun, open_block, stopping) == (True, "", False), event
                assert data["index"] == index, event
                open_block = data["content_block"]["type"]
            case "content_block_delta":
                assert open_block, event
                assert data["index"] == index, event
                assert data["delta"]["type"] in _DELTAS[open_block], event
            case "content_block_stop":
                assert open_block, event
                assert data["index"] == index, event
                open_block = ""
                index += 1
            case "message_delta":
                assert (begun, open_block, stopping) == (True, "", False), event
                assert data["delta"]["stop_reason"], event
                assert data["usage"]["output_tokens"] >= 0
                stopping = True
            case "message_stop":
                assert stopping, event
                ended = True
            case other:
                raise AssertionError(f"clients do not know the event {other}")
    assert ended, "the stream has no end"


def check_chat_stream(events: Iterable[SseEvent], *, includes_usage: bool) -> None:
    """Require the order of a Chat Completions stream, ended or cut by one error."""
    head: dict[str, Any] = {}
    finished = failed = done = saw_usage = False
    calls = 0
    for event in events:
        assert event.name == "", event
        assert not done, f"after [DONE]: {event}"
        if event.is_done:
            done = True
            continue
        if "error" in event.data:
            assert not finished, "an error after the end"
            failed = True
            continue
        assert not failed, f"after an error: {event}"
        chunk = event.data
        same = {name: chunk[name] for name in ("id", "object", "created", "model")}
        assert not head or same == head, f"the head changes: {event}"
        if not chunk["choices"]:
            assert (finished, saw_usage) == (True, False), event
            assert chunk["usage"] is not None, event
            saw_usage = True
            continue
        [choice] = chunk["choices"]
        assert not finished, f"after the finish reason: {event}"
        assert head or choice["delta"].get("role") == "assistant", "the first delta has no role"
        head = same
        for call in choice["delta"].get("tool_calls") or ():
            if "id" in call:
                assert call["index"] == calls, event
                assert call["type"] == "function"
                calls += 1
            else:
                assert call["index"] == calls - 1, event
            assert isinstance(call["function"].get("arguments", ""), str)
        finished = choice.get("finish_reason") is not None
    assert failed or (done and finished), "the stream has no end"
    assert failed or saw_usage == includes_usage, "usage only when asked for"
