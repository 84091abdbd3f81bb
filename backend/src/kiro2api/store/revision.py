"""The number by which a running program notices what another process has changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kiro2api.store.engine import reading, writing
from kiro2api.store.tables import REVISION


@asynccontextmanager
async def changing(engine: AsyncEngine, what: str) -> AsyncIterator[AsyncConnection]:
    """Lend a connection as `writing` does, and raise the revision along with what is written.

    Raises:
        StoreError: as `writing`.
    """
    async with writing(engine, what) as connection:
        yield connection
        await connection.execute(update(REVISION).values(value=REVISION.c.value + 1))


async def read_revision(engine: AsyncEngine) -> int:
    """Return the revision as it is now.

    Raises:
        StoreError: the database cannot be read.
    """
    async with reading(engine, "The revision was not read") as connection:
        value: int = (await connection.execute(select(REVISION.c.value))).scalar_one()
    return value
