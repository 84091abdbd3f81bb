"""Tests of what the upstream is told of the tools."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec import Raw

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import ChatRequest, ChoiceMode, ToolChoice, ToolSpec
from kiro2api.protocol.codewhisperer.tools import NO_LONGER_OFFERED, Offer, offer

SCHEMA = Raw(b'{"type":"object","properties":{"path":{"type":"string"}}}')
AUTO = ToolChoice()
LONG = "mcp__" + "server_" * 10 + "_tool"


def spec(name: str, description: str = "Does it.", schema: Raw = SCHEMA) -> ToolSpec:
    return ToolSpec(name, description, schema)


def offered(
    *specs: ToolSpec,
    used: Iterable[str] = (),
    choice: ToolChoice = AUTO,
    limit: int = 10_000,
) -> Offer:
    request = ChatRequest("m", (), tools=specs, tool_choice=choice)
    return offer(request, used, max_description_length=limit)


def told(found: Offer) -> dict[str, str]:
    """Return the descriptions by the names that go up."""
    return {t.tool_specification.name: t.tool_specification.description for t in found.tools}


def schema_of(found: Offer, at: int) -> Any:
    return json.loads(bytes(found.tools[at].tool_specification.input_schema.json))


def test_tools_go_up_in_their_order_with_description_and_schema() -> None:
    found = offered(spec("Read", "Reads."), spec("Write", "Writes."))

    assert list(told(found).items()) == [("Read", "Reads."), ("Write", "Writes.")]
    assert schema_of(found, 0) == json.loads(bytes(SCHEMA))
    assert found.words == ()


def test_without_tools_there_is_nothing() -> None:
    found = offered()

    assert found.tools == ()
    assert found.words == ()


@pytest.mark.parametrize("description", ["", " \n", "\x00"])
def test_an_empty_description_is_the_name(description: str) -> None:
    assert told(offered(spec("Read", description))) == {"Read": "Read"}


def test_control_characters_leave_descriptions() -> None:
    assert told(offered(spec("Read", "a\x1bb"))) == {"Read": "ab"}


def test_a_long_description_is_cut_and_goes_on_in_the_system_text() -> None:
    found = offered(spec(LONG, "x" * 100 + "THE REST"), limit=100)
    (name,) = told(found)

    assert told(found) == {name: "x" * 100}
    assert found.words == (f"The description of the tool {name} goes on:\nTHE REST",)


def test_a_description_of_just_the_limit_is_whole() -> None:
    found = offered(spec("Read", "x" * 100), limit=100)

    assert told(found) == {"Read": "x" * 100}
    assert found.words == ()


def test_no_setting_lifts_the_limit_of_the_upstream() -> None:
    found = offered(spec("Read", "x" * 20_000), limit=1_000_000)

    assert len(told(found)["Read"]) == 10_240
    assert len(found.words[0]) > 20_000 - 10_240


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_moves_the_whole_description(limit: int) -> None:
    found = offered(spec("Read", "Reads."), limit=limit)

    assert told(found) == {"Read": "Read"}
    assert found.words[0].endswith("\nReads.")


# ----------------------------------------------------------------------------------- names


def test_the_very_same_tool_twice_counts_once() -> None:
    assert list(told(offered(spec("Read"), spec("Read")))) == ["Read"]


@pytest.mark.parametrize(
    "other", [spec("Read", "Other."), spec("Read", schema=Raw(b'{"type":"object"}'))]
)
def test_two_tools_of_one_name_are_refused_by_their_place(other: ToolSpec) -> None:
    with pytest.raises(RequestError) as caught:
        offered(spec("Write"), spec("Read"), other)

    assert caught.value.path == "tools[2].name"
    assert "Read" in caught.value.message


def test_a_schema_that_is_none_is_refused_by_its_place() -> None:
    with pytest.raises(RequestError) as caught:
        offered(spec("Read"), spec("Write", schema=Raw(b"[1]")))

    assert caught.value.path == "tools[1]"
    assert "Write" in caught.value.message


def test_odd_property_names_can_be_led_back() -> None:
    found = offered(spec(LONG, schema=Raw(b'{"properties":{"a b":{"type":"string"}}}')))
    (property,) = schema_of(found, 0)["properties"]

    assert found.names.input_to_client(LONG, json.dumps({property: 1})) == '{"a b":1}'


# ------------------------------------------------------------------------------- the history


def test_a_name_used_in_the_history_and_not_declared_gets_an_empty_specification() -> None:
    found = offered(spec("Read"), used=["Gone", "Read", "Away", "Gone"])

    assert told(found) == {"Read": "Does it.", "Gone": NO_LONGER_OFFERED, "Away": NO_LONGER_OFFERED}
    assert schema_of(found, 1) == {"type": "object", "properties": {}}
    assert found.words == ()


def test_a_history_with_tools_and_a_request_without_any_forbids_calls_in_words() -> None:
    found = offered(used=["Gone"])

    assert list(told(found)) == ["Gone"]
    assert found.words == ("Do not call any tool in this reply.",)


# --------------------------------------------------------------------------- the tool choice


def test_a_choice_of_none_sends_no_tools() -> None:
    found = offered(spec("Read"), choice=ToolChoice(ChoiceMode.NONE))

    assert found.tools == ()
    assert found.words == ()


def test_a_choice_of_none_declares_what_the_history_used_and_nothing_else() -> None:
    found = offered(
        spec("Read"), spec("Write"), used=["Write", "Gone"], choice=ToolChoice(ChoiceMode.NONE)
    )

    assert told(found) == {"Write": "Does it.", "Gone": NO_LONGER_OFFERED}
    assert found.words == ("Do not call any tool in this reply.",)


def test_a_choice_of_any_is_said_in_words() -> None:
    found = offered(spec("Read"), choice=ToolChoice(ChoiceMode.ANY))

    assert found.words == ("In this reply you must call at least one of the tools.",)


def test_a_choice_of_any_without_tools_is_nothing_to_say() -> None:
    assert offered(choice=ToolChoice(ChoiceMode.ANY, one_at_most=True)).words == ()


def test_a_choice_of_one_tool_names_it_as_the_upstream_knows_it() -> None:
    found = offered(spec("Read"), spec(LONG), choice=ToolChoice(ChoiceMode.TOOL, LONG))
    name = found.names.to_upstream(LONG)

    assert found.words == (f"In this reply you must call the tool {name}.",)


def test_a_choice_of_a_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        offered(spec("Read"), used=["Gone"], choice=ToolChoice(ChoiceMode.TOOL, "Gone"))

    assert caught.value.path == "tool_choice"


@pytest.mark.parametrize("mode", [ChoiceMode.AUTO, ChoiceMode.ANY])
def test_a_wish_for_one_call_at_most_is_said_in_words(mode: ChoiceMode) -> None:
    found = offered(spec("Read"), choice=ToolChoice(mode, one_at_most=True))

    assert found.words[-1] == "Call at most one tool in this reply."


def test_cut_descriptions_come_before_what_changes_from_turn_to_turn() -> None:
    found = offered(spec("Read", "abc"), choice=ToolChoice(ChoiceMode.ANY), limit=1)

    assert found.words[0].endswith("\nbc")
    assert found.words[1].startswith("In this reply")
