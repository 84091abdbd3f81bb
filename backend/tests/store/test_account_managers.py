"""The shapes in which programs write accounts."""

from typing import Any

import pytest

from kiro2api.store.account_managers import entries_of

LOGIN = {"refreshToken": "t", "authMethod": "social"}


@pytest.mark.parametrize(
    "document",
    [
        LOGIN,
        [LOGIN],
        {"accounts": [LOGIN]},
        {"version": "1", "credentials": [LOGIN]},
        {"tokens": [LOGIN]},
    ],
)
def test_an_entry_is_found_alone_in_an_array_and_in_what_is_wrapped_around_it(
    document: Any,
) -> None:
    assert entries_of(document) == [LOGIN]


def test_a_login_in_a_member_of_its_own_belongs_to_the_entry() -> None:
    entry = {"name": "work", "credentials": LOGIN}

    assert entries_of({"accounts": [entry]}) == [{"name": "work", **LOGIN}]


def test_the_region_of_the_login_is_the_one_that_counts() -> None:
    entry = {**LOGIN, "region": "us-east-1", "authRegion": "eu-west-1", "apiRegion": "eu-central-1"}

    (found,) = entries_of(entry)

    assert found == {**entry, "region": "eu-west-1"}


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_member_overrides_nothing(value: object) -> None:
    (found,) = entries_of({**LOGIN, "region": "us-east-1", "authRegion": value})

    assert isinstance(found, dict)
    assert found["region"] == "us-east-1"


def test_other_words_for_a_member_are_understood_where_the_member_is_not_there() -> None:
    assert entries_of([{**LOGIN, "label": "work", "idp": "Google"}]) == [
        {**LOGIN, "label": "work", "idp": "Google", "name": "work", "provider": "Google"}
    ]
    (both,) = entries_of({**LOGIN, "name": "mine", "nickname": "work"})
    assert isinstance(both, dict)
    assert both["name"] == "mine"


@pytest.mark.parametrize("raw", ["text", 7, None, [LOGIN]])
def test_what_is_no_entry_is_handed_on_for_the_intake_to_refuse(raw: object) -> None:
    assert entries_of([raw]) == [raw]
