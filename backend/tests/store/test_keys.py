"""The client keys in the database."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiro2api.errors import StoreError
from kiro2api.gateway.ports import StoredKey
from kiro2api.store.opening import Store
from tests.support.stores import locked, new_database, opened, with_store


def test_at_first_there_is_no_generated_key(tmp_path: Path) -> None:
    assert with_store(tmp_path / "k.db", lambda s: s.keys.generated_key_digest()) is None


def test_a_digest_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "k.db"

    with_store(path, lambda s: s.keys.save_generated_key_digest(b"\x00digest\xff"))

    assert with_store(path, lambda s: s.keys.generated_key_digest()) == b"\x00digest\xff"


def test_a_new_digest_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "k.db"

    with_store(path, lambda s: s.keys.save_generated_key_digest(b"old"))
    with_store(path, lambda s: s.keys.save_generated_key_digest(b"new"))

    assert with_store(path, lambda s: s.keys.generated_key_digest()) == b"new"


def test_a_forgotten_digest_is_gone_and_forgetting_twice_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "k.db"

    with_store(path, lambda s: s.keys.save_generated_key_digest(b"old"))
    with_store(path, lambda s: s.keys.forget_generated_key())
    with_store(path, lambda s: s.keys.forget_generated_key())

    assert with_store(path, lambda s: s.keys.generated_key_digest()) is None


def test_a_digest_that_could_not_be_saved_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "k.db"

    async def save() -> None:
        async with opened(path) as store:
            with locked(path):
                await store.keys.save_generated_key_digest(b"new")

    with pytest.raises(StoreError, match="client key was not saved"):
        asyncio.run(save())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an empty database."""
    return new_database(tmp_path / "k.db")


def created(path: Path, name: str, **more: Any) -> StoredKey | None:
    values: dict[str, Any] = {"digest": name.encode(), "now": 10.0} | more
    return with_store(path, lambda s: s.keys.create(name=name, **values))


def edited(path: Path, key_id: str, **values: Any) -> bool:
    return with_store(path, lambda s: s.keys.edit(key_id, **values))


def keys(path: Path) -> list[StoredKey]:
    return with_store(path, lambda s: s.keys.keys())


def test_a_key_survives_a_restart_with_all_that_it_opens(path: Path) -> None:
    key = created(path, "ci", groups=["pro"], models=["auto", "opus"], expires_at=99.5)

    assert key == StoredKey(
        id="a1",
        name="ci",
        digest=b"ci",
        enabled=True,
        groups=("pro",),
        models=("auto", "opus"),
        expires_at=99.5,
        created_at=10.0,
        last_used_at=None,
    )
    assert keys(path) == [key]


def test_keys_come_in_the_order_of_their_making(path: Path) -> None:
    created(path, "second", now=20.0)
    created(path, "first", now=10.0)

    assert [key.name for key in keys(path)] == ["first", "second"]


@pytest.mark.parametrize("name", ["ci", "default"])
def test_a_name_is_taken_once_and_that_of_the_generated_key_never(path: Path, name: str) -> None:
    created(path, "ci")

    assert created(path, name, digest=b"other") is None
    assert [key.digest for key in keys(path)] == [b"ci"]


def test_the_generated_key_is_the_key_default(path: Path) -> None:
    with_store(path, lambda s: s.keys.save_generated_key_digest(b"d", now=5.0))

    assert keys(path) == [StoredKey(id="default", name="default", digest=b"d", created_at=5.0)]


def test_an_edit_sets_what_is_given_and_nothing_else(path: Path) -> None:
    key = created(path, "ci", groups=["pro"], expires_at=99.5)
    assert key is not None

    assert edited(path, key.id, enabled=False) is True
    assert keys(path) == [msgspec.structs.replace(key, enabled=False)]
    assert edited(path, key.id, digest=b"new", groups=[], models=["m"], expires_at=None) is True
    assert keys(path) == [
        msgspec.structs.replace(
            key, enabled=False, digest=b"new", groups=(), models=("m",), expires_at=None
        )
    ]


def test_an_edit_that_gives_nothing_tells_whether_the_key_is_there(path: Path) -> None:
    created(path, "ci")

    assert edited(path, "a1") is True
    assert edited(path, "other") is False


def test_a_key_can_be_renamed_but_not_to_a_name_that_is_taken(path: Path) -> None:
    created(path, "one")
    created(path, "two")

    assert edited(path, "a2", name="one") is False
    assert edited(path, "a2", name="default") is False
    assert edited(path, "a2", name="two") is True
    assert edited(path, "a2", name="three") is True
    assert [key.name for key in keys(path)] == ["one", "three"]


def test_a_deleted_key_is_gone(path: Path) -> None:
    created(path, "ci")

    assert with_store(path, lambda s: s.keys.delete("a1")) is True
    assert with_store(path, lambda s: s.keys.delete("a1")) is False
    assert keys(path) == []


def test_the_last_use_is_noted_and_never_set_back(path: Path) -> None:
    created(path, "ci")

    with_store(path, lambda s: s.keys.touch({"a1": 30.0, "gone": 1.0}))
    assert keys(path)[0].last_used_at == 30.0
    with_store(path, lambda s: s.keys.touch({"a1": 20.0}))
    assert keys(path)[0].last_used_at == 30.0
    with_store(path, lambda s: s.keys.touch({"a1": 40.0}))
    assert keys(path)[0].last_used_at == 40.0


WRITES: dict[str, Callable[[Store], Awaitable[object]]] = {
    "create": lambda s: s.keys.create(name="other", digest=b"d", now=1.0),
    "edit": lambda s: s.keys.edit("a1", enabled=False),
    "delete": lambda s: s.keys.delete("a1"),
    "touch": lambda s: s.keys.touch({"a1": 5.0}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_into_a_locked_database_is_an_error_and_changes_nothing(
    path: Path, write: Callable[[Store], Awaitable[object]]
) -> None:
    created(path, "ci")
    before = keys(path)

    async def work() -> None:
        async with opened(path) as store:
            with locked(path), pytest.raises(StoreError, match="database is locked"):
                await write(store)

    asyncio.run(work())

    assert keys(path) == before
