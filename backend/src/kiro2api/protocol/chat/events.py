"""The hub's reply as it happens: a closed list of events, ordered by the law in `grammar.py`."""

from enum import StrEnum

import msgspec

from kiro2api.errors import FaultKind


class StopReason(StrEnum):
    """Why a reply ended."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    REFUSAL = "refusal"
    CONTEXT_WINDOW = "model_context_window_exceeded"
    PAUSE_TURN = "pause_turn"


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one reply; the three input counters exclude each other.

    `estimated` tells that at least one of the numbers is ours and not the upstream's. `credits` is
    what the upstream charged, None when it did not say.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    credits: float | None = None
    estimated: bool = True


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why the upstream declined to answer; empty words where it did not say."""

    category: str = ""
    explanation: str = ""


class Begin(msgspec.Struct, frozen=True, gc=False):
    """The reply starts; `input_tokens` is the local estimate."""

    input_tokens: int


class TextStart(msgspec.Struct, frozen=True, gc=False):
    """A text block opens."""

    index: int


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """Text is added to the open block."""

    index: int
    text: str


class ThinkingStart(msgspec.Struct, frozen=True, gc=False):
    """A reasoning block opens."""

    index: int


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False):
    """Reasoning text is added to the open block."""

    index: int
    text: str


class SignatureDelta(msgspec.Struct, frozen=True, gc=False):
    """The signature of the open reasoning block."""

    index: int
    signature: str


class RedactedThinking(msgspec.Struct, frozen=True, gc=False):
    """A reasoning block opens that only the upstream can read; it has no deltas."""

    index: int
    data: str


class ToolUseStart(msgspec.Struct, frozen=True, gc=False):
    """A tool call opens, with the client's own name of the tool."""

    index: int
    id: str
    name: str


class ToolInputDelta(msgspec.Struct, frozen=True, gc=False):
    """JSON text is added to the input of the open tool call."""

    index: int
    json: str


class ServerToolUse(msgspec.Struct, frozen=True, gc=False):
    """A block opens: a tool that the server runs by itself was called; it has no deltas."""

    index: int
    id: str
    name: str
    input: msgspec.Raw


class ServerToolResult(msgspec.Struct, frozen=True, gc=False):
    """A block opens: what the server's tool answered, as JSON; it has no deltas."""

    index: int
    tool_use_id: str
    content: msgspec.Raw


class BlockStop(msgspec.Struct, frozen=True, gc=False):
    """The open block is complete."""

    index: int


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The reply is complete."""

    stop_reason: StopReason
    usage: Usage
    stop_sequence: str | None = None
    refusal: Refusal | None = None


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The reply ends here in an error; it may cut the law anywhere."""

    kind: FaultKind
    message: str


BlockStart = (
    TextStart | ThinkingStart | RedactedThinking | ToolUseStart | ServerToolUse | ServerToolResult
)
Delta = TextDelta | ThinkingDelta | SignatureDelta | ToolInputDelta
StreamEvent = Begin | BlockStart | Delta | BlockStop | Finish | Failure

# Events whose arrival at the client forbids a second attempt (content commit). A block that opens
# is sent together with its first delta, so the starts count as well.
CONTENT_EVENTS: frozenset[type] = frozenset(
    {
        TextStart,
        TextDelta,
        ThinkingStart,
        ThinkingDelta,
        SignatureDelta,
        RedactedThinking,
        ToolUseStart,
        ToolInputDelta,
        ServerToolUse,
        ServerToolResult,
        BlockStop,
        Finish,
    }
)
