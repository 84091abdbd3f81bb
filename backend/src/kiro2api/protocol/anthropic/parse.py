"""Anthropic requests: what a client asks of `/v1/messages` and of `/v1/messages/count_tokens`.

Loss policy, by member of the body (content blocks: `blocks.py`):

mapped    model, max_tokens, temperature, top_p, stop_sequences, stream, system, messages, tools,
          tool_choice, thinking, output_config (effort, format), output_format,
          metadata.user_id (its session part), the headers that name a session
as text   messages of the roles system and developer join the user's text beside them; messages of
          an unknown role become the user's, with the role named; blocks of an unknown type, server
          tool calls and their results, search results, tool references
ignored   cache_control, top_k, context_management, service_tier, container, mcp_servers, safeguards,
          citations, betas, a message's own output_config, the caller of a tool, tools that only the
          vendor's servers run, the billing line that Claude Code puts before the system text (it
          changes with each prompt and would spoil the upstream's prefix cache), unknown members
refused   thread (in the words that make the SDK go on without), remote URLs and file ids of images
          and documents, a request without any content, values of a type that cannot be meant
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.anthropic import loose
from kiro2api.protocol.anthropic.blocks import read_content
from kiro2api.protocol.anthropic.schema import Body, Message, OutputConfig, OutputFormat, Tool
from kiro2api.protocol.chat import request as hub
from kiro2api.protocol.chat.text import is_blank
from kiro2api.protocol.wire import json as wire

_BILLING = "x-anthropic-billing-header"
_EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')
_FUNCTION_TOOLS = ("", "custom", "function")
_CHOICES = {
    "auto": hub.ChoiceMode.AUTO,
    "any": hub.ChoiceMode.ANY,
    "required": hub.ChoiceMode.ANY,
    "tool": hub.ChoiceMode.TOOL,
    "none": hub.ChoiceMode.NONE,
}
_REASONING = {
    "adaptive": hub.ReasoningMode.ADAPTIVE,
    "enabled": hub.ReasoningMode.ENABLED,
    "disabled": hub.ReasoningMode.DISABLED,
}
_SESSION_HEADERS = ("x-claude-code-session-id", "x-session-id")
_AGENT_HEADER = "x-claude-code-agent-id"


def parse(body: bytes, headers: Mapping[str, str]) -> hub.ChatRequest:
    """Return what `body` asks for; header names are in lower case.

    Raises:
        RequestError: it is no JSON object, lacks what cannot be guessed, or asks for something
            that is refused by the table above.
    """
    request = parse_count(body, headers)
    if not any(_has_content(block) for block in request.blocks()):
        raise RequestError(
            "The conversation is empty: at least one message needs text that is not blank, an "
            "image, a document or a tool result.",
            path="messages",
        )
    return request


def parse_count(body: bytes, headers: Mapping[str, str]) -> hub.ChatRequest:
    """Return the request whose tokens shall be counted; it may be empty.

    Raises:
        RequestError: as `parse`, but for the empty conversation.
    """
    asked = wire.decode(body, Body)
    if asked.thread is not None:
        raise RequestError(
            "Message threads are not supported: send the whole conversation without `thread`.",
            path="thread",
            code="thread_unsupported_request",
        )
    if not loose.word(asked.model):
        raise RequestError("The name of a model is required.", path="model")
    tools, dropped = _tools(asked.tools)
    config = _output_config(asked.output_config)
    return hub.ChatRequest(
        model=asked.model,
        turns=_turns(asked.messages),
        system=_system(asked.system),
        tools=tools,
        tool_choice=_tool_choice(asked.tool_choice, tools, dropped=dropped),
        sampling=_sampling(asked),
        reasoning=_reasoning(asked.thinking, loose.word(config.effort)),
        response_format=_response_format(config.format, asked.output_format),
        conversation_key=_conversation_key(asked.metadata, headers),
        stream=_converted(asked.stream, bool, "stream") or False,
    )


def _has_content(block: hub.Block) -> bool:
    return not isinstance(block, hub.Text) or not is_blank(block.text)


# ------------------------------------------------------------------------------------ messages


def _turns(messages: msgspec.Raw) -> tuple[hub.Turn, ...]:
    if loose.is_absent(messages):
        raise RequestError("A list of messages is required.", path="messages")
    turns: list[tuple[hub.Role, list[hub.Block]]] = []
    guest = False  # whether the last turn holds nothing but text of a role that is no speaker
    for index, raw in enumerate(loose.items(messages, "messages")):
        path = f"messages.{index}"
        message = loose.opened(raw, Message, path)
        blocks = read_content(message.content, f"{path}.content")
        name = loose.word(message.role).strip().lower()
        if name == "assistant":
            turns.append((hub.Role.ASSISTANT, blocks))
            guest = False
            continue
        is_guest = name in ("system", "developer")
        if name not in ("user", "system", "developer", ""):
            blocks.insert(0, hub.Text(f"Message from the role {name!r}:"))
        if turns and turns[-1][0] is hub.Role.USER and (guest or is_guest):
            guest = guest and is_guest
            turns[-1][1].extend(blocks)
        else:
            guest = is_guest
            turns.append((hub.Role.USER, blocks))
    return tuple([hub.Turn(role, tuple(blocks)) for role, blocks in turns])


def _system(raw: msgspec.Raw) -> tuple[hub.Text, ...]:
    texts: list[hub.Text] = []
    for block in read_content(raw, "system"):
        if not isinstance(block, hub.Text):
            raise RequestError("The system prompt takes text only.", path="system")
        text = block.text
        if text.startswith(_BILLING):
            text = text.partition("\n")[2]
        if text:
            texts.append(hub.Text(text))
    return tuple(texts)


# --------------------------------------------------------------------------------------- tools


def _tools(raw: msgspec.Raw) -> tuple[tuple[hub.ToolSpec, ...], frozenset[str]]:
    """The tools that the client runs, and the names of those that only the vendor's servers run."""
    specs: list[hub.ToolSpec] = []
    dropped: set[str] = set()
    for index, entry in enumerate(loose.items(raw, "tools")):
        path = f"tools.{index}"
        tool = loose.opened(entry, Tool, path)
        name = loose.word(tool.name)
        has_schema = loose.is_object(tool.input_schema)
        if not has_schema and loose.word(tool.type) not in _FUNCTION_TOOLS:
            dropped.add(name)
            continue
        if not name:
            raise RequestError("A tool needs a name.", path=f"{path}.name")
        schema = loose.carried(tool.input_schema) if has_schema else _EMPTY_SCHEMA
        specs.append(hub.ToolSpec(name, loose.word(tool.description), schema))
    return tuple(specs), frozenset(dropped)


def _tool_choice(
    value: Any,  # JSON from a client, as in schema.py
    tools: tuple[hub.ToolSpec, ...],
    *,
    dropped: frozenset[str],
) -> hub.ToolChoice:
    choice = {"type": value} if isinstance(value, str) else value
    if not isinstance(choice, dict):
        return hub.ToolChoice()
    mode = _CHOICES.get(loose.word(choice.get("type")), hub.ChoiceMode.AUTO)
    one_at_most = choice.get("disable_parallel_tool_use") is True
    name = loose.word(choice.get("name"))
    if mode is hub.ChoiceMode.TOOL and name in dropped:
        mode = hub.ChoiceMode.AUTO
    if mode is hub.ChoiceMode.TOOL:
        if not any(tool.name == name for tool in tools):
            raise RequestError(f"There is no tool {name!r} in tools.", path="tool_choice.name")
        return hub.ToolChoice(mode, name, one_at_most=one_at_most)
    if mode is hub.ChoiceMode.ANY and not tools:
        mode = hub.ChoiceMode.AUTO
    return hub.ToolChoice(mode, one_at_most=one_at_most)


# ------------------------------------------------------------------------------------ settings


def _sampling(asked: Body) -> hub.Sampling:
    max_tokens = _converted(asked.max_tokens, int, "max_tokens")
    if max_tokens is not None and max_tokens < 1:
        raise RequestError("This must be at least 1.", path="max_tokens")
    stops = asked.stop_sequences
    stops = [stops] if isinstance(stops, str) else stops
    return hub.Sampling(
        max_tokens=max_tokens,
        temperature=_converted(asked.temperature, float, "temperature"),
        top_p=_converted(asked.top_p, float, "top_p"),
        stop_sequences=tuple(filter(None, _converted(stops, list[str], "stop_sequences") or ())),
    )


def _reasoning(thinking: Any, effort: str) -> hub.ReasoningWish:  # JSON, as in schema.py
    if not isinstance(thinking, dict):
        return hub.ReasoningWish(effort=effort)
    return hub.ReasoningWish(
        mode=_REASONING.get(loose.word(thinking.get("type")), hub.ReasoningMode.UNSET),
        budget_tokens=_converted(thinking.get("budget_tokens"), int, "thinking.budget_tokens") or 0,
        effort=effort,
        display=loose.word(thinking.get("display")),
    )


def _output_config(raw: msgspec.Raw) -> OutputConfig:
    return wire.decode(raw, OutputConfig) if loose.is_object(raw) else OutputConfig()


def _response_format(*candidates: msgspec.Raw) -> hub.ResponseFormat:
    """The first format that is one: `output_config.format`, or the older `output_format`."""
    for raw in candidates:
        if not loose.is_object(raw):
            continue
        wish = wire.decode(raw, OutputFormat)
        if loose.word(wish.type) == "json_schema" and loose.is_object(wish.schema):
            return hub.ResponseFormat(
                kind=hub.FormatKind.JSON_SCHEMA,
                name=loose.word(wish.name),
                schema=loose.carried(wish.schema),
                strict=True,
            )
    return hub.ResponseFormat()


def _converted(value: Any, type: type[loose.T], path: str) -> loose.T | None:  # JSON, as above
    # Most are of their type already, and asking costs a tenth of converting.
    if value is None or value.__class__ is type:
        return value
    return wire.convert(value, type, path=path)


def _conversation_key(metadata: Any, headers: Mapping[str, str]) -> str:  # JSON, as in schema.py
    session = ""
    for name in _SESSION_HEADERS:
        session = session or headers.get(name, "")
    if not session and isinstance(metadata, dict):
        session = _session_of(loose.word(metadata.get("user_id")))
    agent = headers.get(_AGENT_HEADER, "")
    return f"{session}:{agent}" if session and agent else session


def _session_of(user_id: str) -> str:
    """The session part of Claude Code's `metadata.user_id`: a JSON string, or the older form."""
    if user_id.startswith("{"):
        try:
            fields = wire.decode(user_id)
        except RequestError:
            return ""
        return loose.word(fields.get("session_id")) if isinstance(fields, dict) else ""
    return user_id.partition("_session_")[2]
