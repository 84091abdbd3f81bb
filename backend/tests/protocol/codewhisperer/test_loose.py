"""Loose JSON: what is not as expected is absent, never an error."""

import math

import pytest

from kiro2api.protocol.codewhisperer.loose import (
    as_number,
    as_object,
    as_objects,
    as_text,
    read_object,
)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"text"', b"{"])
def test_what_is_no_object_is_none(body: bytes) -> None:
    assert read_object(body) is None


def test_an_object_is_read() -> None:
    assert read_object(b'{"a":1}') == {"a": 1}


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_a_member_that_is_no_object_is_an_empty_one(value: object) -> None:
    assert as_object(value) == {}


def test_of_a_list_only_the_objects_count() -> None:
    assert as_objects([{"a": 1}, None, "text", {}]) == [{"a": 1}, {}]


@pytest.mark.parametrize("value", [None, {}, "text", 5])
def test_a_member_that_is_no_list_has_no_objects(value: object) -> None:
    assert as_objects(value) == []


@pytest.mark.parametrize(("value", "text"), [(" a ", "a"), (None, ""), (5, ""), ({}, "")])
def test_a_member_that_is_no_text_is_an_empty_one(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(("value", "number"), [(0, 0.0), (12, 12.0), (0.5, 0.5), (1e14, 1e14)])
def test_a_count_is_a_number(value: object, number: float) -> None:
    assert as_number(value) == number


@pytest.mark.parametrize("value", [None, "5", True, -1, math.nan, math.inf, 10**30, [], {}])
def test_what_can_be_no_count_is_none(value: object) -> None:
    assert as_number(value) is None
