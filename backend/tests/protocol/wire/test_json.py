"""Tests of the JSON door: what it forgives, what it refuses, and how."""

import json as stdlib_json
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import RequestError
from kiro2api.protocol.wire import json

HALF = "\N{REPLACEMENT CHARACTER}"
FACE = "\N{GRINNING FACE}"


class Sample(msgspec.Struct):
    """A record to decode into."""

    count: int
    names: list[str] = []


def refused(data: bytes | str, type: Any = None) -> RequestError:
    with pytest.raises(RequestError) as error:
        json.decode(data, type)
    assert error.value.status == 400
    return error.value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":[1,2.5,"x",null,true]}',
        '{"a":[1,2.5,"x",null,true]}',
        b' {"a":[1,2.5,"x",null,true]}\n',
    ],
)
def test_json_is_decoded_from_bytes_and_text(data: bytes | str) -> None:
    assert json.decode(data) == {"a": [1, 2.5, "x", None, True]}


def test_unopened_json_is_decoded_too() -> None:
    assert json.decode(msgspec.Raw(b'{"a":1}')) == {"a": 1}


def test_json_is_decoded_into_a_type() -> None:
    assert json.decode(b'{"count":1,"names":["a"],"more":0}', Sample) == Sample(1, ["a"])


def test_numbers_of_any_size_are_kept() -> None:
    assert json.decode(b"99999999999999999999") == 99999999999999999999


def test_values_are_written_compactly() -> None:
    value = {"a": (1, "é"), "b": msgspec.Raw(b'{"c":2}'), "s": Sample(1)}

    assert json.encode(value) == '{"a":[1,"é"],"b":{"c":2},"s":{"count":1,"names":[]}}'.encode()


def test_decoded_json_can_be_carried_unopened_again() -> None:
    assert bytes(json.raw({"a": [1, 2.0]})) == b'{"a":[1,2.0]}'


def test_a_value_too_deep_to_be_written_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]

    with pytest.raises(RequestError, match="nested too deeply") as error:
        json.raw(value)
    assert error.value.code == "json_too_deep"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"nonsense",
        b"{",
        b'{"a":1,}',
        b'{"a" 1}',
        b"[1] 2",
        b"NaN",
        b"'a'",
        b'"a\x00b"',
        b'"\\x"',
        b'"\\u12"',
        b'"\\ud83',
        b'{"a":"\\ud83d"',
        b'"\xff"',
        b"\xff",
        b'"\\ud83d \xff"',
        b'"\xed\xa0\xbd \xff"',
        b'"\\ud83d \x00\x00n"',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_is_refused_as_such(data: bytes) -> None:
    error = refused(data)

    assert error.code == "invalid_json"
    assert error.message.startswith("The body is not valid JSON")


@pytest.mark.parametrize("data", [b"1e999", b"9" * 5_000])
def test_a_number_that_does_not_fit_is_refused(data: bytes) -> None:
    assert "out of range" in refused(data).message


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"[]", ""),
        (b"{}", ""),
        (b'{"count":"x"}', "count"),
        (b'{"count":1,"names":["a",5]}', "names[1]"),
        (b'{"count":"\\ud83d"}', "count"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_path(data: bytes, path: str) -> None:
    error = refused(data, Sample)

    assert (error.path, error.code) == (path, "")
    assert "`" in error.message


# Half of an emoji, as clients send it that cut text by UTF-16 units.
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rb'"\ud83d"', HALF),
        (rb'"\udc00"', HALF),
        (rb'"a\uD83Db"', f"a{HALF}b"),
        (rb'"\ud83d\u0041"', f"{HALF}A"),
        (rb'"\ud83d\ud83d\ude00"', HALF + FACE),
        (rb'"\ude00\ud83d\ude00\ud83d"', HALF + FACE + HALF),
        (rb'"\n\ud83d\t"', f"\n{HALF}\t"),
        (rb'"\\\ud83d"', f"\\{HALF}"),
        (rb'"\\ud83d \ud83d"', rf"\ud83d {HALF}"),
        (rb'"\\\\ud83d \ud83d"', rf"\\ud83d {HALF}"),
        (b'"\xed\xa0\xbd"', HALF),
        (b'"\xed\xb8\x80 \xed\xa0\xbd"', f"{HALF} {HALF}"),
        (b'"\xed\xa0\xbd\xed\xb8\x80"', FACE),
        (b'"\xed\x9f\xbf \xed\xa0\xbd"', f"\ud7ff {HALF}"),
    ],
)
def test_a_lone_surrogate_is_replaced(data: bytes, text: str) -> None:
    assert json.decode(data) == text


@pytest.mark.parametrize(
    "data", [rb'"\\ud83d"', rb'"\ud83d\ude00"', rb'"\\\\ud83d"', rb'"\u00e9"', b'"plain"']
)
def test_text_without_a_lone_surrogate_is_left_alone(data: bytes) -> None:
    assert json.repair_surrogates(data) is None
    assert json.decode(data) == stdlib_json.loads(data)


def test_a_lone_surrogate_is_replaced_in_names_and_in_python_text() -> None:
    assert json.decode(rb'{"\ud83d":1}') == {HALF: 1}
    assert json.decode('"\ud83d"') == HALF
    assert json.repair_surrogates('"\ud83d"') == f'"{HALF}"'.encode()


def test_many_lone_surrogates_are_replaced_without_holding_up_others() -> None:
    data = b'"' + rb"\ud83d" * 500_000 + b'"'

    started = process_time()
    text = json.decode(data)

    assert text == HALF * 500_000
    assert process_time() - started < 0.5


def test_a_lone_surrogate_is_replaced_before_a_typed_decode() -> None:
    assert json.decode(rb'{"count":1,"names":["\ud83d"]}', Sample) == Sample(1, [HALF])


def test_unopened_json_is_repaired_when_it_is_opened() -> None:
    body = json.decode(rb'{"a":"\ud83d"}', dict[str, msgspec.Raw])

    assert json.decode(body["a"]) == HALF


@pytest.mark.parametrize("start", [b"", b'["\\ud83d",'])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("type", [None, msgspec.Raw])
def test_json_nested_a_hundred_thousand_times_is_refused_at_once(
    start: bytes, opening: bytes, type: Any
) -> None:
    took_s = []
    for _ in range(3):
        started = process_time()
        error = refused(start + opening * 100_000, type)
        took_s.append(process_time() - started)

    assert error.code == "json_too_deep"
    assert min(took_s) < 0.05


@pytest.mark.parametrize(
    ("value", "type", "converted"),
    [(100.0, int, 100), ("5", int, 5), (1, float, 1.0), (["a"], tuple[str, ...], ("a",))],
)
def test_what_clients_mean_passes_for_what_they_say(
    value: object, type: Any, converted: object
) -> None:
    assert json.convert(value, type) == converted


@pytest.mark.parametrize(
    ("value", "type", "path"),
    [
        (100.5, int, "max_tokens"),
        ([1, {}], list[int], "max_tokens[1]"),
        ({"count": {}}, Sample, "max_tokens.count"),
    ],
)
def test_what_does_not_fit_is_refused_below_the_path(value: object, type: Any, path: str) -> None:
    with pytest.raises(RequestError) as error:
        json.convert(value, type, path="max_tokens")

    assert error.value.path == path


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_is_written_is_read_again(value: object) -> None:
    assert json.decode(json.encode(value)) == value


@given(st.text(st.characters(), max_size=30))
def test_any_text_with_halves_is_read_with_the_rest_intact(text: str) -> None:
    escaped = stdlib_json.dumps(text)
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    read = json.decode(escaped)

    assert [c for c in read if c != HALF] == [c for c in joined if c != HALF]


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_a_refusal(data: bytes) -> None:
    try:
        json.decode(data)
    except RequestError as error:
        assert error.status == 400  # noqa: PT017 - nothing else may be raised, whatever the bytes
