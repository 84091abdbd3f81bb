"""Tests of folding messages into turns."""

from itertools import pairwise
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import (
    Image,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from kiro2api.protocol.openai_chat.turns import Conversation, read_messages

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def call(arguments: object, *, id: object = "c1", name: object = "ls") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def blocks(*messages: dict[str, Any]) -> list[Any]:
    turns = read_messages([{"role": "user", "content": "go"}, *messages]).turns
    return [block for turn in turns for block in turn.blocks][1:]


def user(*parts: Any) -> Turn:
    return Turn(Role.USER, parts)


def assistant(*parts: Any) -> Turn:
    return Turn(Role.ASSISTANT, parts)


def use(id: str, name: str, input: bytes) -> ToolUse:
    return ToolUse(id, name, msgspec.Raw(input))


def test_leading_system_and_developer_messages_are_the_system_text() -> None:
    conversation = read_messages(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "system", "content": ""},
            {"role": "user", "content": "c"},
        ]
    )

    assert conversation == Conversation((Text("a"), Text("b")), (user(Text("c")),))


def test_many_calls_and_results_cost_no_more_than_their_number() -> None:
    calls = [call("{}", id=f"c{n}") for n in range(30_000)]
    results = [{"role": "tool", "tool_call_id": made["id"], "content": "x"} for made in calls]
    started = process_time()

    read_messages([{"role": "assistant", "tool_calls": calls}, *reversed(results)])

    assert process_time() - started < 2


def test_later_system_text_stays_in_its_place_as_user_text() -> None:
    conversation = read_messages(
        [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "system", "content": "mind this"},
            {"role": "user", "content": "c"},
            {"role": "developer", "content": "and that"},
        ]
    )

    assert conversation.turns == (
        user(Text("a")),
        assistant(Text("b")),
        user(Text("mind this"), Text("c"), Text("and that")),
    )


def test_a_lone_system_message_is_what_was_asked() -> None:
    conversation = read_messages([{"role": "system", "content": "say hi"}])

    assert conversation == Conversation((), (user(Text("say hi")),))


def test_neighbours_of_one_role_become_one_turn() -> None:
    conversation = read_messages(
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": ["b", IMAGE]},
            {"role": "assistant", "content": "c"},
            {"role": "assistant", "content": "d"},
        ]
    )

    assert conversation.turns == (
        user(Text("a"), Text("b"), Image("image/png", "AAAA")),
        assistant(Text("c"), Text("d")),
    )


def test_a_message_without_a_role_is_the_users() -> None:
    assert read_messages([{"content": "a"}]).turns == (user(Text("a")),)


def test_an_unknown_role_becomes_user_text_that_names_it() -> None:
    conversation = read_messages(
        [{"role": "critic", "content": "weak"}, {"role": 7, "content": "odd"}]
    )

    assert conversation.turns == (user(Text("[critic]"), Text("weak"), Text("[7]"), Text("odd")),)


def test_a_tool_round_keeps_text_calls_and_results() -> None:
    conversation = read_messages(
        [
            {"role": "user", "content": "list"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {**call('{"p":"."}'), "cache_control": {"type": "ephemeral"}},
                    call('{"p":"/"}', id="c2"),
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "and now?"},
        ]
    )

    assert conversation.turns == (
        user(Text("list")),
        assistant(Text("I look."), use("c1", "ls", b'{"p":"."}'), use("c2", "ls", b'{"p":"/"}')),
        user(
            ToolResult("c1", (Text("a.txt"),)),
            ToolResult("c2", (Text("b"),)),
            Text("and now?"),
        ),
    )


@pytest.mark.parametrize("content", [None, ""])
def test_empty_content_beside_calls_is_fine(content: object) -> None:
    message = {"role": "assistant", "content": content, "tool_calls": [call("{}")]}

    assert blocks(message) == [use("c1", "ls", b"{}")]


@pytest.mark.parametrize("arguments", [None, "", "  ", "{}", {}])
def test_a_call_without_input_has_an_empty_object(arguments: object) -> None:
    message = {"role": "assistant", "tool_calls": [call(arguments)]}

    assert blocks(message) == [use("c1", "ls", b"{}")]


def test_input_that_came_as_an_object_is_taken() -> None:
    message = {"role": "assistant", "tool_calls": [call({"a": 1})]}

    assert blocks(message) == [use("c1", "ls", b'{"a":1}')]


@pytest.mark.parametrize(
    "arguments", ['{"a":', "[1]", "words", "5", "[" * 100_000, 5, '{"a":"\\x"}']
)
def test_a_call_whose_input_is_no_object_becomes_text_that_says_it(arguments: object) -> None:
    message = {"role": "assistant", "content": "hm", "tool_calls": [call(arguments)]}

    assert blocks(message) == [Text("hm"), Text(f"[Tool call c1 of ls with input {arguments}]")]


def test_a_call_without_a_name_becomes_text() -> None:
    message = {"role": "assistant", "tool_calls": [call("{}", name=None), {"id": "c2"}]}

    assert blocks(message) == [
        Text("[Tool call c1 of null with input {}]"),
        Text("[Tool call c2 of null with input null]"),
    ]


def test_half_an_emoji_in_the_input_is_repaired() -> None:
    message = {"role": "assistant", "tool_calls": [call('{"a":"\\ud83d","b":"\\u00e9"}')]}

    assert blocks(message) == [use("c1", "ls", b'{"a":"\\ufffd","b":"\\u00e9"}')]


def test_a_custom_tools_call_keeps_its_input() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls -l"}}

    assert blocks({"role": "assistant", "tool_calls": [custom]}) == [
        Text("[Tool call c1 of sh with input ls -l]")
    ]


def test_a_call_without_an_id_is_paired_with_the_result_that_follows() -> None:
    found = blocks(
        {"role": "assistant", "tool_calls": [call("{}", id=None), call("{}", id="")]},
        {"role": "tool", "content": "one"},
        {"role": "tool", "content": "two"},
    )

    assert found == [
        use("call_1_0", "ls", b"{}"),
        use("call_1_1", "ls", b"{}"),
        ToolResult("call_1_0", (Text("one"),)),
        ToolResult("call_1_1", (Text("two"),)),
    ]


def test_the_old_function_call_and_its_result_are_a_pair() -> None:
    found = blocks(
        {"role": "assistant", "content": None, "function_call": {"name": "ls", "arguments": "{}"}},
        {"role": "function", "name": "ls", "content": "a.txt"},
    )

    assert found == [use("call_1_0", "ls", b"{}"), ToolResult("call_1_0", (Text("a.txt"),))]


def test_a_result_that_names_no_open_call_becomes_text() -> None:
    found = blocks(
        {"role": "assistant", "tool_calls": [call("{}")]},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "function", "name": "other", "content": "b"},
        {"role": "tool", "content": "c"},
    )

    assert found[1:] == [
        ToolResult("c1", (Text("a"),)),
        Text("Result of tool other:"),
        Text("b"),
        Text("Result of a tool:"),
        Text("c"),
    ]


def test_a_result_may_be_empty_or_hold_an_image() -> None:
    found = blocks(
        {"role": "assistant", "tool_calls": [call("{}"), call("{}", id="c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": None},
        {"role": "tool", "tool_call_id": "c2", "content": ["see", IMAGE]},
    )

    assert found[2:] == [
        ToolResult("c1", ()),
        ToolResult("c2", (Text("see"), Image("image/png", "AAAA"))),
    ]


def test_an_old_result_is_paired_by_the_name_of_its_function() -> None:
    found = blocks(
        {"role": "assistant", "tool_calls": [call("{}", name="a"), call("{}", id="c2", name="b")]},
        {"role": "function", "name": "b", "content": "of b"},
    )

    assert found[-1] == ToolResult("c2", (Text("of b"),))


@pytest.mark.parametrize(("content", "text"), [({"a": 1}, '{"a":1}'), (7, "7"), (True, "true")])
def test_a_result_that_is_a_bare_value_is_told_as_json(content: object, text: str) -> None:
    found = blocks({"role": "tool", "tool_call_id": "c1", "content": content})

    assert found == [ToolResult("c1", (Text(text),))]


@pytest.mark.parametrize("member", ["reasoning_content", "reasoning"])
def test_earlier_reasoning_is_kept_apart_from_the_answer(member: str) -> None:
    found = blocks({"role": "assistant", "content": "4", member: "2+2"})

    assert found == [Thinking("2+2", ""), Text("4")]


def test_an_earlier_refusal_is_the_assistants_text() -> None:
    assert blocks({"role": "assistant", "content": None, "refusal": "No."}) == [Text("No.")]


def test_a_call_that_became_text_waits_for_no_result() -> None:
    found = blocks(
        {"role": "assistant", "tool_calls": [call("broken", id=None), call("{}", id=None)]},
        {"role": "tool", "content": "a"},
    )

    assert found[-1] == ToolResult("call_1_1", (Text("a"),))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": " \n\t"}],
        [{"role": "user"}],
        [{"role": "user", "content": []}, {"role": "assistant", "content": None}],
        [{"role": "system", "content": "s"}, {"role": "user", "content": " "}],
        [{"role": "user", "content": "\0\x1b"}],
        [{"role": "system", "content": ""}],
    ],
)
def test_messages_that_say_nothing_are_refused(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(RequestError) as refused:
        read_messages(messages)

    assert (refused.value.status, refused.value.path) == (400, "messages")


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("hello", "messages[1]"),
        ({"role": "assistant", "tool_calls": "x"}, "messages[1].tool_calls"),
        ({"role": "assistant", "tool_calls": [1]}, "messages[1].tool_calls[0]"),
        ({"role": "user", "content": [{"type": "x"}]}, "messages[1].content[0]"),
        ({"role": "system", "content": [IMAGE]}, "messages[1].content"),
    ],
)
def test_a_broken_message_is_refused_by_its_path(message: object, path: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_messages([{"role": "user", "content": "go"}, message])

    assert refused.value.path == path


WORDS = st.text("ab ", min_size=1, max_size=5)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(
                ["system", "developer", "user", "assistant", "tool", "function", "odd"]
            ),
            "content": st.none() | WORDS | st.lists(WORDS, max_size=2),
        }
    ),
    max_size=8,
)


def all_text(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for item in value for text in all_text(item)] if isinstance(value, list) else []


def hub_text(parts: Any) -> list[str]:
    found: list[str] = []
    for part in parts:
        found += hub_text(part.content) if isinstance(part, ToolResult) else [part.text]
    return found


@given(MESSAGES)
def test_no_word_is_lost_and_the_order_is_kept(messages: list[dict[str, Any]]) -> None:
    messages = [*messages, {"role": "user", "content": "end"}]

    conversation = read_messages(messages)

    said = [text for message in messages for text in all_text(message["content"])]
    kept = hub_text(conversation.system)
    kept += [text for turn in conversation.turns for text in hub_text(turn.blocks)]
    # What we add ourselves stands in brackets or ends with a colon.
    kept = [text for text in kept if not text.startswith("[") and not text.endswith(":")]
    assert "\n".join(kept) == "\n".join(said)
    roles = [turn.role for turn in conversation.turns]
    assert all(a is not b for a, b in pairwise(roles))
