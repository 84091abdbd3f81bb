"""Tests of reading tools and the wishes about them."""

from typing import Any

import msgspec
import pytest

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import ChoiceMode, ToolChoice, ToolSpec
from kiro2api.protocol.openai_chat.tools import read_tool_choice, read_tools

SCHEMA = {"type": "object", "properties": {"p": {"type": "string"}}}
RAW = msgspec.Raw(b'{"type":"object","properties":{"p":{"type":"string"}}}')
EMPTY = msgspec.Raw(b'{"type":"object","properties":{}}')
LS = {"name": "ls", "description": "List", "parameters": SCHEMA}


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": LS},
        {"function": LS},
        {"type": "function", **LS},
        {"type": "function", "function": {**LS, "strict": True}, "cache_control": {}},
    ],
)
def test_a_function_tool_is_read(tool: dict[str, Any]) -> None:
    assert read_tools({"tools": [tool]}) == (ToolSpec("ls", "List", RAW),)


def test_the_old_functions_are_tools() -> None:
    assert read_tools({"functions": [LS]}) == (ToolSpec("ls", "List", RAW),)


@pytest.mark.parametrize("parameters", [None, "x", []])
def test_a_tool_without_parameters_takes_an_empty_object(parameters: object) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}

    assert read_tools({"tools": [tool]}) == (ToolSpec("f", "", EMPTY),)


def test_tools_that_are_no_functions_are_left_out() -> None:
    tools = [
        {"type": "web_search_preview"},
        {"type": "custom", "custom": {"name": "c"}},
        {"type": "function", "function": LS},
    ]

    assert [spec.name for spec in read_tools({"tools": tools})] == ["ls"]


@pytest.mark.parametrize("tools", [None, []])
def test_no_tools_are_no_tools(tools: object) -> None:
    assert read_tools({"tools": tools}) == ()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "name": ""}]}, "tools[0].name"),
        ({"functions": [{"description": "x"}]}, "functions[0].name"),
    ],
)
def test_a_broken_tool_is_refused_by_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_tools(body)

    assert refused.value.path == path


@pytest.mark.parametrize(
    ("body", "choice"),
    [
        ({}, ToolChoice()),
        ({"tool_choice": None}, ToolChoice()),
        ({"tool_choice": "auto"}, ToolChoice()),
        ({"tool_choice": "none"}, ToolChoice(ChoiceMode.NONE)),
        ({"tool_choice": "required"}, ToolChoice(ChoiceMode.ANY)),
        ({"tool_choice": "any"}, ToolChoice(ChoiceMode.ANY)),
        ({"tool_choice": "new word"}, ToolChoice()),
        ({"tool_choice": 5}, ToolChoice()),
        ({"tool_choice": {"type": "any"}}, ToolChoice(ChoiceMode.ANY)),
        (
            {"tool_choice": {"type": "function", "function": {"name": "ls"}}},
            ToolChoice(ChoiceMode.TOOL, "ls"),
        ),
        ({"tool_choice": {"type": "function", "name": "ls"}}, ToolChoice(ChoiceMode.TOOL, "ls")),
        ({"function_call": "none"}, ToolChoice(ChoiceMode.NONE)),
        ({"function_call": {"name": "ls"}}, ToolChoice(ChoiceMode.TOOL, "ls")),
        ({"parallel_tool_calls": False}, ToolChoice(one_at_most=True)),
        ({"parallel_tool_calls": True}, ToolChoice()),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            ToolChoice(ChoiceMode.ANY, one_at_most=True),
        ),
    ],
)
def test_the_wish_about_calls_is_read(body: dict[str, Any], choice: ToolChoice) -> None:
    assert read_tool_choice(body) == choice


def test_allowed_tools_keep_only_the_named_ones() -> None:
    allowed = {
        "mode": "required",
        "tools": [{"type": "function", "function": {"name": "ls"}}, {"name": "cat"}, 5],
    }
    body = {
        "tools": [{"type": "function", "function": {"name": n}} for n in ("ls", "rm", "cat")],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
    }

    assert [spec.name for spec in read_tools(body)] == ["ls", "cat"]
    assert read_tool_choice(body) == ToolChoice(ChoiceMode.ANY)


def test_allowed_tools_without_a_list_restrict_nothing() -> None:
    body = {
        "tools": [{"type": "function", "function": LS}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}},
    }

    assert len(read_tools(body)) == 1
