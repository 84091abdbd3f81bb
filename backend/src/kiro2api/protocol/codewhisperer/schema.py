"""The generation request as the upstream spells it: records that encode to its JSON.

Members that are empty are left out: hosts differ in what they make of nulls and empty lists.

Source: docs/reference/upstream.md, Request.
"""

import msgspec


class Wire(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What all records share: names in camel case, and nothing that is empty."""


class Bytes(Wire, frozen=True, gc=False):
    """A file in base64."""

    bytes: str


class ImageBlock(Wire, frozen=True, gc=False):
    """A picture: `format` is png, jpeg, gif or webp."""

    format: str
    source: Bytes


class DocumentBlock(Wire, frozen=True, gc=False):
    """A file that the model reads by itself."""

    name: str
    format: str
    source: Bytes


class TextContent(Wire, frozen=True, gc=False):
    """One block of a tool result."""

    text: str


class ToolResult(Wire, frozen=True, gc=False):
    """The answer to a call; `status` is success or error."""

    tool_use_id: str
    content: tuple[TextContent, ...]
    status: str


class ToolUse(Wire, frozen=True, gc=False):
    """A call of an earlier reply; `input` is a JSON object."""

    tool_use_id: str
    name: str
    input: msgspec.Raw


class InputSchema(Wire, frozen=True, gc=False):
    """The JSON schema of a tool, an object."""

    json: msgspec.Raw


class ToolSpecification(Wire, frozen=True, gc=False):
    """What the model is told of a tool."""

    name: str
    description: str
    input_schema: InputSchema


class Tool(Wire, frozen=True, gc=False):
    """A union with one kind that we use."""

    tool_specification: ToolSpecification


class Context(Wire, frozen=True, gc=False):
    """What stands beside the text of a user message; tools only on the current one."""

    tool_results: tuple[ToolResult, ...] = ()
    tools: tuple[Tool, ...] = ()


class UserInput(Wire, frozen=True, gc=False):
    """A message of the user; `content` may be empty only beside tool results."""

    content: str
    model_id: str
    origin: str
    user_input_message_context: Context | None = None
    images: tuple[ImageBlock, ...] = ()
    documents: tuple[DocumentBlock, ...] = ()


class ReasoningText(Wire, frozen=True, gc=False):
    """Reasoning with the signature that it came with."""

    text: str
    signature: str


class ReasoningContent(Wire, frozen=True, gc=False):
    """A union: readable reasoning, or a sealed one in base64."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str = ""


class AssistantResponse(Wire, frozen=True, gc=False):
    """An earlier reply; `content` may be empty only beside tool uses."""

    content: str
    tool_uses: tuple[ToolUse, ...] = ()
    reasoning_content: ReasoningContent | None = None


class UserMessage(Wire, frozen=True, gc=False):
    """One kind of the message union."""

    user_input_message: UserInput


class AssistantMessage(Wire, frozen=True, gc=False):
    """The other kind of the message union."""

    assistant_response_message: AssistantResponse


class ConversationState(Wire, frozen=True, gc=False):
    """The conversation: older messages, oldest first, and the one to answer."""

    chat_trigger_type: str
    agent_task_type: str
    conversation_id: str
    current_message: UserMessage
    history: tuple[UserMessage | AssistantMessage, ...] = ()
    agent_continuation_id: str = ""


class GenerationRequest(Wire, frozen=True, gc=False):
    """The whole body."""

    conversation_state: ConversationState
    profile_arn: str = ""
    agent_mode: str = ""
