"""Folds the messages of a Chat Completions request into the hub's turns."""

from collections.abc import Mapping, Sequence

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import (
    Block,
    Document,
    Image,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from kiro2api.protocol.chat.text import is_blank
from kiro2api.protocol.openai_chat.content import as_text, read_content, text_of
from kiro2api.protocol.wire import json

_SYSTEM_ROLES = ("system", "developer")


class Conversation(msgspec.Struct, frozen=True):
    """What the messages say: the system text that leads them, and the turns."""

    system: tuple[Text, ...]
    turns: tuple[Turn, ...]


def read_messages(messages: Sequence[object]) -> Conversation:
    """Return the conversation; neighbouring messages of one role become one turn.

    System text that stands between other messages stays in its place, as text of the user's.

    Raises:
        RequestError: a message cannot be sent upstream, or all of them say nothing.
    """
    folding = _Folding()
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise RequestError("A message is an object.", path=f"messages[{place}]")
        folding.add(message, place)
    return folding.result()


class _Folding:
    """The turns so far; lives as long as the parse."""

    def __init__(self) -> None:
        self._system: list[Text] = []
        self._turns: list[tuple[Role, list[Block]]] = []
        # Calls of the last assistant message that no result has answered yet: tool names by id.
        self._open_calls: dict[str, str] = {}

    def add(self, message: Mapping[str, object], place: int) -> None:
        """Take in the next message, whatever its role."""
        path = f"messages[{place}]"
        role = message.get("role")
        content = message.get("content")
        if role == "user" or role is None:
            self._add(Role.USER, read_content(content, f"{path}.content"))
        elif role == "assistant":
            self._add_assistant(message, place)
        elif role in ("tool", "function"):
            self._add_result(message, f"{path}.content")
        elif role in _SYSTEM_ROLES:
            self._add_system(content, f"{path}.content")
        else:
            named = Text(f"[{as_text(role)}]")
            self._add(Role.USER, [named, *read_content(content, f"{path}.content")])

    def result(self) -> Conversation:
        """Return the conversation, once all messages are in."""
        turns, system = self._turns, self._system
        if not turns:
            # The model needs a user's turn: a lone prompt in a system message is what was asked.
            turns, system = [(Role.USER, list(system))], []
        if not any(_says_something(block) for _, blocks in turns for block in blocks):
            raise RequestError("The messages are empty.", path="messages", code="empty_request")
        return Conversation(
            tuple(system), tuple(Turn(role, tuple(blocks)) for role, blocks in turns)
        )

    def _add(self, role: Role, blocks: Sequence[Block]) -> None:
        if self._turns and self._turns[-1][0] is role:
            self._turns[-1][1].extend(blocks)
        else:
            self._turns.append((role, list(blocks)))

    def _add_system(self, content: object, path: str) -> None:
        text = text_of(content, path)
        if not text:
            return
        if self._turns:
            self._add(Role.USER, [Text(text)])
        else:
            self._system.append(Text(text))

    def _add_assistant(self, message: Mapping[str, object], place: int) -> None:
        path = f"messages[{place}]"
        blocks: list[Block] = []
        for member in ("reasoning_content", "reasoning"):
            reasoning = message.get(member)
            if isinstance(reasoning, str) and reasoning:
                blocks.append(Thinking(reasoning, ""))
                break
        blocks += read_content(message.get("content"), f"{path}.content")
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            blocks.append(Text(refusal))
        self._open_calls = {}
        for number, call in enumerate(_calls(message, path)):
            block = _read_call(call, f"call_{place}_{number}")
            if isinstance(block, ToolUse):
                self._open_calls[block.id] = block.name
            blocks.append(block)
        self._add(Role.ASSISTANT, blocks)

    def _add_result(self, message: Mapping[str, object], path: str) -> None:
        content = message.get("content")
        is_structure = isinstance(content, dict) and "type" not in content
        if is_structure or isinstance(content, bool | int | float):
            content = as_text(content)
        parts = tuple(
            part
            for part in read_content(content, path)
            if isinstance(part, Text | Image | Document)
        )
        call_id = self._answered_call(message)
        if call_id:
            self._add(Role.USER, [ToolResult(call_id, parts)])
        else:
            name = message.get("name")
            label = f"Result of tool {name}:" if isinstance(name, str) else "Result of a tool:"
            self._add(Role.USER, [Text(label), *parts])

    def _answered_call(self, message: Mapping[str, object]) -> str:
        """Return the id of the call that a result answers; "" when nothing tells it."""
        told = message.get("tool_call_id")
        if isinstance(told, str) and told:
            self._open_calls.pop(told, None)
            return told
        name = message.get("name")
        for call_id, called in self._open_calls.items():
            if called == name or not isinstance(name, str):
                del self._open_calls[call_id]
                return call_id
        return ""


def _says_something(block: Block) -> bool:
    return not isinstance(block, Text | Thinking) or not is_blank(block.text)


def _calls(message: Mapping[str, object], path: str) -> list[Mapping[str, object]]:
    """Return the tool calls of an assistant message, the old single `function_call` included."""
    calls = message.get("tool_calls")
    if calls is None:
        calls = []
    if not isinstance(calls, list):
        raise RequestError("Tool calls are a list.", path=f"{path}.tool_calls")
    for number, call in enumerate(calls):
        if not isinstance(call, dict):
            raise RequestError("A tool call is an object.", path=f"{path}.tool_calls[{number}]")
    old = message.get("function_call")
    return [*calls, {"function": old}] if isinstance(old, dict) else list(calls)


def _read_call(call: Mapping[str, object], spare_id: str) -> ToolUse | Text:
    """Return one call; as text when it has no name or its input is no JSON object."""
    function = call.get("function")
    custom = call.get("custom")
    told_id, name, arguments = call.get("id"), None, None
    if isinstance(function, dict):
        name, arguments = function.get("name"), function.get("arguments")
    elif isinstance(custom, dict):
        name, arguments = custom.get("name"), custom.get("input")
    call_id = told_id if isinstance(told_id, str) and told_id else spare_id
    tool_input = _read_arguments(arguments)
    if isinstance(name, str) and name and tool_input is not None:
        return ToolUse(call_id, name, tool_input)
    return Text(f"[Tool call {call_id} of {as_text(name)} with input {as_text(arguments)}]")


def _read_arguments(arguments: object) -> msgspec.Raw | None:
    """Return the input of a call as JSON; None when it is no object."""
    if arguments is None:
        return msgspec.Raw(b"{}")
    if isinstance(arguments, dict):
        return json.raw(arguments)
    if not isinstance(arguments, str):
        return None
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        value = json.decode(arguments)
    except RequestError:
        return None
    if not isinstance(value, dict):
        return None
    # The decoder forgives half of an emoji; what is carried on must not need forgiveness.
    repaired = json.repair_surrogates(arguments) if "\\u" in arguments else None
    return msgspec.Raw(repaired or arguments.encode())
