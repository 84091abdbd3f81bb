"""What clients send and upstreams refuse, mended on the way: roles, pairs, tools, schemas, names.

Cases 2 to 6 and 22 of the field. The emulator is strict: what it got, it would have refused.
"""

import re
from typing import Any

import pytest

from tests.support.gateway import RunningGateway, anthropic_body, chat_body
from tests.support.talk import WAYS, WHOLE, Way, name_of, sent

LONG = "mcp__a_server_with_a_rather_long_name__a_tool_whose_name_is_also_quite_long_and_ends_in_"


def tool(way: Way, name: str = "ls", schema: Any = None, description: str = "List.") -> Any:
    schema = {"type": "object", "properties": {}} if schema is None else schema
    if way.dialect == "anthropic":
        return {"name": name, "description": description, "input_schema": schema}
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def calls(way: Way, *calls: tuple[str, str]) -> dict[str, Any]:
    """Return an assistant's message with calls: id and name of each."""
    if way.dialect == "anthropic":
        uses = [{"type": "tool_use", "id": i, "name": n, "input": {"at": i}} for i, n in calls]
        return {"role": "assistant", "content": uses}
    made = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": f'{{"at":"{i}"}}'}}
        for i, n in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def results(way: Way, *results: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the messages that bring results: id and text of each."""
    if way.dialect == "anthropic":
        blocks = [{"type": "tool_result", "tool_use_id": i, "content": t} for i, t in results]
        return [{"role": "user", "content": blocks}]
    return [{"role": "tool", "tool_call_id": i, "content": t} for i, t in results]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


# ------------------------------------------------------------------------------- roles (case 2)


@pytest.mark.parametrize("role", ["system", "developer", "critic", "", 7, None])
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_no_role_is_refused(gateway: RunningGateway, way: Way, role: Any) -> None:
    way.hear(gateway, messages=[user("one"), {"role": role, "content": "said"}, user("two")])

    assert "said" in "\n".join(sent(gateway).contents)


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_an_unknown_role_becomes_text_of_the_user_that_names_it(
    gateway: RunningGateway, way: Way
) -> None:
    way.hear(gateway, messages=[user("one"), {"role": "critic", "content": "weak"}])

    assert sent(gateway).roles == ["user"]
    assert re.search(r"critic.*\n+weak", sent(gateway).contents[0])


def test_a_system_message_among_the_others_is_counted_too(gateway: RunningGateway) -> None:
    def count(*messages: dict[str, Any]) -> int:
        body = anthropic_body(messages=list(messages))
        answer = gateway.post("/v1/messages/count_tokens", body)
        assert answer.status == 200, answer.body
        return int(answer.json["input_tokens"])

    rule = {"role": "system", "content": "Answer in French, always, whatever happens."}

    assert count(user("one"), rule, user("two")) >= count(user("one"), user("two")) + 6


# ------------------------------------------------------------------------------- pairs (case 3)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_result_whose_call_was_cut_away_becomes_text(gateway: RunningGateway, way: Way) -> None:
    way.hear(gateway, messages=[*results(way, ("gone", "42 files")), user("So?")])

    assert sent(gateway).results() == []
    assert "42 files" in sent(gateway).contents[0]
    assert sent(gateway).contents[0].endswith("So?")


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_call_without_a_result_gets_one_that_says_so(gateway: RunningGateway, way: Way) -> None:
    way.hear(gateway, messages=[user("Go."), calls(way, ("t1", "ls")), user("Stop.")])

    [(id, status, text)] = sent(gateway).results()
    assert (id, status) == ("t1", "error")
    assert "interrupted" in text
    assert sent(gateway).contents[-1] == "Stop."


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_parallel_results_stand_in_one_turn_in_the_order_of_the_calls(
    gateway: RunningGateway, way: Way
) -> None:
    answers = [*results(way, ("t2", "second")), *results(way, ("t1", "first"))]
    way.hear(gateway, messages=[user("Go."), calls(way, ("t1", "ls"), ("t2", "ls")), *answers])

    assert sent(gateway).roles == ["user", "assistant", "user"]
    assert sent(gateway).results() == [("t1", "success", "first"), ("t2", "success", "second")]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_late_result_goes_back_to_its_call(gateway: RunningGateway, way: Way) -> None:
    """A turn of text came between a call and its result."""
    said = {"role": "assistant", "content": "I wait."}
    talk = [user("Go."), calls(way, ("t1", "ls")), user("Well?"), said, *results(way, ("t1", "ok"))]
    way.hear(gateway, messages=talk)

    assert sent(gateway).results(2) == [("t1", "success", "ok")]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_the_same_id_twice_is_told_apart(gateway: RunningGateway, way: Way) -> None:
    again = [calls(way, ("t1", "ls")), *results(way, ("t1", "second"))]
    talk = [user("Go."), calls(way, ("t1", "ls")), *results(way, ("t1", "first")), *again]
    way.hear(gateway, messages=talk)

    [(first, _, one)], [(second, _, two)] = sent(gateway).results(2), sent(gateway).results(4)
    assert (one, two) == ("first", "second")
    assert first != second


@pytest.mark.parametrize("id", ["call:1/2", "fc_" + "x" * 80, "a b", "日本"])
@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_ids_that_the_upstream_refuses_are_replaced_on_both_sides(
    gateway: RunningGateway, way: Way, id: str
) -> None:
    way.hear(gateway, messages=[user("Go."), calls(way, (id, "ls")), *results(way, (id, "ok"))])

    [(used, _, _)], [(answered, _, text)] = sent(gateway).uses(1), sent(gateway).results()
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", used)
    assert (answered, text) == (used, "ok")


# ------------------------------------------------------------------- undeclared tools (case 4)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_tools_of_the_history_are_declared_upstream_and_nowhere_else(
    gateway: RunningGateway, way: Way
) -> None:
    talk = [user("Go."), calls(way, ("t1", "ls"), ("t2", "cat"))]
    told = way.hear(gateway, messages=[*talk, *results(way, ("t1", "a"), ("t2", "b"))])

    assert [declared["name"] for declared in sent(gateway).tools] == ["ls", "cat"]
    assert told.calls == []


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_tool_that_is_no_longer_declared_is_added_to_those_that_are(
    gateway: RunningGateway, way: Way
) -> None:
    talk = [user("Go."), calls(way, ("t1", "old")), *results(way, ("t1", "a"))]
    way.hear(gateway, messages=talk, tools=[tool(way, "new")])

    assert [declared["name"] for declared in sent(gateway).tools] == ["new", "old"]


# ----------------------------------------------------------- neighbours and emptiness (case 5)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize(
    "content",
    ["", " \n\t", [], [{"type": "text", "text": ""}], [{"type": "text", "text": "  "}], None],
    ids=["empty", "blank", "no-blocks", "empty-block", "blank-block", "null"],
)
def test_a_request_that_says_nothing_is_refused_and_not_sent(
    gateway: RunningGateway, way: Way, content: Any
) -> None:
    answer = way.ask(gateway, content)

    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert gateway.emulator.generations() == []


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize("content", ["", "  ", None, []], ids=["empty", "blank", "null", "none"])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_an_empty_turn_of_the_past_is_repaired(
    gateway: RunningGateway, way: Way, role: str, content: Any
) -> None:
    talk = [user("one"), {"role": "assistant", "content": "two"}, user("three")]
    talk.insert(1 if role == "assistant" else 2, {"role": role, "content": content})
    way.hear(gateway, messages=talk)

    assert sent(gateway).contents == ["one", "two", "three"]


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_history_that_opens_with_the_assistant_gets_a_neutral_turn_before_it(
    gateway: RunningGateway, way: Way
) -> None:
    way.hear(gateway, messages=[{"role": "assistant", "content": "Welcome!"}, user("Hi")])

    assert sent(gateway).roles == ["user", "assistant", "user"]
    opening, *rest = sent(gateway).contents
    assert rest == ["Welcome!", "Hi"]
    assert 0 < len(opening) < 100


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_prefill_becomes_history(gateway: RunningGateway, way: Way) -> None:
    way.hear(gateway, messages=[user("Say a."), {"role": "assistant", "content": "The letter"}])

    assert sent(gateway).roles == ["user", "assistant", "user"]
    assert sent(gateway).contents[:2] == ["Say a.", "The letter"]


# ----------------------------------------------------------------------------- schemas (case 6)

SCHEMAS: dict[str, Any] = {
    "reference": {
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/place"}},
        "$defs": {"place": {"type": "object", "properties": {"x": {"type": "number"}}}},
    },
    "reference to itself": {
        "type": "object",
        "properties": {"next": {"$ref": "#"}},
        "additionalProperties": False,
    },
    "reference to nowhere": {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
    "reference at the root": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
    "anyOf at the root": {
        "anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    "oneOf at the root": {"oneOf": [{"properties": {"a": {"type": "string"}}}]},
    "allOf at the root": {
        "allOf": [{"properties": {"a": {"type": "string"}}}, {"required": ["a"]}]
    },
    "const at the root": {"const": {"a": 1}},
    "required null": {"type": "object", "properties": {"a": {"type": "string"}}, "required": None},
    "required empty": {"type": "object", "properties": {}, "required": []},
    "properties null": {"type": "object", "properties": None},
    "no type": {"properties": {"a": {"type": "string"}}},
    "no root object": {"type": "string"},
    "nothing": {},
    "array without items": {"type": "object", "properties": {"a": {"type": "array"}}},
    "odd property names": {
        "type": "object",
        "properties": {"my path": {"type": "string"}, "日本": {"type": "string"}, "x" * 90: {}},
        "required": ["my path"],
    },
    "words of a newer draft": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": ["object", "null"],
        "properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}},
        "additionalProperties": {"type": "string"},
        "$comment": "generated",
    },
    "nested null": {"type": "object", "properties": {"a": {"type": "object", "required": None}}},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_schemas_that_the_upstream_refuses_are_mended(
    gateway: RunningGateway, way: Way, schema: Any
) -> None:
    way.hear(gateway, tools=[tool(way, schema=schema)])

    [declared] = sent(gateway).tools
    assert declared["inputSchema"]["json"]["type"] == "object"
    assert "$ref" not in str(declared)


@pytest.mark.parametrize("description", ["", "  ", None], ids=["empty", "blank", "null"])
@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_tool_without_a_description_is_described_by_its_name(
    gateway: RunningGateway, way: Way, description: Any
) -> None:
    way.hear(gateway, tools=[tool(way, "list_files", description=description)])

    assert [declared["description"] for declared in sent(gateway).tools] == ["list_files"]


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_the_client_gets_the_property_names_back_that_it_declared(
    gateway: RunningGateway, way: Way
) -> None:
    schema = {"type": "object", "properties": {"my path": {"type": "string"}}}
    way.hear(gateway, "Hello", tools=[tool(way, "open", schema)])
    [upstream] = sent(gateway).tools[0]["inputSchema"]["json"]["properties"]
    assert upstream != "my path"

    directive = f'[[CALL open {{"{upstream}":"a.txt"}}]]'
    [call] = way.hear(gateway, directive, tools=[tool(way, "open", schema)]).calls

    assert call.input == {"my path": "a.txt"}


# ----------------------------------------------------------------------- long names (case 22)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize(
    "name",
    [LONG + "one", "a name with spaces", "工具", "1st"],
    ids=["long", "spaces", "chinese", "digit"],
)
def test_a_name_that_the_upstream_refuses_comes_back_as_the_client_wrote_it(
    gateway: RunningGateway, way: Way, name: str
) -> None:
    way.hear(gateway, tools=[tool(way, name)])
    [declared] = sent(gateway).tools
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", declared["name"])

    directive = f'[[CALL {declared["name"]} {{"a":1}}]]'
    told = way.hear(gateway, directive, tools=[tool(way, name)])

    assert [(call.name, call.input) for call in told.calls] == [(name, {"a": 1})]


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_long_name_is_the_same_in_tools_history_and_choice(
    gateway: RunningGateway, way: Way
) -> None:
    name = LONG + "one"
    choice: Any = {"type": "tool", "name": name}
    if way.dialect == "chat":
        choice = {"type": "function", "function": {"name": name}}
    talk = [user("Go."), calls(way, ("t1", name)), *results(way, ("t1", "ok")), user("Again.")]
    way.hear(gateway, messages=talk, tools=[tool(way, name)], tool_choice=choice)

    [declared] = sent(gateway).tools
    assert [used for _, used, _ in sent(gateway).uses(1)] == [declared["name"]]
    assert f"must call the tool {declared['name']}" in sent(gateway).contents[0]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_long_names_that_differ_at_their_end_stay_apart(gateway: RunningGateway, way: Way) -> None:
    names = [LONG + "one", LONG + "two", (LONG + "one").upper()]
    way.hear(gateway, tools=[tool(way, name) for name in names])
    first = [declared["name"] for declared in sent(gateway).tools]
    way.hear(gateway, "Other", tools=[tool(way, name) for name in reversed(names)])
    second = [declared["name"] for declared in sent(gateway).tools]

    assert len({name.casefold() for name in first}) == 3
    assert second == first[::-1]


def test_names_that_differ_in_case_only_stay_apart(gateway: RunningGateway) -> None:
    way = WHOLE[0]
    told = way.hear(gateway, tools=[tool(way, "Read"), tool(way, "read")])
    assert told.calls == []

    names = [declared["name"] for declared in sent(gateway).tools]
    assert len({name.casefold() for name in names}) == 2


def test_a_description_beyond_the_limit_goes_on_in_the_system_text(
    gateway: RunningGateway,
) -> None:
    words = " ".join(f"word{n}" for n in range(2000))
    way = WHOLE[0]
    way.hear(gateway, tools=[tool(way, "ls", description=words)])

    [declared] = sent(gateway).tools
    [content] = sent(gateway).contents
    assert len(declared["description"]) == 10_000
    assert words[10_000:] in content


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_what_has_no_meaning_is_refused_with_its_place(gateway: RunningGateway, path: str) -> None:
    body = anthropic_body() if path == "/v1/messages" else chat_body()
    answer = gateway.post(path, body | {"messages": "no list"})

    assert answer.status == 400
    assert "messages" in str(answer.json["error"])
