"""The settings of groups in the database."""

import asyncio
from pathlib import Path

import pytest

from kiro2api.errors import StoreError
from kiro2api.gateway.ports import GroupSettings
from tests.support.stores import locked, opened, with_store


def test_at_first_no_group_has_settings(tmp_path: Path) -> None:
    assert with_store(tmp_path / "k.db", lambda s: s.groups.groups()) == {}


def test_the_settings_of_a_group_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, lambda s: s.groups.set_group("pro", GroupSettings("round_robin", 3)))
    with_store(path, lambda s: s.groups.set_group("default", GroupSettings()))

    assert with_store(path, lambda s: s.groups.groups()) == {
        "default": GroupSettings("", 0),
        "pro": GroupSettings("round_robin", 3),
    }


def test_new_settings_of_a_group_replace_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, lambda s: s.groups.set_group("pro", GroupSettings("round_robin", 3)))
    with_store(path, lambda s: s.groups.set_group("pro", GroupSettings("most_credits")))

    assert with_store(path, lambda s: s.groups.groups()) == {"pro": GroupSettings("most_credits")}


def test_settings_that_could_not_be_saved_are_an_error(tmp_path: Path) -> None:
    async def save() -> None:
        async with opened(tmp_path / "k.db") as store:
            with locked(tmp_path / "k.db"):
                await store.groups.set_group("pro", GroupSettings())

    with pytest.raises(StoreError, match="group was not saved"):
        asyncio.run(save())
