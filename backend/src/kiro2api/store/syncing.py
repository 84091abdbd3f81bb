"""A start: the accounts become as `KIRO_AUTH_TOKEN` says, and what a person has set stays."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kiro2api.gateway.ports import ConfiguredAccount, SyncReport
from kiro2api.pool.account import Standing
from kiro2api.protocol.codewhisperer.credential import Credential
from kiro2api.protocol.wire import json
from kiro2api.store.identity import Identities
from kiro2api.store.rows import AccountRow, Sealing, Values
from kiro2api.store.tables import ACCOUNTS

CONFIGURATION = "configuration"
GONE = "removed from configuration"
# What an entry may put right in a login that is there; its tokens have a life of their own.
_REGISTRATION = ("region", "client_secret", "token_endpoint", "issuer_url", "scopes", "start_url")


class Wish(msgspec.Struct, frozen=True):
    """What an entry says beside its login; `place` counts the accounts of the entries from 0.

    The last one is kept: only a wish that has changed is followed.
    """

    name: str
    group: str
    enabled: bool
    place: int


class Sync:
    """One run over the entries, inside one transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        sealing: Sealing,
        identities: Identities,
        new_id: Callable[[], str],
    ) -> None:
        self._connection = connection
        self._sealing = sealing
        self._identities = identities
        self._new_id = new_id

    async def run(self, entries: Sequence[ConfiguredAccount]) -> SyncReport:
        """Return what became of the accounts."""
        before = await _rows(self._connection)
        order: list[str] = []
        duplicates: list[int] = []
        for entry in entries:
            account_id = await self._identities.find(self._connection, entry.credential)
            if account_id in order:
                duplicates.append(entry.index)
                continue
            wish = Wish(entry.name, entry.group, entry.enabled, len(order))
            if account_id is None:
                account_id = await self._insert(entry, wish)
            else:
                await self._follow(entry, wish, before[account_id])
            await self._identities.remember(self._connection, entry.credential, account_id)
            order.append(account_id)
        removed = await self._part_with(before, order)
        if order != _last_order(before):
            await self._arrange(order)
        there = {row_id for row_id, row in before.items() if not row.removed_reason}
        now = await _rows(self._connection)
        in_pool = [i for i in order if not now[i].removed_reason]
        return SyncReport(
            added=tuple(i for i in in_pool if i not in there),
            kept=tuple(i for i in in_pool if i in there),
            removed=removed,
            duplicates=tuple(duplicates),
        )

    async def _insert(self, entry: ConfiguredAccount, wish: Wish) -> str:
        account_id = self._new_id()
        await insert_account(
            self._connection,
            self._sealing.credential_values(account_id, entry.credential),
            id=account_id,
            name=entry.name,
            group_name=entry.group,
            position=wish.place,
            enabled=entry.enabled,
            source=CONFIGURATION,
            entry=json.encode(wish),
            profile_arn=entry.profile_arn,
        )
        return account_id

    async def _follow(self, entry: ConfiguredAccount, wish: Wish, row: AccountRow) -> None:
        """Let an account that is there be as its entry says; its tokens stay its own."""
        last = json.decode(row.entry, Wish) if row.entry else None
        values: Values = {"entry": json.encode(wish)}
        if last is None or last.name != wish.name:
            values["name"] = wish.name
        if last is None or last.group != wish.group:
            values["group_name"] = wish.group
        if last is None or last.enabled != wish.enabled:
            values["enabled"] = wish.enabled
        if row.removed_reason == GONE or last is None:
            values["removed_reason"] = ""
        if entry.profile_arn and entry.profile_arn != row.profile_arn:
            values |= {"profile_arn": entry.profile_arn, "route": ""}
        stored = self._sealing.opened(row)
        wanted = corrected(stored.credential, entry.credential)
        if wanted != stored.credential:
            values |= self._sealing.credential_values(row.id, wanted)
            values["version"] = row.version + 1
            if stored.condition and stored.condition.standing is Standing.NEEDS_LOGIN:
                values["condition"] = None  # what was wrong may just have been put right
        await change_account(self._connection, row.id, values)

    async def _part_with(
        self, before: Mapping[str, AccountRow], order: Sequence[str]
    ) -> tuple[str, ...]:
        """Remove the accounts whose entry is gone; return those that were in the pool."""
        removed = []
        for row in before.values():
            if not row.entry or row.id in order:
                continue
            if row.source != CONFIGURATION:
                await change_account(self._connection, row.id, {"entry": b""})
                continue
            # One that a person had removed may come back with its entry from now on.
            await change_account(self._connection, row.id, {"removed_reason": GONE})
            if not row.removed_reason:
                removed.append(row.id)
        return tuple(removed)

    async def _arrange(self, order: Sequence[str]) -> None:
        """Put the accounts of the entries first, in this order, and the others behind them."""
        others = [i for i in await in_pool_order(self._connection) if i not in order]
        await set_positions(self._connection, [*order, *others])


def corrected(stored: Credential, wanted: Credential) -> Credential:
    """Return `stored` with what `wanted` says about its registration."""
    said = {name: value for name in _REGISTRATION if (value := getattr(wanted, name))}
    return msgspec.structs.replace(stored, **said)


async def insert_account(connection: AsyncConnection, credential: Values, **values: object) -> None:
    """Insert an account of `values` with the columns of its credential."""
    columns: Values = {
        "version": 1,
        "soft_cap": 0,
        "models": b"",
        "models_fetched_at": 0.0,
        "route": "",
        "quota": b"",
        "quota_fetched_at": 0.0,
        "user_id": "",
        "removed_reason": "",
    }
    await connection.execute(insert(ACCOUNTS).values(columns | credential | values))


async def change_account(connection: AsyncConnection, account_id: str, values: Values) -> bool:
    """Set `values` of one account; False when there is none of that id."""
    change = update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(values)
    return (await connection.execute(change)).rowcount > 0


async def in_pool_order(connection: AsyncConnection) -> list[str]:
    """Return the ids of the accounts in the pool, in their order."""
    query = select(ACCOUNTS.c.id).where(ACCOUNTS.c.removed_reason == "")
    return list(await connection.scalars(query.order_by(ACCOUNTS.c.position, ACCOUNTS.c.id)))


async def free_position(connection: AsyncConnection) -> int:
    """Return the position behind all accounts in the pool."""
    query = select(func.max(ACCOUNTS.c.position)).where(ACCOUNTS.c.removed_reason == "")
    last: int | None = await connection.scalar(query)
    return 0 if last is None else last + 1


async def set_positions(connection: AsyncConnection, order: Sequence[str]) -> None:
    """Number the accounts of `order` from 0."""
    for position, account_id in enumerate(order):
        await change_account(connection, account_id, {"position": position})


async def _rows(connection: AsyncConnection) -> dict[str, AccountRow]:
    return {row.id: row for row in await connection.execute(select(ACCOUNTS))}


def _last_order(before: Mapping[str, AccountRow]) -> list[str]:
    """Return the ids of the accounts of the last start's entries, in the order of those."""
    places = {
        row.id: json.decode(row.entry, Wish).place
        for row in before.values()
        if row.entry and row.removed_reason != GONE
    }
    return sorted(places, key=places.__getitem__)
