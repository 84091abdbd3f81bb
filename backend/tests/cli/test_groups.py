"""The groups on the command line."""

import pytest

from kiro2api.gateway.ports import GroupSettings
from tests.support.commands import Commands
from tests.support.stores import with_store


def test_every_group_that_has_accounts_or_settings_is_listed(commands: Commands) -> None:
    commands.fill("one", "two", group="pro")
    commands.run("groups", "set", "spare", "--soft-cap", "2")

    assert [
        (one["name"], one["strategy"], one["soft_cap"], one["accounts"])
        for one in commands.json("groups", "list")
    ] == [
        ("default", "sequential", 0, 0),
        ("pro", "sequential", 0, 2),
        ("spare", "sequential", 2, 0),
    ]


def test_what_is_not_named_stays(commands: Commands) -> None:
    commands.fill("one")
    commands.run("groups", "set", "default", "--strategy", "round_robin", "--soft-cap", "3")
    commands.run("groups", "set", "default", "--soft-cap", "0")

    kept = with_store(commands.database, lambda store: store.groups.groups())
    assert kept == {"default": GroupSettings("round_robin", 0)}


def test_a_change_is_told_as_a_table(commands: Commands) -> None:
    commands.fill("one")

    head, row = commands.run("groups", "set", "default", "--strategy", "most_credits").splitlines()

    assert head.split() == ["GROUP", "STRATEGY", "SOFT", "CAP", "ACCOUNTS"]
    assert row.split() == ["default", "most_credits", "none", "1"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("default",), "say what to change"),
        (("Not a group", "--soft-cap", "1"), "a group name consists of"),
        (("default", "--strategy", "best"), "best"),
        (("default", "--soft-cap", "-1"), "soft-cap"),
    ],
)
def test_a_wrong_use_is_refused(commands: Commands, words: tuple[str, ...], reason: str) -> None:
    commands.fill("one")

    commands.run("groups", "set", *words, code=2)

    assert reason in commands.error
    assert with_store(commands.database, lambda store: store.groups.groups()) == {}
