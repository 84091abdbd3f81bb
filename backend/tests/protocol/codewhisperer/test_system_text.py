"""Tests of the system text."""

import pytest
from msgspec import Raw

from kiro2api.protocol.chat.request import ChatRequest, FormatKind, ResponseFormat, Text
from kiro2api.protocol.codewhisperer.system_text import system_text

ANY_TEXT = ResponseFormat()


def request(*system: str, format: ResponseFormat = ANY_TEXT) -> ChatRequest:
    return ChatRequest("m", (), system=tuple(map(Text, system)), response_format=format)


def test_without_anything_to_say_it_is_empty() -> None:
    assert system_text(request("", " \n"), ()) == ""


def test_blocks_are_joined_by_a_line_break_and_cleaned() -> None:
    assert system_text(request("one", "", "two\x00"), ()) == "one\ntwo"


def test_words_about_tools_follow_after_a_blank_line() -> None:
    assert system_text(request("one"), ("two", "three")) == "one\n\ntwo\n\nthree"
    assert system_text(request(), ("two",)) == "two"


@pytest.mark.parametrize(
    "format",
    [
        ResponseFormat(FormatKind.JSON_OBJECT),
        ResponseFormat(FormatKind.JSON_SCHEMA, schema=Raw(b" ")),
    ],
)
def test_a_wish_for_json_is_said(format: ResponseFormat) -> None:
    assert system_text(request("s", format=format), ()).startswith(
        "s\n\nAnswer with one JSON object"
    )


def test_a_wish_for_a_schema_shows_it() -> None:
    format = ResponseFormat(FormatKind.JSON_SCHEMA, schema=Raw(b'{"type":"object"}'))

    assert system_text(request(format=format), ()).endswith('schema:\n{"type":"object"}')
