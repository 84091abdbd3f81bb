"""Where client keys come from."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from kiro2api import compose
from kiro2api.compose.keys import (
    CLIENT_KEY_PURPOSE,
    admin_keys,
    client_keys,
    first_key,
    read_client_keys,
    touch_keys,
)
from kiro2api.config import Installation, Settings
from kiro2api.store.opening import Store, open_store

T = TypeVar("T")


def installation(folder: Path) -> Installation:
    return Installation(folder, folder / "data", (folder,))


def in_store(folder: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    async def scene() -> T:
        store = await open_store(folder / "my.db")
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(scene())


def test_a_reset_client_key_is_new_and_known_by_its_digest_only(tmp_path: Path) -> None:
    settings = Settings(db_path=str(tmp_path / "my.db"))

    async def scene() -> tuple[str, str, bool]:
        first = await compose.reset_client_key(settings, installation(tmp_path))
        second = await compose.reset_client_key(settings, installation(tmp_path))
        store = await open_store(tmp_path / "my.db")
        kept = await store.keys.generated_key_digest()
        known = kept in store.ring.digests(compose.CLIENT_KEY_PURPOSE, second)
        await store.close()
        return first, second, known

    first, second, known = asyncio.run(scene())

    assert first != second
    assert known
    assert second.encode() not in (tmp_path / "my.db").read_bytes()


def test_the_first_start_makes_a_key_and_the_second_does_not(tmp_path: Path) -> None:
    async def work(store: Store) -> tuple[str, str]:
        return await first_key(Settings(), store), await first_key(Settings(), store)

    first, second = in_store(tmp_path, work)

    assert (first != "", second) == (True, "")


def test_a_key_of_the_settings_needs_no_other(tmp_path: Path) -> None:
    async def work(store: Store) -> str:
        return await first_key(Settings(client_token="123456"), store)

    assert in_store(tmp_path, work) == ""


def test_a_key_of_the_settings_takes_the_place_of_the_generated_one(tmp_path: Path) -> None:
    async def work(store: Store) -> list[bool]:
        generated = await first_key(Settings(), store)
        keys = await read_client_keys(Settings(client_token="123456"), store)
        ring = client_keys(store, keys, wall=lambda: 0.0)
        return [ring.holder({"x-api-key": key}) is not None for key in (generated, "123456")]

    assert in_store(tmp_path, work) == [False, True]


def test_a_key_of_the_store_opens_what_it_names(tmp_path: Path) -> None:
    async def work(store: Store) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        digest = store.ring.digest(CLIENT_KEY_PURPOSE, "team key")
        await store.keys.create(
            name="team", digest=digest, now=0.0, groups=["pro"], models=["Claude-Haiku-4-5"]
        )
        keys = await read_client_keys(Settings(), store)
        key = client_keys(store, keys, wall=lambda: 0.0).holder({"x-api-key": "team key"})
        assert key is not None
        return key.id, key.groups, key.models

    assert in_store(tmp_path, work) == ("team", ("pro",), ("claude-haiku-4-5",))


def test_the_last_use_of_a_key_is_written_down(tmp_path: Path) -> None:
    async def work(store: Store) -> float | None:
        digest = store.ring.digest(CLIENT_KEY_PURPOSE, "team key")
        await store.keys.create(name="team", digest=digest, now=0.0)
        keys = await read_client_keys(Settings(), store)
        ring = client_keys(store, keys, wall=lambda: 77.0)
        ring.holder({"x-api-key": "team key"})
        await touch_keys(ring, store)
        return next(key.last_used_at for key in await store.keys.keys() if key.name == "team")

    assert in_store(tmp_path, work) == 77.0


def test_without_a_key_of_the_operator_there_is_none(tmp_path: Path) -> None:
    async def work(store: Store) -> list[int]:
        return [len(admin_keys(Settings(admin_token=word), store)) for word in ("", "secret")]

    assert in_store(tmp_path, work) == [0, 1]
