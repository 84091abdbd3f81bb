"""The checks that concern tools."""

from typing import Any

import pytest

from kiro2api.emulator import checks_tools
from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.call import Call, make_call
from kiro2api.emulator.rejection import Rejection
from tests.support.emulator_calls import Json, assistant, body, result, tool, use, user


def call_of(sent: Json) -> Call:
    return make_call(sent, Account(AccountSpec(name="a"), now=0.0), "m", {})


def rounds(*turns: Json, current: Json, tools: list[Json] | None = None) -> Call:
    return call_of(body(current, history=turns, tools=[tool()] if tools is None else tools))


def one_tool(**members: Any) -> Call:
    specification = tool()["toolSpecification"] | members
    return call_of(body(tools=[{"toolSpecification": specification}]))


def with_schema(schema: object) -> Call:
    return one_tool(inputSchema={"json": schema})


def reason(rejection: Rejection | None) -> str | None:
    return rejection.reason if rejection else None


# ------------------------------------------------------------------------------------- pairs


def test_a_call_and_its_result_are_a_pair() -> None:
    call = rounds(user("a"), assistant("", [use("t1")]), current=user("", [result("t1")]))

    assert checks_tools.pairs(call) is None


def test_parallel_calls_are_answered_together() -> None:
    call = rounds(
        user("a"),
        assistant("", [use("t1"), use("t2")]),
        current=user("", [result("t2"), result("t1")]),
    )

    assert checks_tools.pairs(call) is None


@pytest.mark.parametrize(
    "call",
    [
        rounds(user("a"), assistant("", [use("t1")]), current=user("go on")),
        rounds(user("a"), assistant("", [use("t1"), use("t2")]), current=user("", [result("t1")])),
        rounds(user("a"), assistant("x"), current=user("", [result("t1")])),
        rounds(current=user("", [result("t1")])),
        rounds(
            user("a"),
            assistant("", [use("t1")]),
            user("b"),
            assistant("x"),
            current=user("", [result("t1")]),
        ),
        rounds(
            user("a"),
            assistant("", [use("t1")]),
            current=user("", [result("t1"), result("t1")]),
        ),
        rounds(
            user("a"),
            assistant("", [use("t1"), use("t1")]),
            current=user("", [result("t1")]),
        ),
        rounds(
            user("a"),
            assistant("", [use("t1")]),
            user("", [result("t1")]),
            assistant("", [use("t1")]),
            current=user("", [result("t1")]),
        ),
    ],
    ids=[
        "call without result",
        "one of two answered",
        "result without call",
        "result at the start",
        "result too late",
        "result twice",
        "id twice in one answer",
        "id used again",
    ],
)
def test_broken_pairs_are_refused(call: Call) -> None:
    assert reason(checks_tools.pairs(call)) == "TOOL_USE_RESULT_MISMATCH"


# --------------------------------------------------------------------------- ids, names, words


@pytest.mark.parametrize("tool_use_id", ["tooluse_a1", "a.b:c-d_e", "x" * 64])
def test_usual_ids_pass(tool_use_id: str) -> None:
    assert checks_tools.ids(rounds(current=user("", [result(tool_use_id)]))) is None


@pytest.mark.parametrize("tool_use_id", ["", "x" * 65, "a b", "a|b", "é"])
def test_odd_ids_are_refused(tool_use_id: str) -> None:
    call = rounds(user("a"), assistant("", [use(tool_use_id)]), current=user("b"))

    assert reason(checks_tools.ids(call)) == "REQUEST_BODY_INVALID"


@pytest.mark.parametrize("name", ["a", "Read-File_2", "x" * 64])
def test_usual_names_pass(name: str) -> None:
    assert checks_tools.names(call_of(body(tools=[tool(name)]))) is None


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a.b", "1a", "-a", "é"])
def test_odd_names_are_refused(name: str) -> None:
    call = call_of(body(tools=[tool(name)]))

    assert reason(checks_tools.names(call)) == "REQUEST_BODY_INVALID"


def test_an_odd_name_in_the_history_is_refused_too() -> None:
    call = rounds(user("a"), assistant("", [use("t1", "a.b")]), current=user("", [result("t1")]))

    assert reason(checks_tools.names(call)) == "REQUEST_BODY_INVALID"


def test_names_that_differ_in_case_only_are_duplicates() -> None:
    call = call_of(body(tools=[tool("read"), tool("Read")]))

    assert reason(checks_tools.names(call)) == "TOOL_DUPLICATE"


@pytest.mark.parametrize("description", ["", "  "])
def test_an_empty_description_is_refused(description: str) -> None:
    assert checks_tools.descriptions(one_tool(description=description)) is not None


def test_a_description_passes() -> None:
    assert checks_tools.descriptions(one_tool()) is None


@pytest.mark.parametrize(("length", "status"), [(10_240, None), (10_241, 500)])
def test_the_old_limit_of_descriptions_is_exact(length: int, status: int | None) -> None:
    rejection = checks_tools.long_descriptions(one_tool(description="x" * length))

    assert (rejection.status if rejection else None) == status


# ---------------------------------------------------------------------------------- declared


def test_a_history_without_tools_needs_none() -> None:
    assert checks_tools.declared(call_of(body())) is None


def test_a_history_with_tools_needs_them_declared() -> None:
    call = rounds(user("a"), assistant("", [use("t1")]), current=user("", [result("t1")]), tools=[])

    assert reason(checks_tools.declared(call)) == "TOOL_CONFIG_MISSING"


def test_every_name_of_the_history_is_declared() -> None:
    call = rounds(user("a"), assistant("", [use("t1", "cat")]), current=user("", [result("t1")]))
    rejection = checks_tools.declared(call)

    assert rejection is not None
    assert "cat" in rejection.message


def test_declared_names_pass() -> None:
    call = rounds(user("a"), assistant("", [use("t1", "ls")]), current=user("", [result("t1")]))

    assert checks_tools.declared(call) is None


# ------------------------------------------------------------------------------ types, unions


@pytest.mark.parametrize("given", ["{}", [], None, {"": 1}, {"a": [{"": 1}]}])
def test_input_that_is_no_good_object_is_refused(given: object) -> None:
    call = rounds(user("a"), assistant("", [{**use("t1"), "input": given}]), current=user("b"))
    rejection = checks_tools.types(call)

    assert rejection is not None
    assert rejection.message == "Invalid tool use format."


@pytest.mark.parametrize("schema", ['{"type":"object"}', [], None])
def test_a_schema_that_is_no_object_is_refused(schema: object) -> None:
    assert checks_tools.types(with_schema(schema)) is not None


def test_a_result_without_blocks_is_refused() -> None:
    call = rounds(current=user("", [{**result("t1"), "content": []}]))

    assert checks_tools.types(call) is not None


@pytest.mark.parametrize(
    ("block", "passes"),
    [
        ({"text": "a"}, True),
        ({"json": {"a": 1}}, True),
        ({"image": {}}, True),
        ({"text": "a", "json": {}}, False),
        ({"document": {}}, False),
        ({}, False),
    ],
)
def test_a_result_block_is_exactly_one_thing(block: Json, passes: bool) -> None:
    call = rounds(current=user("", [{**result("t1"), "content": [block]}]))

    assert (checks_tools.unions(call) is None) is passes


def test_a_cache_point_among_the_tools_is_refused() -> None:
    call = call_of(body(tools=[tool(), {"cachePoint": {"type": "default"}}]))

    assert checks_tools.unions(call) is not None


# ----------------------------------------------------------------------------------- schemas


GOOD_SCHEMAS: list[Json] = [
    {"type": "object"},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"a.b-c_1": {"type": "string"}}, "required": ["a.b-c_1"]},
    {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {}}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/x~1y"}}, "$defs": {"x/y": {}}},
    {"type": "object", "properties": {"a": True}, "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "string"}},
]


@pytest.mark.parametrize("schema", GOOD_SCHEMAS)
def test_good_schemas_pass(schema: Json) -> None:
    assert checks_tools.schemas(with_schema(schema)) is None


BAD_SCHEMAS: dict[str, Json] = {
    "no type": {"properties": {}},
    "root array": {"type": "array"},
    "root anyOf": {"type": "object", "anyOf": [{"type": "object"}]},
    "root $ref": {"type": "object", "$ref": "#/$defs/x", "$defs": {"x": {}}},
    "required null": {"type": "object", "required": None},
    "required empty": {"type": "object", "required": []},
    "required of numbers": {"type": "object", "required": [1]},
    "properties null": {"type": "object", "properties": None},
    "odd name": {"type": "object", "properties": {"a b": {}}},
    "empty name": {"type": "object", "properties": {"": {}}},
    "long name": {"type": "object", "properties": {"x" * 65: {}}},
    "dangling $ref": {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}},
    "remote $ref": {"type": "object", "properties": {"a": {"$ref": "http://a/b"}}},
    "nested required empty": {
        "type": "object",
        "properties": {"a": {"type": "object", "required": []}},
    },
    "nested in items": {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"required": None}}},
    },
    "nested in anyOf": {
        "type": "object",
        "properties": {"a": {"anyOf": [{"properties": {"?": {}}}]}},
    },
    "no schema": {"type": "object", "properties": {"a": "string"}},
}


@pytest.mark.parametrize("case", BAD_SCHEMAS)
def test_bad_schemas_are_refused(case: str) -> None:
    assert reason(checks_tools.schemas(with_schema(BAD_SCHEMAS[case]))) == "TOOL_SCHEMA_INVALID"


@pytest.mark.parametrize("keyword", ["$schema", "additionalProperties"])
def test_some_keywords_are_unwelcome_to_the_older_service(keyword: str) -> None:
    call = with_schema({"type": "object", keyword: False})

    assert reason(checks_tools.schema_keywords(call)) == "TOOL_SCHEMA_INVALID"


def test_plain_schemas_are_welcome_to_the_older_service() -> None:
    assert checks_tools.schema_keywords(with_schema({"type": "object"})) is None
