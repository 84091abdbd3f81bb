"""The hub's request: what a client asks, in words that belong to no vendor."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Who speaks in a turn; system text and tool results have places of their own."""

    USER = "user"
    ASSISTANT = "assistant"


class Text(msgspec.Struct, frozen=True, gc=False, tag="text"):
    """Plain text."""

    text: str


class Image(msgspec.Struct, frozen=True, gc=False, tag="image"):
    """A picture: `media_type` such as "image/png", `data` in base64."""

    media_type: str
    data: str


class Document(msgspec.Struct, frozen=True, gc=False, tag="document"):
    """A file: `data` in base64, or `text` when the client sent plain text (then `data` is "")."""

    name: str
    media_type: str
    data: str = ""
    text: str = ""


class ToolUse(msgspec.Struct, frozen=True, gc=False, tag="tool_use"):
    """A call that the assistant made; `input` is the JSON object as it came, unopened."""

    id: str
    name: str
    input: msgspec.Raw


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What the client's tool answered to the call `tool_use_id`."""

    tool_use_id: str
    content: tuple["Text | Image | Document", ...]
    is_error: bool = False


class Thinking(msgspec.Struct, frozen=True, gc=False, tag="thinking"):
    """Reasoning of an earlier reply, with the signature that it came with ("" without one)."""

    text: str
    signature: str


class RedactedThinking(msgspec.Struct, frozen=True, gc=False, tag="redacted_thinking"):
    """Reasoning of an earlier reply that only the upstream can read."""

    data: str


Block = Text | Image | Document | ToolUse | ToolResult | Thinking | RedactedThinking


class Turn(msgspec.Struct, frozen=True):
    """One message of the conversation: a role and its blocks, in order."""

    role: Role
    blocks: tuple[Block, ...]


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool that the client offers; `input_schema` is its JSON schema, unopened."""

    name: str
    description: str
    input_schema: msgspec.Raw


class ChoiceMode(StrEnum):
    """Whether the model may, must or must not call a tool."""

    AUTO = "auto"
    ANY = "any"
    TOOL = "tool"
    NONE = "none"


class ToolChoice(msgspec.Struct, frozen=True):
    """The client's wish about tool calls; `name` only with mode `tool`."""

    mode: ChoiceMode = ChoiceMode.AUTO
    name: str = ""
    one_at_most: bool = False


class ReasoningMode(StrEnum):
    """How the client wants the model to think."""

    UNSET = "unset"
    ADAPTIVE = "adaptive"
    ENABLED = "enabled"
    DISABLED = "disabled"


class ReasoningWish(msgspec.Struct, frozen=True):
    """The client's wish about reasoning; empty words mean that it said nothing."""

    mode: ReasoningMode = ReasoningMode.UNSET
    budget_tokens: int = 0
    effort: str = ""
    display: str = ""


class FormatKind(StrEnum):
    """What shape of text the client wants."""

    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


class ResponseFormat(msgspec.Struct, frozen=True):
    """The client's wish about the shape of the answer."""

    kind: FormatKind = FormatKind.TEXT
    name: str = ""
    schema: msgspec.Raw = msgspec.Raw(b"")
    strict: bool = False


class Sampling(msgspec.Struct, frozen=True):
    """Numbers that the upstream has no channel for; kept so that later stages may use them."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()


class ChatRequest(msgspec.Struct, frozen=True):
    """One request of a client, whatever dialect it came in.

    `conversation_key` names the conversation as far as the client told ("" when it did not);
    `include_usage` is the OpenAI Chat wish for a usage chunk at the end of a stream.
    """

    model: str
    turns: tuple[Turn, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    reasoning: ReasoningWish = ReasoningWish()
    response_format: ResponseFormat = ResponseFormat()
    conversation_key: str = ""
    stream: bool = False
    include_usage: bool = False

    def blocks(self) -> Iterator[Block]:
        """Yield every block of every turn, in order."""
        for turn in self.turns:
            yield from turn.blocks
