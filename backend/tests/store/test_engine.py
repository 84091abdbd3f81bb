"""Connections to the SQLite file."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from kiro2api.errors import StoreError
from kiro2api.store.engine import make_engine, reading, use_write_ahead_log, writing
from tests.support.stores import limit, locked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with a counter that stands at zero."""
    path = tmp_path / "k.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE counter (value INTEGER); INSERT INTO counter VALUES (0);"
        "CREATE TABLE child (value INTEGER REFERENCES parent (id)); CREATE TABLE parent (id INTEGER PRIMARY KEY);"
    )
    connection.close()
    return path


def value_of(path: Path, query: str = "SELECT value FROM counter") -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


async def increment(path: Path, times: int) -> None:
    engine = make_engine(path, busy_timeout_s=30)
    for _ in range(times):
        async with writing(engine, "not counted") as connection:
            value = await connection.scalar(text("SELECT value FROM counter"))
            await asyncio.sleep(0)  # let the others read the same
            await connection.execute(text("UPDATE counter SET value = :v"), {"v": value + 1})
    await engine.dispose()


def test_no_change_is_lost_when_two_engines_read_and_then_write(path: Path) -> None:
    async def race() -> None:
        await asyncio.gather(*(increment(path, 20) for _ in range(3)))

    asyncio.run(race())

    assert value_of(path) == 60


def test_a_block_that_fails_changes_nothing(path: Path) -> None:
    async def fail() -> None:
        engine = make_engine(path, busy_timeout_s=1)
        try:
            async with writing(engine, "not counted") as connection:
                await connection.execute(text("UPDATE counter SET value = 7"))
                raise ZeroDivisionError
        finally:
            await engine.dispose()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())

    assert value_of(path) == 0


def test_connections_are_durable_and_checked_and_wait_for_locks(path: Path) -> None:
    async def read() -> list[object]:
        engine = make_engine(path, busy_timeout_s=1)
        async with reading(engine, "not read") as connection:
            names = ("synchronous", "foreign_keys", "busy_timeout")
            values = [await connection.scalar(text(f"PRAGMA {name}")) for name in names]
        await engine.dispose()
        return values

    assert asyncio.run(read()) == [2, 1, 1_000]


def write(path: Path, statement: str, *, pragma: str = "") -> None:
    async def run() -> None:
        engine = make_engine(path, busy_timeout_s=0.05)
        try:
            if pragma:
                await limit(engine, pragma)
            async with writing(engine, "It was not saved") as connection:
                await connection.execute(text(statement), {"secret": "planted"})
        finally:
            await engine.dispose()

    asyncio.run(run())


def test_a_locked_database_is_a_store_error(path: Path) -> None:
    write(path, "UPDATE counter SET value = 1")

    with locked(path), pytest.raises(StoreError, match=r"It was not saved: database is locked\."):
        write(path, "UPDATE counter SET value = 2")

    assert value_of(path) == 1


def test_a_locked_database_can_still_be_read(path: Path) -> None:
    write(path, "UPDATE counter SET value = 1")

    async def read() -> object:
        engine = make_engine(path, busy_timeout_s=0.05)
        async with reading(engine, "not read") as connection:
            value: object = await connection.scalar(text("SELECT value FROM counter"))
        await engine.dispose()
        return value

    with locked(path):
        assert asyncio.run(read()) == 1


def test_a_full_disk_is_a_store_error(path: Path) -> None:
    with pytest.raises(StoreError, match="full"):
        write(path, "CREATE TABLE more AS SELECT :secret AS value", pragma="max_page_count = 1")


def test_a_read_only_database_is_a_store_error(path: Path) -> None:
    with pytest.raises(StoreError, match="readonly"):
        write(path, "UPDATE counter SET value = 1", pragma="query_only = ON")


def test_a_reference_to_nothing_is_refused(path: Path) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        write(path, "INSERT INTO child VALUES (1)")


def test_an_error_shows_neither_the_statement_nor_its_values(path: Path) -> None:
    with pytest.raises(StoreError) as failure:
        write(path, "INSERT INTO missing VALUES (:secret)")

    assert "planted" not in str(failure.value)
    assert "INSERT" not in str(failure.value)
    assert failure.value.__suppress_context__


def mode_of(path: Path) -> object:
    return value_of(path, "PRAGMA journal_mode")


def test_many_can_switch_one_file_to_the_write_ahead_log_at_once(tmp_path: Path) -> None:
    async def switch(path: Path) -> None:
        await asyncio.gather(*(use_write_ahead_log(path, busy_timeout_s=30) for _ in range(8)))

    for number in range(10):
        path = tmp_path / f"{number}.db"
        asyncio.run(switch(path))
        assert mode_of(path) == "wal"


def test_a_file_that_stays_locked_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    sqlite3.connect(path).close()

    with locked(path), pytest.raises(StoreError, match="locked"):
        asyncio.run(use_write_ahead_log(path, busy_timeout_s=0.05))


def test_a_file_that_is_no_database_is_not_tried_twice(tmp_path: Path) -> None:
    (tmp_path / "k.db").write_bytes(b"text" * 500)

    with pytest.raises(StoreError, match="not a database"):
        asyncio.run(use_write_ahead_log(tmp_path / "k.db", busy_timeout_s=600))
