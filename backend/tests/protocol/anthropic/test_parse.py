"""Anthropic requests: leniency, the loss policy, and clear refusals."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import RequestError
from kiro2api.protocol.anthropic.parse import parse, parse_count
from kiro2api.protocol.anthropic.schema import Body
from kiro2api.protocol.chat import request as hub

Json = Any  # what a client may send
HI = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
READ = {"name": "read", "description": "Reads.", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
SESSION = "0f5a2c1e-7e0b-4a57-9a1e-5d7f3a1d2c11"


def asked(headers: Mapping[str, str] | None = None, **members: Json) -> hub.ChatRequest:
    body = {"model": "claude-sonnet-4.5", "messages": HI, **members}
    return parse(msgspec.json.encode(body), headers or {})


def refusal(**members: Json) -> RequestError:
    with pytest.raises(RequestError) as raised:
        asked(**members)
    return raised.value


def turns(*messages: Json) -> list[tuple[str, list[str]]]:
    """The turns of a conversation of texts."""
    return [
        (turn.role.value, [block.text for block in turn.blocks if isinstance(block, hub.Text)])
        for turn in asked(messages=list(messages)).turns
    ]


def said(role: Json, content: Json) -> Json:
    return {"role": role, "content": content}


# -------------------------------------------------------------------------------- the smallest


def test_a_model_and_a_message_are_enough() -> None:
    assert asked() == hub.ChatRequest(
        model="claude-sonnet-4.5", turns=(hub.Turn(hub.Role.USER, (hub.Text("hi"),)),)
    )


@pytest.mark.parametrize(
    "member",
    [
        "context_management",
        "service_tier",
        "container",
        "mcp_servers",
        "safeguards",
        "top_k",
        "inference_geo",
        "member_from_tomorrow",
    ],
)
@pytest.mark.parametrize("value", [None, 7, "x", {"a": [1]}])
def test_what_has_no_place_is_ignored(member: str, value: Json) -> None:
    assert asked(**{member: value}) == asked()


def test_betas_and_versions_are_ignored() -> None:
    headers = {"anthropic-beta": "from-tomorrow-2030-01-01", "anthropic-version": "2026-10-21"}

    assert asked(headers) == asked()


def test_null_is_as_good_as_absent() -> None:
    members = dict.fromkeys(set(Body.__struct_fields__) - {"model", "messages"})

    assert asked(**members) == asked()


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("body", [b"", b"{", b"hello", b'{"model":"m"} x', b"\xff\xfe"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as raised:
        parse(body, {})

    assert (raised.value.status, raised.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"7", b"null"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        parse(body, {})


@pytest.mark.parametrize("place", ["messages", "system", "tools", "metadata"])
def test_json_that_is_nested_too_deeply_is_refused_at_once(place: str) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    body = b'{"model":"m","messages":[],"' + place.encode() + b'":' + deep + b"}"
    start = time.process_time()

    with pytest.raises(RequestError) as raised:
        parse(body, {})

    assert raised.value.code == "json_too_deep"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 4.5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [*HI, said("user", 7)]}, "messages.1.content"),
        ({"messages": [said("user", [7])]}, "messages.0.content.0"),
        ({"system": 7}, "system"),
        ({"tools": "read"}, "tools"),
        ({"tools": [READ, "read"]}, "tools.1"),
        ({"tools": [READ, {"input_schema": SCHEMA}]}, "tools.1.name"),
        ({"tools": [{"name": ""}]}, "tools.0.name"),
        ({"tool_choice": {"type": "tool", "name": "write"}, "tools": [READ]}, "tool_choice.name"),
        ({"tool_choice": {"type": "tool"}, "tools": [READ]}, "tool_choice.name"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": []}, "top_p"),
        ({"stop_sequences": [7]}, "stop_sequences[0]"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"stream": "maybe"}, "stream"),
    ],
)
def test_a_refusal_names_the_member(members: Json, path: str) -> None:
    error = refusal(**members)

    assert (error.path, error.status) == (path, 400)
    assert error.message


@pytest.mark.parametrize(
    "thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}, True]
)
def test_a_thread_is_refused_in_the_words_that_make_the_sdk_go_on_without(thread: Json) -> None:
    error = refusal(thread=thread)

    assert (error.status, error.code) == (400, "thread_unsupported_request")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [said("user", "")],
        [said("user", None)],
        [said("user", [])],
        [said("user", " \n\t")],
        [said("user", "\0\x1b")],
        [said("user", [{"type": "text", "text": " "}])],
        [said("user", ""), said("assistant", " "), said("user", "")],
    ],
)
def test_a_conversation_without_content_is_refused(messages: Json) -> None:
    assert refusal(messages=messages, system="Be kind.").path == "messages"


def test_an_empty_turn_among_others_is_left_for_repair() -> None:
    assert turns(said("user", "a"), said("assistant", ""), said("user", "b")) == [
        ("user", ["a"]),
        ("assistant", []),
        ("user", ["b"]),
    ]


# --------------------------------------------------------------------------------------- roles


def test_turns_of_one_role_in_a_row_stay_as_they_came() -> None:
    assert turns(said("user", "a"), said("user", "b"), said("assistant", "c")) == [
        ("user", ["a"]),
        ("user", ["b"]),
        ("assistant", ["c"]),
    ]


@pytest.mark.parametrize("role", ["system", "developer", "System"])
def test_text_of_the_system_between_turns_joins_the_user_before_it(role: str) -> None:
    assert turns(said("user", "a"), said(role, "rule"), said("assistant", "b")) == [
        ("user", ["a", "rule"]),
        ("assistant", ["b"]),
    ]


def test_text_of_the_system_after_an_assistant_joins_the_user_after_it() -> None:
    assert turns(said("assistant", "a"), said("system", "rule"), said("user", "b")) == [
        ("assistant", ["a"]),
        ("user", ["rule", "b"]),
    ]


def test_text_of_the_system_with_no_user_beside_it_is_a_turn_of_its_own() -> None:
    assert turns(said("assistant", "a"), said("system", "rule"), said("assistant", "b")) == [
        ("assistant", ["a"]),
        ("user", ["rule"]),
        ("assistant", ["b"]),
    ]


def test_many_texts_of_the_system_keep_their_order() -> None:
    found = turns(said("system", "1"), said("developer", "2"), said("user", "3"), said("user", "4"))

    assert found == [("user", ["1", "2", "3"]), ("user", ["4"])]


def test_many_texts_of_the_system_cost_no_more_than_their_number() -> None:
    started = time.process_time()

    asked(messages=[said("system", "x")] * 60_000)

    assert time.process_time() - started < 2


def test_text_of_the_system_may_come_as_blocks_with_members_of_its_own() -> None:
    block = {"type": "text", "text": "rule", "cache_control": {"type": "ephemeral"}}
    message = {"role": "system", "content": [block], "output_config": {"effort": "low"}}

    assert turns(*HI, message) == [("user", ["hi", "rule"])]


def test_text_of_the_system_does_not_part_a_result_from_its_call() -> None:
    call = {"type": "tool_use", "id": "t", "name": "read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    request = asked(
        messages=[*HI, said("assistant", [call]), said("user", [result]), said("system", "rule")]
    )

    assert request.turns[2:] == (
        hub.Turn(hub.Role.USER, (hub.ToolResult("t", (hub.Text("x"),)), hub.Text("rule"))),
    )


@pytest.mark.parametrize("role", ["critic", "tool", "function"])
def test_an_unknown_role_becomes_user_text_that_names_it(role: str) -> None:
    assert turns(*HI, said(role, "boo")) == [
        ("user", ["hi"]),
        ("user", [f"Message from the role {role!r}:", "boo"]),
    ]


@pytest.mark.parametrize("role", [None, "", 7])
def test_no_role_is_the_user(role: Json) -> None:
    assert turns(said(role, "hi")) == [("user", ["hi"])]


# -------------------------------------------------------------------------------------- system


@pytest.mark.parametrize(
    ("system", "texts"),
    [
        ("Be kind.", ["Be kind."]),
        ("", []),
        (
            [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "b"}],
            ["a", "b"],
        ),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_the_system_text_comes_as_string_or_blocks(system: Json, texts: list[str]) -> None:
    assert [block.text for block in asked(system=system).system] == texts


def test_the_billing_line_is_stripped() -> None:
    billing = "x-anthropic-billing-header: cc_version=2.1.330.abc; cc_entrypoint=sdk-cli;"
    blocks = [{"type": "text", "text": text} for text in (billing, "Be kind.")]

    assert asked(system=blocks).system == (hub.Text("Be kind."),)


def test_text_after_the_billing_line_is_kept() -> None:
    system = "x-anthropic-billing-header: cc_version=1;\nBe kind.\nBe brief."

    assert asked(system=system).system == (hub.Text("Be kind.\nBe brief."),)


def test_a_picture_in_the_system_text_is_refused() -> None:
    picture = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}

    assert refusal(system=[picture]).path == "system"


# --------------------------------------------------------------------------------------- tools


def test_a_tool_is_carried_with_its_schema_unopened() -> None:
    (tool,) = asked(tools=[READ]).tools

    assert (tool.name, tool.description) == ("read", "Reads.")
    assert bytes(tool.input_schema) == msgspec.json.encode(SCHEMA)


@pytest.mark.parametrize(
    "more",
    [
        {"type": "custom"},
        {"type": None},
        {"type": "from_tomorrow"},
        {"defer_loading": True},
        {"eager_input_streaming": True},
        {"cache_control": {"type": "ephemeral"}},
        {"strict": True},
    ],
)
def test_members_of_a_tool_that_have_no_place_are_ignored(more: Json) -> None:
    (tool,) = asked(tools=[{**READ, **more}]).tools

    assert tool.name == "read"


@pytest.mark.parametrize("schema", [{}, {"input_schema": None}])
def test_a_tool_without_a_schema_takes_an_object(schema: Json) -> None:
    (tool,) = asked(tools=[{"name": "now", "description": None, **schema}]).tools

    assert tool.description == ""
    assert msgspec.json.decode(tool.input_schema) == {"type": "object", "properties": {}}


def test_tools_that_only_the_vendor_runs_are_dropped() -> None:
    tools = [SEARCH, READ, {"type": "mcp_toolset", "mcp_server_name": "x"}]

    assert [tool.name for tool in asked(tools=tools).tools] == ["read"]


def test_a_tool_of_the_client_may_be_called_web_search() -> None:
    assert [tool.name for tool in asked(tools=[{**READ, "name": "web_search"}]).tools] == [
        "web_search"
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, hub.ToolChoice()),
        ("auto", hub.ToolChoice()),
        ({"type": "from_tomorrow"}, hub.ToolChoice()),
        ([], hub.ToolChoice()),
        ({"type": "any"}, hub.ToolChoice(hub.ChoiceMode.ANY)),
        ("required", hub.ToolChoice(hub.ChoiceMode.ANY)),
        ({"type": "none"}, hub.ToolChoice(hub.ChoiceMode.NONE)),
        ({"type": "tool", "name": "read"}, hub.ToolChoice(hub.ChoiceMode.TOOL, "read")),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            hub.ToolChoice(one_at_most=True),
        ),
        (
            {"type": "tool", "name": "read", "disable_parallel_tool_use": True},
            hub.ToolChoice(hub.ChoiceMode.TOOL, "read", one_at_most=True),
        ),
    ],
)
def test_the_wish_about_tool_calls_is_kept(choice: Json, expected: hub.ToolChoice) -> None:
    assert asked(tools=[READ], tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize("choice", [{"type": "tool", "name": "web_search"}, {"type": "any"}])
def test_a_forced_tool_that_was_dropped_is_forced_no_more(choice: Json) -> None:
    assert asked(tools=[SEARCH], tool_choice=choice).tool_choice == hub.ToolChoice()


# ------------------------------------------------------------------------------------ settings


def test_settings_are_kept() -> None:
    sampling = asked(
        max_tokens=128_000, temperature=0.5, top_p=0.9, stop_sequences=["END", "\n\n"]
    ).sampling

    assert sampling == hub.Sampling(128_000, 0.5, 0.9, ("END", "\n\n"))


@pytest.mark.parametrize("value", [100, 100.0, "100"])
def test_a_whole_number_may_come_in_other_clothes(value: Json) -> None:
    assert asked(max_tokens=value).sampling.max_tokens == 100


@pytest.mark.parametrize(("given", "kept"), [("END", ("END",)), ([], ()), (["", "x"], ("x",))])
def test_stop_sequences_are_read_loosely(given: Json, kept: tuple[str, ...]) -> None:
    assert asked(stop_sequences=given).sampling.stop_sequences == kept


@pytest.mark.parametrize(("given", "stream"), [(True, True), (False, False), (None, False)])
def test_streaming_is_a_wish(given: Json, stream: bool) -> None:
    assert asked(stream=given).stream is stream


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (
            {"type": "adaptive", "display": "omitted"},
            hub.ReasoningWish(hub.ReasoningMode.ADAPTIVE, display="omitted"),
        ),
        (
            {"type": "enabled", "budget_tokens": 31_999.0},
            hub.ReasoningWish(hub.ReasoningMode.ENABLED, 31_999),
        ),
        ({"type": "disabled"}, hub.ReasoningWish(hub.ReasoningMode.DISABLED)),
        ({"type": "from_tomorrow"}, hub.ReasoningWish()),
        ("yes", hub.ReasoningWish()),
    ],
)
def test_the_wish_about_reasoning_is_kept(thinking: Json, expected: hub.ReasoningWish) -> None:
    assert asked(thinking=thinking).reasoning == expected


def test_effort_is_kept_without_thinking() -> None:
    assert asked(output_config={"effort": "high"}).reasoning == hub.ReasoningWish(effort="high")


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_schema_for_the_answer_is_kept(place: str) -> None:
    wish = {"type": "json_schema", "name": "place", "schema": SCHEMA}
    members = {"output_config": {"format": wish}} if place == "output_config" else {place: wish}

    found = asked(**members).response_format

    assert (found.kind, found.name, found.strict) == (hub.FormatKind.JSON_SCHEMA, "place", True)
    assert bytes(found.schema) == msgspec.json.encode(SCHEMA)


@pytest.mark.parametrize(
    "config",
    [7, {"format": None}, {"format": {"type": "text"}}, {"format": {"type": "json_schema"}}],
)
def test_a_format_that_says_nothing_is_none(config: Json) -> None:
    assert asked(output_config=config).response_format == hub.ResponseFormat()


# ---------------------------------------------------------------------------- the conversation


@pytest.mark.parametrize(
    ("headers", "user_id", "key"),
    [
        ({"x-claude-code-session-id": SESSION}, None, SESSION),
        ({"x-session-id": SESSION}, None, SESSION),
        ({"x-claude-code-session-id": SESSION}, '{"session_id":"other"}', SESSION),
        ({}, f'{{"device_id":"d","account_uuid":"","session_id":"{SESSION}"}}', SESSION),
        ({}, f"user_abc_account__session_{SESSION}", SESSION),
        (
            {"x-claude-code-session-id": SESSION, "x-claude-code-agent-id": "a1"},
            None,
            f"{SESSION}:a1",
        ),
        ({"x-claude-code-agent-id": "a1"}, None, ""),
        ({}, "somebody", ""),
        ({}, "{broken", ""),
        ({}, '{"session_id":7}', ""),
        ({}, "{}", ""),
        ({}, 7, ""),
        ({}, None, ""),
    ],
)
def test_the_conversation_is_named_by_the_client(
    headers: Mapping[str, str], user_id: Json, key: str
) -> None:
    assert asked(headers, metadata={"user_id": user_id}).conversation_key == key


def test_metadata_of_an_odd_type_names_nothing() -> None:
    assert asked(metadata=["x"]).conversation_key == ""


# -------------------------------------------------------------------------------- count_tokens


@pytest.mark.parametrize("messages", [[], HI, [said("user", "")]])
def test_the_tokens_of_any_conversation_can_be_counted(messages: Json) -> None:
    body = msgspec.json.encode({"model": "m", "messages": messages, "tools": []})

    assert parse_count(body, {}).model == "m"


def test_counting_reads_roles_as_freely_as_answering() -> None:
    body = msgspec.json.encode({"model": "m", "messages": [*HI, said("system", "rule")]})

    assert parse_count(body, {}).turns == parse(body, {}).turns


# ------------------------------------------------------------------------------- robust and fast


def test_half_an_emoji_in_any_member_is_repaired() -> None:
    call = rb'{"type":"tool_use","id":"t","name":"n","input":{"a":"\ude00"}}'
    body = (
        rb'{"model":"m","system":"\ud83d","messages":[{"role":"user","content":"\ud83d!"},'
        rb'{"role":"assistant","content":[' + call + b"]}]}"
    )

    request = parse(body, {})

    assert request.system == (hub.Text("�"),)
    assert request.turns[0].blocks == (hub.Text("�!"),)
    (block,) = request.turns[1].blocks
    assert isinstance(block, hub.ToolUse)
    assert msgspec.json.decode(block.input) == {"a": "�"}


def test_a_request_does_not_keep_its_body_in_memory() -> None:
    call = {"type": "tool_use", "id": "t", "name": "read", "input": {"path": "a"}}
    wish = {"type": "json_schema", "schema": SCHEMA}
    messages = [*HI, said("assistant", [call])]
    members = {"tools": [READ], "output_config": {"format": wish}, "messages": messages}
    body = msgspec.json.encode({"model": "m", **members})
    before = sys.getrefcount(body)

    request = parse(body, {})

    assert request.tools
    assert sys.getrefcount(body) == before


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "role", "content", "source"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(Body.__struct_fields__[1:]), JSONS))
def test_odd_json_is_parsed_or_refused_but_never_breaks(members: dict[str, Json]) -> None:
    body = msgspec.json.encode({"model": "m", "messages": HI, **members})

    assert outcome(body)


def outcome(body: bytes) -> str:
    """The reason of a refusal, or how the request reads; anything else is a failure."""
    try:
        return repr(parse(body, {}))
    except RequestError as error:
        return error.message


def test_a_megabyte_is_parsed_in_milliseconds() -> None:
    text = "All work and no play makes a dull day. " * 25
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {"text": text}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": text}
    messages = [said("user", [result]), said("assistant", [call])] * 500
    body = msgspec.json.encode({"model": "m", "messages": messages})
    assert len(body) > 1_000_000

    assert min(elapsed(body) for _ in range(5)) < 0.1


def elapsed(body: bytes) -> float:
    start = time.process_time()
    parse(body, {})
    return time.process_time() - start
