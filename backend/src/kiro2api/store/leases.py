"""Leases: who refreshes an account now, for all processes on one database."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from kiro2api.store.tables import LEASES

# A lease from further in the future is one of a clock that has been set back since.
_SKEW_S = 5.0


async def acquire(
    connection: AsyncConnection, account_id: str, *, holder: str, now: float, for_s: float
) -> bool:
    """Take or prolong the lease; False while another holder has it.

    The connection holds the lock for writing, so that no other one reads in between.
    """
    query = select(LEASES).where(LEASES.c.account_id == account_id)
    row = (await connection.execute(query)).one_or_none()
    if row is not None and row.holder != holder and row.taken_at - _SKEW_S <= now < row.until:
        return False
    lease = insert(LEASES).values(
        account_id=account_id, holder=holder, taken_at=now, until=now + for_s
    )
    new = {"holder": holder, "taken_at": now, "until": now + for_s}
    await connection.execute(
        lease.on_conflict_do_update(index_elements=[LEASES.c.account_id], set_=new)
    )
    return True


async def release(connection: AsyncConnection, account_id: str, holder: str) -> None:
    """End the lease if `holder` has it still."""
    columns = LEASES.c
    await connection.execute(
        delete(LEASES).where(columns.account_id == account_id, columns.holder == holder)
    )
