"""What the program knows about itself: one value per name."""

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from kiro2api.store.tables import FACTS


async def read_fact(connection: AsyncConnection, name: str) -> bytes | None:
    """Return what is kept under `name`; None when nothing is."""
    value: bytes | None = await connection.scalar(select(FACTS.c.value).where(FACTS.c.name == name))
    return value


async def save_fact(connection: AsyncConnection, name: str, value: bytes) -> None:
    """Keep `value` under `name`, over what was there."""
    new = insert(FACTS).values(name=name, value=value)
    await connection.execute(
        new.on_conflict_do_update(index_elements=[FACTS.c.name], set_={"value": new.excluded.value})
    )
