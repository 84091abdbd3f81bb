"""Tests of the names and ids that go upstream, and of the way back."""

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.codewhisperer.names import (
    NameMap,
    property_to_upstream,
    tool_id_to_upstream,
)

NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
LONG = "mcp__a_server_with_a_very_long_name__and_a_tool_whose_name_is_no_shorter_at_all"

names = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.sampled_from(["Read", "READ", "read", "Read_", "t", "", "工具", LONG, LONG.upper()]),
    ),
    max_size=12,
)


@pytest.mark.parametrize("name", ["Read", "mcp__github__get-issue", "a", "x" * 64])
def test_a_name_that_the_upstream_takes_stays_as_it_is(name: str) -> None:
    assert NameMap([name]).to_upstream(name) == name


@given(names)
def test_any_names_become_lawful_ones_that_differ_whatever_the_case(names: list[str]) -> None:
    mapped = [NameMap(names).to_upstream(name) for name in dict.fromkeys(names)]

    assert all(NAME.fullmatch(name) for name in mapped)
    assert len({name.lower() for name in mapped}) == len(mapped)


@given(names)
def test_any_name_comes_back_as_it_was(names: list[str]) -> None:
    there = NameMap(names)

    assert [there.to_client(there.to_upstream(name)) for name in names] == names


def test_a_long_name_keeps_both_ends_and_is_the_same_in_every_request() -> None:
    short = NameMap([LONG]).to_upstream(LONG)

    assert len(short) == 64
    assert short.startswith("mcp__a_server_with_a_")
    assert "no_shorter_at_all_" in short
    assert NameMap(["Read", LONG, "x y"]).to_upstream(LONG) == short


def test_names_that_differ_only_in_case_are_told_apart() -> None:
    there = NameMap(["Read", "read"])

    assert there.to_upstream("Read") == "Read"
    assert there.to_upstream("read").startswith("read_")


def test_an_odd_name_never_takes_a_lawful_one() -> None:
    odd = "x y"
    coveted = NameMap([odd]).to_upstream(odd)
    there = NameMap([odd, coveted])

    assert there.to_upstream(coveted) == coveted
    assert there.to_upstream(odd) != coveted


def test_a_name_that_we_never_sent_comes_back_as_it_is() -> None:
    assert NameMap(["Read"]).to_client("invented") == "invented"


def test_a_name_that_the_request_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        NameMap(["Read"]).to_upstream("Write")


# --------------------------------------------------------------------------- properties

RENAMED = NameMap(["Query", "Plain"], {"Query": {"a_b_1": "a b", "_filter_2": "$filter"}})
CLIENT = {"a b": 1, "plain": {"$filter": [{"a b": None}]}}
UPSTREAM = {"a_b_1": 1, "plain": {"_filter_2": [{"a_b_1": None}]}}


def test_the_input_of_a_call_gets_its_clients_properties_back_at_any_depth() -> None:
    assert json.loads(RENAMED.input_to_client("Query", json.dumps(UPSTREAM))) == CLIENT


def test_the_input_of_an_earlier_call_goes_up_with_the_upstreams_properties() -> None:
    sent = RENAMED.input_to_upstream("Query", msgspec.Raw(json.dumps(CLIENT).encode()))

    assert json.loads(bytes(sent)) == UPSTREAM


def test_the_input_of_a_tool_without_odd_properties_is_not_opened() -> None:
    raw = msgspec.Raw(b'{ "a_b_1" :1}')

    assert RENAMED.input_to_client("Plain", '{ "a_b_1" :1}') == '{ "a_b_1" :1}'
    assert RENAMED.input_to_client("unknown", "{}") == "{}"
    assert RENAMED.input_to_upstream("Plain", raw) is raw


def test_input_deeper_than_any_schema_goes_through_as_it_is() -> None:
    deep = '{"a":' * 700 + "1" + "}" * 700

    assert RENAMED.input_to_client("Query", deep) == deep


@pytest.mark.parametrize("name", ["path", "a.b", "A-1_", "x" * 64])
def test_a_property_that_the_upstream_takes_keeps_its_name(name: str) -> None:
    assert property_to_upstream(name) == name


@given(st.sets(st.text(), min_size=2))
def test_any_properties_become_lawful_ones_that_differ(names: set[str]) -> None:
    mapped = {property_to_upstream(name) for name in names}

    assert len(mapped) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in mapped)


# ------------------------------------------------------------------------------------ ids


@pytest.mark.parametrize("id", ["toolu_01AbC", "call-1", "x" * 64])
def test_an_id_that_the_upstream_takes_stays_as_it_is(id: str) -> None:
    assert tool_id_to_upstream(id) == id


@given(st.sets(st.text(st.characters(codec=None)), min_size=2))
def test_any_ids_become_lawful_ones_that_differ(ids: set[str]) -> None:
    mapped = {tool_id_to_upstream(id) for id in ids}

    assert len(mapped) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id) for id in mapped)


def test_ids_that_differ_only_at_a_far_end_stay_apart() -> None:
    one, other = tool_id_to_upstream("fc_" + "x" * 90 + "1"), tool_id_to_upstream("fc_" + "x" * 91)

    assert one != other
    assert one.startswith("fc_xxx")
