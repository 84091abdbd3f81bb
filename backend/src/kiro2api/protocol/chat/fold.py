"""A whole reply from its events: what a client reads that did not ask for a stream."""

from collections.abc import Iterable

import msgspec

from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.chat.request import RedactedThinking, Text, Thinking, ToolUse


class ServerToolCall(msgspec.Struct, frozen=True):
    """A call of a tool that the server ran by itself."""

    id: str
    name: str
    input: msgspec.Raw


class ServerToolAnswer(msgspec.Struct, frozen=True):
    """What a tool that the server ran answered, as JSON."""

    tool_use_id: str
    content: msgspec.Raw


ReplyBlock = Text | Thinking | RedactedThinking | ToolUse | ServerToolCall | ServerToolAnswer


class Reply(msgspec.Struct, frozen=True):
    """The folded answer: its blocks in order, and how it ended."""

    blocks: tuple[ReplyBlock, ...]
    finish: ev.Finish


def fold(events: Iterable[ev.StreamEvent]) -> Reply | ev.Failure:
    """Return the reply that `events` tell, or the failure that cut it.

    Raises:
        ValueError: the events end without `Finish` or `Failure`.
    """
    blocks: list[ReplyBlock] = []
    start: ev.StreamEvent | None = None
    pieces: list[str] = []
    signature = ""
    for event in events:
        match event:
            case ev.Failure():
                return event
            case ev.Finish():
                return Reply(tuple(blocks), event)
            case ev.TextDelta(text=text) | ev.ThinkingDelta(text=text):
                pieces.append(text)
            case ev.ToolInputDelta(json=text):
                pieces.append(text)
            case ev.SignatureDelta():
                signature += event.signature
            case ev.BlockStop() if start is not None:
                blocks.append(_block(start, "".join(pieces), signature))
            case _:
                start, pieces, signature = event, [], ""
    raise ValueError("the events have no end")


def _block(start: ev.StreamEvent, body: str, signature: str) -> ReplyBlock:
    match start:
        case ev.TextStart():
            return Text(body)
        case ev.ThinkingStart():
            return Thinking(body, signature)
        case ev.RedactedThinking():
            return RedactedThinking(start.data)
        case ev.ToolUseStart():
            return ToolUse(start.id, start.name, msgspec.Raw(body.encode() or b"{}"))
        case ev.ServerToolUse():
            return ServerToolCall(start.id, start.name, start.input)
        case ev.ServerToolResult():
            return ServerToolAnswer(start.tool_use_id, start.content)
        case _:
            raise ValueError(f"{start!r} opens no block")
