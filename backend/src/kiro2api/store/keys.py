"""The digest of the generated client key, kept among the facts."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kiro2api.store.engine import reading, writing
from kiro2api.store.tables import FACTS

_GENERATED_KEY = "generated_key_digest"


class SqlKeys:
    """Implements `gateway.ports.KeyStore`; belongs to the `Store` it comes from."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def generated_key_digest(self) -> bytes | None:
        """Return the digest of the key made on the first start; None when there is none.

        Raises:
            StoreError: the database cannot be read.
        """
        async with reading(self._engine, "The client key was not read") as connection:
            return await read_fact(connection, _GENERATED_KEY)

    async def save_generated_key_digest(self, digest: bytes) -> None:
        """Replace the digest of the generated key.

        Raises:
            StoreError: nothing was saved.
        """
        async with writing(self._engine, "The client key was not saved") as connection:
            await save_fact(connection, _GENERATED_KEY, digest)

    async def forget_generated_key(self) -> None:
        """Be as before the first start: there is no generated key.

        Raises:
            StoreError: the key is still known.
        """
        async with writing(self._engine, "The client key was not forgotten") as connection:
            await connection.execute(delete(FACTS).where(FACTS.c.name == _GENERATED_KEY))


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
