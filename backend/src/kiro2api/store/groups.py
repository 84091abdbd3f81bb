"""The settings of groups in the database."""

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from kiro2api.gateway.ports import GroupSettings
from kiro2api.store.engine import reading
from kiro2api.store.revision import changing
from kiro2api.store.tables import GROUPS


class SqlGroups:
    """Implements `gateway.ports.GroupStore`; belongs to the `Store` it comes from."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def groups(self) -> dict[str, GroupSettings]:
        """Return the settings of every group that has some, by name.

        Raises:
            StoreError: the database cannot be read.
        """
        async with reading(self._engine, "The groups were not read") as connection:
            rows = (await connection.execute(select(GROUPS).order_by(GROUPS.c.name))).all()
        return {row.name: GroupSettings(row.strategy, row.soft_cap) for row in rows}

    async def set_group(self, name: str, settings: GroupSettings) -> None:
        """Replace the settings of the group `name`.

        Raises:
            StoreError: nothing was saved.
        """
        values = {"strategy": settings.strategy, "soft_cap": settings.soft_cap}
        new = insert(GROUPS).values(name=name, **values)
        async with changing(self._engine, "The group was not saved") as connection:
            await connection.execute(
                new.on_conflict_do_update(index_elements=[GROUPS.c.name], set_=values)
            )
