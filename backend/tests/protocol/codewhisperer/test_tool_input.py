"""Tests of the input of earlier tool calls."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from kiro2api.protocol.chat.request import Role, Text, ToolUse, Turn
from kiro2api.protocol.codewhisperer.tool_input import settle_inputs, tidy

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' {"a" : [1, null, "x\\n"]} ',
        '{"a":"你好","b":{"c":-0.0}}',
        '{"n":123456789012345678901}',
    ],
)
def test_sound_input_is_the_same_object(text: str) -> None:
    raw = Raw(text.encode())

    assert tidy(raw) is raw


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ('{"a":null,"b":{"c":null,"d":[null]}}', {"b": {"d": [None]}}),
        ('{"":1}', {"_": 1}),
        ('{"":1,"_":2,"__":3}', {"_": 1, "__": 2, "___": 3}),
        ('{"a":[{"":1}]}', {"a": [{"_": 1}]}),
        ('{"a":"x\\u0000y","b\\u0007":["\\u001b[1m"]}', {"a": "xy", "b": ["[1m"]}),
        ('{"a":"\\u007f"}', {"a": ""}),
        ('{"a":"half \\ud83d"}', {"a": "half \ufffd"}),
        ('{"a":"whole \\ud83d\\ude00"}', {"a": "whole 😀"}),
    ],
)
def test_what_the_upstream_refuses_is_repaired(text: str, tidied: object) -> None:
    found = tidy(Raw(text.encode()))

    assert found is not None
    assert json.loads(bytes(found)) == tidied


def test_halves_of_pairs_as_raw_bytes_are_repaired() -> None:
    found = tidy(Raw(b'{"a":"\xed\xa0\x80"}'))

    assert found is not None
    assert json.loads(bytes(found)) == {"a": "\ufffd"}


@pytest.mark.parametrize(
    "data",
    [b"[1]", b'"x"', b"1", b"true", b"{broken", b'{"a":1} x', b'{"a":1e999}', b'{"a":"\xff"}'],
)
def test_what_is_no_object_is_nothing(data: bytes) -> None:
    assert tidy(Raw(data)) is None


@pytest.mark.parametrize("levels", [700, 5000])
def test_input_nested_without_end_breaks_nothing(levels: int) -> None:
    deep = b'{"a":' * levels + b"null" + b"}" * levels

    assert tidy(Raw(deep)) is None or levels == 700


@given(st.dictionaries(st.text(max_size=3), json_values))
def test_any_object_loses_its_nulls_and_nothing_else(value: dict[str, object]) -> None:
    found = tidy(Raw(json.dumps(value).encode()))

    assert found is not None
    assert _count(json.loads(bytes(found))) == _count(value)


def _count(value: object) -> int:
    if isinstance(value, dict):
        return sum(1 + _count(child) for child in value.values() if child is not None)
    return sum(1 + _count(child) for child in value) if isinstance(value, list) else 0


def test_a_call_whose_input_is_no_object_becomes_text_and_the_others_stay() -> None:
    good, bad = ToolUse("1", "Read", Raw(b'{"a":1}')), ToolUse("2", "Write", Raw(b"[1]"))
    untouched = Turn(Role.USER, (Text("hi"),))
    settled = settle_inputs((untouched, Turn(Role.ASSISTANT, (Text("x"), good, bad))))

    assert settled[0] is untouched
    assert settled[1].blocks[1] is good
    assert isinstance(settled[1].blocks[2], Text)
    assert "Write" in settled[1].blocks[2].text
    assert "[1]" in settled[1].blocks[2].text


def test_a_repaired_input_keeps_its_call() -> None:
    settled = settle_inputs((Turn(Role.ASSISTANT, (ToolUse("1", "Read", Raw(b"")),)),))

    (use,) = settled[0].blocks
    assert isinstance(use, ToolUse)
    assert (use.id, use.name, bytes(use.input)) == ("1", "Read", b"{}")
