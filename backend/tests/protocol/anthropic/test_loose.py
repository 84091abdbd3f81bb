"""Opening unopened JSON."""

import sys
from typing import Any

import msgspec
import pytest

from kiro2api.errors import RequestError
from kiro2api.protocol.anthropic import loose
from kiro2api.protocol.anthropic.schema import Tool

Raw = msgspec.Raw


@pytest.mark.parametrize(("text", "absent"), [(b"", True), (b"null", True), (b"[]", False)])
def test_null_is_as_good_as_absent(text: bytes, absent: bool) -> None:
    assert loose.is_absent(Raw(text)) is absent


def test_the_entries_of_a_list_stay_unopened() -> None:
    assert [bytes(raw) for raw in loose.items(Raw(b'[1,{"a":[]},"x"]'), "p")] == [
        b"1",
        b'{"a":[]}',
        b'"x"',
    ]


@pytest.mark.parametrize(("text", "count"), [(b"", 0), (b"null", 0), (b"[]", 0), (b'{"a":1}', 1)])
def test_no_list_is_an_empty_one_and_a_lone_object_a_list_of_one(text: bytes, count: int) -> None:
    assert len(loose.items(Raw(text), "p")) == count


@pytest.mark.parametrize("text", [b"7", b'"x"', b"true"])
def test_anything_else_is_no_list(text: bytes) -> None:
    with pytest.raises(RequestError) as raised:
        loose.items(Raw(text), "tools")

    assert raised.value.path == "tools"


def test_an_object_opens_as_the_wanted_type() -> None:
    assert loose.opened(Raw(b'{"name":"n","new":[1]}'), Tool, "p").name == "n"


def test_what_is_no_object_does_not_open() -> None:
    with pytest.raises(RequestError) as raised:
        loose.opened(Raw(b"[]"), Tool, "tools.3")

    assert raised.value.path == "tools.3"


@pytest.mark.parametrize("value", [None, 7, True, ["a"], {"a": 1}])
def test_what_is_no_word_is_no_word(value: Any) -> None:  # any JSON
    assert loose.word(value) == ""


def test_what_is_carried_does_not_pin_the_body() -> None:
    body = msgspec.json.encode({"input_schema": {"type": "object"}})
    before = sys.getrefcount(body)

    copy = loose.carried(msgspec.json.decode(body, type=Tool).input_schema)

    assert bytes(copy) == b'{"type":"object"}'
    assert sys.getrefcount(body) == before


def test_half_a_raw_surrogate_pair_is_repaired_when_carried() -> None:
    assert bytes(loose.carried(Raw(b'{"a":"\xed\xa0\xbd"}'))) == '{"a":"�"}'.encode()


def test_bytes_that_are_no_text_are_not_carried() -> None:
    with pytest.raises(RequestError) as raised:
        loose.carried(Raw(b'{"a":"\xff"}'))

    assert raised.value.code == "invalid_json"


def test_a_repair_that_does_not_help_is_no_text_either() -> None:
    with pytest.raises(RequestError):
        loose.carried(Raw(rb'{"a":"\ud83d' + b'\xff"}'))


def test_json_is_spelled_as_it_came() -> None:
    assert loose.spelled(Raw('{"a":"é"}'.encode())) == '{"a":"é"}'
