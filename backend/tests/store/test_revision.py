"""The number by which a running program notices changes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kiro2api.errors import StoreError
from kiro2api.gateway.ports import GroupSettings
from kiro2api.pool.account import Condition
from kiro2api.store.opening import Store
from kiro2api.store.revision import changing
from tests.support.stores import imported, new_database, opened, rotate, social, start, with_store

Change = Callable[[Store], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "sync": lambda s: s.accounts.sync_configured([social("one"), social("two", index=1)]),
    "add": lambda s: s.accounts.add(imported("three")),
    "edit": lambda s: s.accounts.edit("a1", enabled=False),
    "remove": lambda s: s.accounts.remove("a1", "tidied up"),
    "rotation": lambda s: rotate(s, "a1", "rotated"),
    "condition": lambda s: s.accounts.save_condition("a1", Condition()),
    "cleared condition": lambda s: s.accounts.clear_condition("a1"),
    "models": lambda s: s.accounts.save_models("a1", models=b"[]", fetched_at=1.0),
    "quota": lambda s: s.accounts.save_quota("a1", b"{}", fetched_at=1.0),
    "route": lambda s: s.accounts.save_route("a1", "own/rest"),
    "profile": lambda s: s.accounts.save_profile("a1", "arn:aws:x"),
    "user": lambda s: s.accounts.set_user_id("a1", "user"),
    "group": lambda s: s.groups.set_group("pro", GroupSettings("round_robin", 2)),
    "new key": lambda s: s.keys.create(name="ci", digest=b"d", now=1.0),
    "edited key": lambda s: s.keys.edit("default", enabled=False),
    "deleted key": lambda s: s.keys.delete("default"),
    "generated key": lambda s: s.keys.save_generated_key_digest(b"e"),
}
NO_CHANGES: dict[str, Change] = {
    "proof": lambda s: s.accounts.prove_writable(),
    "lease": lambda s: s.accounts.acquire_lease("a1", holder="h", now=1.0, for_s=1.0),
    "end of a lease": lambda s: s.accounts.release_lease("a1", "h"),
    "use of a key": lambda s: s.keys.touch({"default": 5.0}),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with the account a1 and the generated key."""
    path = new_database(tmp_path / "k.db")
    start(path, social("one"))
    with_store(path, lambda s: s.keys.save_generated_key_digest(b"d"))
    return path


def risen_by(path: Path, change: Change) -> int:
    """Return by how much `change` raises what another process reads."""

    async def run() -> int:
        async with opened(path) as writer, opened(path) as reader:
            before = await reader.accounts.revision()
            await change(writer)
            return await reader.accounts.revision() - before

    return asyncio.run(run())


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_process_notices(path: Path, change: Change) -> None:
    assert risen_by(path, change) == 1


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_others_need_not_know_goes_unnoticed(path: Path, change: Change) -> None:
    assert risen_by(path, change) == 0


def test_a_user_that_is_known_already_is_no_change(path: Path) -> None:
    with_store(path, lambda s: s.accounts.set_user_id("a1", "user"))

    assert risen_by(path, lambda s: s.accounts.set_user_id("a1", "user")) == 0


def test_a_change_that_fails_is_none(path: Path) -> None:
    async def fail(store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            async with changing(store.accounts._engine, "not saved"):
                raise ZeroDivisionError

    assert risen_by(path, fail) == 0


def test_a_revision_that_cannot_be_read_is_an_error(path: Path) -> None:
    async def read() -> None:
        async with opened(path) as store:
            await store.accounts._engine.dispose()
            path.write_bytes(b"text" * 5_000)
            await store.accounts.revision()

    with pytest.raises(StoreError, match="revision was not read"):
        asyncio.run(read())
