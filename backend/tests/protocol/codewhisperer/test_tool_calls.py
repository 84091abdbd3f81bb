"""Tool calls are held until they are whole, and never invented."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.codewhisperer.tool_calls import HeldCalls, ToolFragment, WholeCall


def fragment(
    call_id: str | None = "t1",
    name: str | None = "f",
    input: object = None,
    *,
    stop: object = None,
) -> ToolFragment:
    return ToolFragment(call_id, name, input, stop)


def run(*fragments: ToolFragment) -> tuple[HeldCalls, list[WholeCall]]:
    calls = HeldCalls()
    found = [calls.add(one) for one in fragments]
    return calls, [call for call in found if call is not None]


def test_a_call_is_whole_at_its_stop_and_not_before() -> None:
    calls = HeldCalls()

    assert calls.add(fragment()) is None
    assert calls.add(fragment(input='{"a":')) is None
    assert calls.has_open
    assert calls.add(fragment(input="1}", stop=True)) == WholeCall("t1", "f", '{"a":1}')
    assert not calls.has_open


def test_the_first_and_the_last_fragment_are_kept_to_the_byte() -> None:
    _, (call,) = run(fragment(input='  {"a" :'), fragment(input=" 1.0 } ", stop=True))

    assert call.json == '  {"a" : 1.0 } '


@pytest.mark.parametrize("nothing", [None, "", " \n"])
def test_a_call_without_arguments_has_an_empty_object(nothing: object) -> None:
    _, (call,) = run(fragment(input=nothing), fragment(stop=True))

    assert call.json == "{}"


def test_an_input_that_is_an_object_is_spelled_out() -> None:
    _, (call,) = run(fragment(input={"a": [1, "é"]}, stop=True))

    assert json.loads(call.json) == {"a": [1, "é"]}


def test_interleaved_calls_are_kept_apart() -> None:
    _, whole = run(
        fragment("t1", "f", '{"a"'),
        fragment("t2", "g", '{"b"'),
        fragment("t1", "f", ":1}"),
        fragment("t2", "g", ":2}", stop=True),
        fragment("t1", "f", stop=True),
    )

    assert whole == [WholeCall("t2", "g", '{"b":2}'), WholeCall("t1", "f", '{"a":1}')]


def test_later_fragments_may_lack_the_name() -> None:
    _, (call,) = run(fragment(), fragment(name=None, input="{}"), fragment(name="", stop=True))

    assert call.name == "f"


def test_the_name_may_come_after_the_first_fragment() -> None:
    _, (call,) = run(fragment(name=None, input="{"), fragment(input="}", stop=True))

    assert call == WholeCall("t1", "f", "{}")


@pytest.mark.parametrize("stop", ["true", "True", 1, False, None])
def test_only_a_true_boolean_stops_a_call(stop: object) -> None:
    calls, whole = run(fragment(input="{}", stop=stop))

    assert whole == []
    assert calls.has_open


@pytest.mark.parametrize(
    "text", ['{"a":', "[1]", '"text"', "5", "null", "{}{}", '{"a":1}}', "[" * 100_000]
)
def test_an_input_that_is_no_object_breaks_the_call(text: str) -> None:
    calls, whole = run(fragment(input=text, stop=True))

    assert whole == []
    assert calls.is_broken
    assert not calls.has_open


def test_a_change_of_name_breaks_the_call() -> None:
    calls, whole = run(fragment(input="{}"), fragment(name="other"), fragment(stop=True))

    assert whole == []
    assert calls.is_broken


def test_a_call_that_never_had_a_name_is_broken() -> None:
    calls, whole = run(fragment(name=None, input="{}", stop=True))

    assert whole == []
    assert calls.is_broken


def test_a_finished_id_cannot_be_used_again() -> None:
    calls, whole = run(fragment(stop=True), fragment(input="{}", stop=True))

    assert len(whole) == 1
    assert calls.is_broken


@pytest.mark.parametrize("call_id", [None, ""])
def test_a_fragment_without_an_id_belongs_to_no_call(call_id: str | None) -> None:
    calls, whole = run(fragment(call_id, input="{}", stop=True))

    assert whole == []
    assert calls.is_broken


def test_a_broken_call_does_not_harm_the_whole_ones() -> None:
    calls, whole = run(
        fragment("t1", "f", "{oops", stop=True), fragment("t2", "g", "{}", stop=True)
    )

    assert [call.id for call in whole] == ["t2"]
    assert (calls.whole, calls.is_broken) == (1, True)


def test_half_a_surrogate_pair_in_the_input_is_replaced() -> None:
    _, (call,) = run(fragment(input='{"a":"x\\ud83d"}', stop=True))

    assert json.loads(call.json) == {"a": "x\ufffd"}


def test_whole_surrogate_pairs_stay_as_they_were_spelled() -> None:
    text = '{"a":"\\ud83d\\ude00 \\\\ud83d"}'
    _, (call,) = run(fragment(input=text, stop=True))

    assert call.json == text


@given(
    value=st.dictionaries(
        st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)
    ),
    cuts=st.lists(st.integers(0, 300)),
    ascii_only=st.booleans(),
)
def test_any_cut_of_an_input_gives_the_same_call(
    value: dict[str, object], cuts: list[int], ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    _, (call,) = run(*(fragment(input=piece) for piece in pieces), fragment(stop=True))

    assert call.json == text
