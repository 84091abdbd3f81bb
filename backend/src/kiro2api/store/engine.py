"""Connections to the SQLite file: how they are set up, how writes begin, how failures look."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kiro2api.errors import StoreError

BUSY_TIMEOUT_S = 5.0
_RETRY_S = 0.02


def make_engine(
    path: Path, *, busy_timeout_s: float, foreign_keys: Literal["ON", "OFF"] = "ON"
) -> AsyncEngine:
    """Return an engine for the file at `path`; who asks for it disposes of it.

    Transactions of `writing` begin with the lock for writing: with SQLite's own deferred one, two
    blocks that read and then write may both read first, and the work of one is lost.
    """
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        # We begin transactions ourselves, see `begin`.
        connect_args={"isolation_level": None, "timeout": busy_timeout_s},
        pool_size=2,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        # What is committed is on the disk: a rotated token must survive the power cut after it.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


async def use_write_ahead_log(path: Path, *, busy_timeout_s: float) -> None:
    """Let writers and readers of the file at `path` not wait for each other; it remembers that.

    Raises:
        StoreError: the file is locked, damaged or no database.
    """
    tries_left = int(busy_timeout_s / _RETRY_S)
    while True:
        try:
            return await asyncio.to_thread(_switch_to_write_ahead_log, path)
        except sqlite3.Error as error:
            # SQLite itself does not wait for the lock here when several programs switch at once.
            if tries_left <= 0 or "locked" not in str(error):
                raise StoreError(f"it was not opened: {error}.") from None
        tries_left -= 1
        await asyncio.sleep(_RETRY_S)


def _switch_to_write_ahead_log(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=_RETRY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


@asynccontextmanager
async def writing(engine: AsyncEngine, what: str) -> AsyncIterator[AsyncConnection]:
    """Lend a connection that holds the lock for writing; commit at the end, roll back on an error.

    Raises:
        StoreError: the database is locked, full, read-only or damaged; nothing was saved. Its text
            begins with `what` was to be done.
    """
    with failing_as_store_error(what):
        async with engine.execution_options(writes=True).begin() as connection:
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine, what: str) -> AsyncIterator[AsyncConnection]:
    """Lend a connection that sees one state of the database.

    Raises:
        StoreError: the database cannot be read.
    """
    with failing_as_store_error(what):
        async with engine.connect() as connection:
            yield connection


@contextmanager
def failing_as_store_error(what: str) -> Iterator[None]:
    """Turn every failure of the database inside the block into a StoreError."""
    try:
        yield
    except SQLAlchemyError as error:
        # Not chained: its text holds SQL, and a log would show it.
        raise StoreError(f"{what}: {reason_of(error)}.") from None


def reason_of(error: SQLAlchemyError) -> str:
    """Return what the database itself said, without our statement and its values."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return str(error.orig)
    return type(error).__name__
