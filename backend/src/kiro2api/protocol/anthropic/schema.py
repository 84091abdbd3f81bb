"""What an Anthropic client sends, as loosely as clients send it.

Only the names of the members are fixed here. Values stay untyped or unopened (`Raw`) until they are
reached, because a closed schema would refuse what real clients send and the service accepts: unknown
roles and block types, `null` content, numbers such as 100.0.
"""

from typing import Any

import msgspec

ABSENT = msgspec.Raw(b"")

# Every `Any` below is JSON from a client, looked at when it is reached.


class Body(msgspec.Struct):
    """A request of `/v1/messages` or `/v1/messages/count_tokens`."""

    model: Any = None
    messages: msgspec.Raw = ABSENT
    system: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT
    tool_choice: Any = None
    max_tokens: Any = None
    temperature: Any = None
    top_p: Any = None
    stop_sequences: Any = None
    thinking: Any = None
    output_config: msgspec.Raw = ABSENT
    output_format: msgspec.Raw = ABSENT
    metadata: Any = None
    stream: Any = None
    thread: Any = None


class Message(msgspec.Struct):
    """One entry of `messages`."""

    role: Any = None
    content: msgspec.Raw = ABSENT


class Block(msgspec.Struct):
    """One content block of any type: the members of all types that we open, in one."""

    type: Any = None
    text: Any = None
    source: msgspec.Raw = ABSENT
    title: Any = None
    context: Any = None
    id: Any = None
    name: Any = None
    input: msgspec.Raw = ABSENT
    tool_use_id: Any = None
    content: msgspec.Raw = ABSENT
    is_error: Any = None
    tool_name: Any = None
    thinking: Any = None
    signature: Any = None
    data: Any = None


class Source(msgspec.Struct):
    """Where the bytes of an image or a document are."""

    type: Any = None
    media_type: Any = None
    data: Any = None
    content: msgspec.Raw = ABSENT
    url: Any = None
    file_id: Any = None


class Tool(msgspec.Struct):
    """One entry of `tools`."""

    type: Any = None
    name: Any = None
    description: Any = None
    input_schema: msgspec.Raw = ABSENT


class OutputConfig(msgspec.Struct):
    """How the answer shall look and how hard the model shall try."""

    effort: Any = None
    format: msgspec.Raw = ABSENT


class OutputFormat(msgspec.Struct):
    """The shape of the answer."""

    type: Any = None
    name: Any = None
    schema: msgspec.Raw = ABSENT


class SearchHit(msgspec.Struct):
    """One hit of a web search that a server ran in an earlier turn."""

    title: Any = None
    url: Any = None
