"""Reads the tools of a Chat Completions request, and the wishes about them."""

from collections.abc import Mapping

import msgspec

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import ChoiceMode, ToolChoice, ToolSpec
from kiro2api.protocol.wire import json

_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')
_MODES = {
    "none": ChoiceMode.NONE,
    "auto": ChoiceMode.AUTO,
    "required": ChoiceMode.ANY,
    "any": ChoiceMode.ANY,
}


def read_tools(body: Mapping[str, object]) -> tuple[ToolSpec, ...]:
    """Return the function tools that the client offers, the old `functions` included.

    Raises:
        RequestError: a tool has no name, or the list is none; the path says where.
    """
    specs = _read_list(body.get("tools"), "tools")
    specs += _read_list(body.get("functions"), "functions")
    allowed = _allowed_names(body.get("tool_choice"))
    return tuple(spec for spec in specs if allowed is None or spec.name in allowed)


def read_tool_choice(body: Mapping[str, object]) -> ToolChoice:
    """Return the client's wish about tool calls; a wish that we do not know is `auto`."""
    wish = body.get("tool_choice")
    if wish is None:
        wish = body.get("function_call")
    one_at_most = body.get("parallel_tool_calls") is False
    if isinstance(wish, str):
        return ToolChoice(_MODES.get(wish, ChoiceMode.AUTO), one_at_most=one_at_most)
    if not isinstance(wish, dict):
        return ToolChoice(one_at_most=one_at_most)
    holder = wish.get("allowed_tools")
    if isinstance(holder, dict):
        mode = _MODES.get(str(holder.get("mode")), ChoiceMode.AUTO)
        return ToolChoice(mode, one_at_most=one_at_most)
    function = wish.get("function")
    name = function.get("name") if isinstance(function, dict) else wish.get("name")
    if isinstance(name, str) and name:
        return ToolChoice(ChoiceMode.TOOL, name, one_at_most)
    mode = _MODES.get(str(wish.get("type")), ChoiceMode.AUTO)
    return ToolChoice(mode, one_at_most=one_at_most)


def _read_list(tools: object, path: str) -> list[ToolSpec]:
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise RequestError("Tools are a list.", path=path)
    specs = []
    for place, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise RequestError("A tool is an object.", path=f"{path}[{place}]")
        if tool.get("type") in (None, "function"):
            specs.append(_read_spec(tool, f"{path}[{place}]"))
    return specs


def _read_spec(tool: Mapping[str, object], path: str) -> ToolSpec:
    function = tool.get("function")
    if isinstance(function, dict):
        tool, path = function, f"{path}.function"
    name, description = tool.get("name"), tool.get("description")
    if not isinstance(name, str) or not name:
        raise RequestError("A tool has a name.", path=f"{path}.name")
    parameters = tool.get("parameters")
    return ToolSpec(
        name,
        description if isinstance(description, str) else "",
        json.raw(parameters) if isinstance(parameters, dict) else _NO_PARAMETERS,
    )


def _allowed_names(wish: object) -> frozenset[str] | None:
    """Return the names that `allowed_tools` leaves; None when the wish restricts nothing."""
    holder = wish.get("allowed_tools") if isinstance(wish, dict) else None
    tools = holder.get("tools") if isinstance(holder, dict) else None
    if not isinstance(tools, list):
        return None
    names = set()
    for tool in tools:
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(function, dict):
            names.add(str(function.get("name")))
    return frozenset(names)
