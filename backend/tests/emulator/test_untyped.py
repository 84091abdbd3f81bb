"""Looking into JSON of unknown shape."""

import pytest

from kiro2api.emulator.untyped import items, members, parse, text


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_has_no_members(value: object) -> None:
    assert members(value) == {}


@pytest.mark.parametrize("value", [None, {}, "x", 1, True])
def test_what_is_no_array_has_no_items(value: object) -> None:
    assert items(value) == []


@pytest.mark.parametrize("value", [None, {}, [], 1, True])
def test_what_is_no_string_has_no_text(value: object) -> None:
    assert text(value) == ""


def test_values_of_the_right_type_pass_through() -> None:
    assert (members({"a": 1}), items([1]), text("x")) == ({"a": 1}, [1], "x")


def test_what_is_no_json_is_nothing() -> None:
    assert parse(b"{") is None


def test_json_is_parsed() -> None:
    assert parse('{"a": [1]}') == {"a": [1]}
