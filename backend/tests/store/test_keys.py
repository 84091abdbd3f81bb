"""The digest of the generated client key."""

import asyncio
from pathlib import Path

import pytest

from kiro2api.errors import StoreError
from tests.support.stores import locked, opened, with_store


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
