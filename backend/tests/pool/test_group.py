"""Names of groups."""

import pytest

from kiro2api.pool.group import RESERVED_GROUPS, group_name_problem, is_group_name


@pytest.mark.parametrize("name", ["default", "pro", "team-1", "a.b_c", "0", "_x", "a" * 64])
def test_plain_names_are_accepted(name: str) -> None:
    assert is_group_name(name)


@pytest.mark.parametrize("name", sorted(RESERVED_GROUPS))
def test_a_name_of_a_route_is_no_name_of_a_group(name: str) -> None:
    assert "reserved" in group_name_problem(name)


@pytest.mark.parametrize("name", ["", "Pro", "a b", "a/b", "团队", "a:b", "a%2f"])
def test_odd_characters_are_refused_in_names_of_groups(name: str) -> None:
    assert "a-z" in group_name_problem(name)


@pytest.mark.parametrize("name", [".", "..", ".git", "-x"])
def test_a_name_that_paths_or_shells_would_misread_is_refused(name: str) -> None:
    assert "begins with" in group_name_problem(name)


def test_an_endless_name_is_refused() -> None:
    assert "64" in group_name_problem("a" * 65)
