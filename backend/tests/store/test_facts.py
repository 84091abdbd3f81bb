"""What the program knows about itself."""

import asyncio
from pathlib import Path

from kiro2api.store.engine import reading, writing
from kiro2api.store.facts import read_fact, save_fact
from kiro2api.store.opening import Store
from tests.support.stores import opened


def test_a_fact_is_unknown_and_then_what_was_saved_last(tmp_path: Path) -> None:
    async def fact(store: Store) -> bytes | None:
        async with reading(store.accounts._engine, "not read") as connection:
            return await read_fact(connection, "colour")

    async def run() -> list[bytes | None]:
        async with opened(tmp_path / "k.db") as store:
            found = [await fact(store)]
            for value in (b"blue", b"green"):
                async with writing(store.accounts._engine, "not saved") as connection:
                    await save_fact(connection, "colour", value)
                found.append(await fact(store))
            return found

    assert asyncio.run(run()) == [None, b"blue", b"green"]
