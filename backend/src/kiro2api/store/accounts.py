"""The accounts in the database: matched by identity, sealed, changed by compare-and-swap."""

from collections.abc import Callable, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from kiro2api.gateway.ports import (
    AccessToken,
    Added,
    ConfiguredAccount,
    NewAccount,
    StoredAccount,
    SyncReport,
)
from kiro2api.pool.account import Condition
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.wire import json
from kiro2api.secrets import KeyRing
from kiro2api.store import leases
from kiro2api.store.adding import Intake, twin_of
from kiro2api.store.engine import reading, writing
from kiro2api.store.facts import save_fact
from kiro2api.store.identity import Identities
from kiro2api.store.revision import changing, read_revision
from kiro2api.store.rows import AccountRow, Sealing, Values
from kiro2api.store.syncing import Sync, change_account, in_pool_order, set_positions
from kiro2api.store.tables import ACCOUNTS

_USER = "user of an account"
_NOT_SAVED = "The account was not saved"


class SqlAccounts:
    """Implements `gateway.ports.AccountStore`; belongs to the `Store` it comes from.

    Every secret that passes through here is kept out of the log from then on.
    """

    def __init__(self, engine: AsyncEngine, ring: KeyRing, *, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._ring = ring
        self._sealing = Sealing(ring)
        self._identities = Identities(ring)
        self._new_id = new_id

    async def revision(self) -> int:
        """Return a number that every change raises, whichever process makes it.

        Raises:
            StoreError: the database cannot be read.
        """
        return await read_revision(self._engine)

    async def accounts(self) -> list[StoredAccount]:
        """Return all accounts that are not removed, in the configured order.

        Raises:
            StoreError: the database cannot be read, or a value in it was tampered with.
        """
        return [self._sealing.opened(row) for row in await self._rows() if not row.removed_reason]

    async def all_accounts(self) -> list[StoredAccount]:
        """Return the removed ones, too, after the others.

        Raises:
            StoreError: as `accounts`.
        """
        rows = sorted(await self._rows(), key=lambda row: row.removed_reason != "")
        return [self._sealing.opened(row) for row in rows]

    async def account(self, account_id: str) -> StoredAccount | None:
        """Return one account as it is in the store now; None when it is gone.

        Raises:
            StoreError: as `accounts`.
        """
        query = select(ACCOUNTS).where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.removed_reason == "")
        async with reading(self._engine, "The account was not read") as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else self._sealing.opened(row)

    async def sync_configured(self, entries: Sequence[ConfiguredAccount]) -> SyncReport:
        """Make the configured accounts be `entries`, matched by identity; all or nothing.

        `added` are those that the pool did not have before, new ones and ones that have come back.
        A second entry for the same account changes nothing and is in `duplicates`. One that a
        person has removed stays out as long as its entry is there: it is in none of the lists.

        Raises:
            StoreError: nothing was saved.
        """
        async with changing(self._engine, "The accounts were not saved") as connection:
            sync = Sync(
                connection,
                sealing=self._sealing,
                identities=self._identities,
                new_id=self._new_id,
            )
            return await sync.run(entries)

    async def add(self, new: NewAccount) -> Added:
        """Take `new` into the pool, or bring the account of the same identity up to it.

        A removed account comes back. An updated credential ends a verdict that asked for it.

        Raises:
            StoreError: nothing was saved.
        """
        async with changing(self._engine, _NOT_SAVED) as connection:
            intake = Intake(connection, sealing=self._sealing, identities=self._identities)
            return await intake.add(new, self._new_id)

    async def edit(
        self,
        account_id: str,
        *,
        name: str | None = None,
        group: str | None = None,
        enabled: bool | None = None,
        position: int | None = None,
        soft_cap: int | None = None,
    ) -> bool:
        """Set what is given; False when there is no such account in the pool.

        `position` is the place from 0 among all accounts, which move aside.

        Raises:
            StoreError: nothing was saved.
        """
        given = {"name": name, "group_name": group, "enabled": enabled, "soft_cap": soft_cap}
        values: Values = {name: value for name, value in given.items() if value is not None}
        async with changing(self._engine, _NOT_SAVED) as connection:
            order = await in_pool_order(connection)
            if account_id not in order:
                return False
            if values:
                await change_account(connection, account_id, values)
            if position is not None:
                order.remove(account_id)
                order.insert(max(position, 0), account_id)
                await set_positions(connection, order)
        return True

    async def remove(self, account_id: str, reason: str) -> bool:
        """Take the account out of the pool for `reason`; False when it is not in it.

        Raises:
            StoreError: nothing was saved.
        """
        change = update(ACCOUNTS).where(
            ACCOUNTS.c.id == account_id, ACCOUNTS.c.removed_reason == ""
        )
        async with changing(self._engine, "The account was not removed") as connection:
            done = await connection.execute(change.values(removed_reason=reason))
            return done.rowcount > 0

    async def set_user_id(self, account_id: str, user_id: str) -> str | None:
        """Note whom the upstream says that the account belongs to.

        When another enabled account of its group belongs to the same user, the two are one from
        now on: `account_id` leaves the pool and the id of the one that stays is returned, which
        takes over the credential if its own was refused.

        Raises:
            StoreError: nothing was saved.
        """
        digests = [digest.hex() for digest in self._ring.digests(_USER, user_id)]
        rows = await self._rows()
        own = next((row for row in rows if row.id == account_id and not row.removed_reason), None)
        in_pool = [row for row in rows if not row.removed_reason]
        if own is None or (own.user_id == digests[0] and twin_of(own, in_pool, digests) is None):
            return None  # nothing new, as most times
        async with changing(self._engine, _NOT_SAVED) as connection:
            intake = Intake(connection, sealing=self._sealing, identities=self._identities)
            return await intake.note_user(account_id, digests)

    async def save_rotation(
        self,
        account_id: str,
        *,
        version: int,
        refresh_token: str,
        access_token: AccessToken,
        profile_arn: str,
    ) -> bool:
        """Save a refreshed credential durably if `version` is still the stored one.

        An empty `profile_arn` leaves the stored one. Returns False when somebody else has saved
        first: then nothing is changed.

        Raises:
            StoreError: nothing was saved.
        """
        values: Values = {
            **self._sealing.refresh_token_values(account_id, refresh_token),
            **self._sealing.access_token_values(account_id, access_token),
            "version": version + 1,
        }
        if profile_arn:
            values["profile_arn"] = profile_arn
        change = (
            update(ACCOUNTS)
            .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.version == version)
            .values(values)
            .returning(ACCOUNTS.c.auth_kind, ACCOUNTS.c.client_id)
        )
        async with changing(self._engine, "The new credential was not saved") as connection:
            row = (await connection.execute(change)).one_or_none()
            if row is None:
                return False
            credential = Credential(AuthKind(row.auth_kind), refresh_token, client_id=row.client_id)
            await self._identities.replace_current(connection, credential, account_id)
        return True

    async def save_models(self, account_id: str, *, models: bytes, fetched_at: float) -> None:
        """Keep the live list of models as the upstream sent it.

        Raises:
            StoreError: nothing was saved.
        """
        values: Values = {"models": models, "models_fetched_at": fetched_at}
        await self._save(account_id, values, "The list of models was not saved")

    async def save_quota(self, account_id: str, quota: bytes, *, fetched_at: float) -> None:
        """Keep what is left of the account's credits.

        Raises:
            StoreError: nothing was saved.
        """
        values: Values = {"quota": quota, "quota_fetched_at": fetched_at}
        await self._save(account_id, values, "The account's quota was not saved")

    async def save_condition(self, account_id: str, condition: Condition) -> None:
        """Keep a verdict over restarts; its times are wall times.

        Raises:
            StoreError: nothing was saved.
        """
        values: Values = {"condition": json.encode(condition)}
        await self._save(account_id, values, "The account's condition was not saved")

    async def clear_condition(self, account_id: str) -> None:
        """Forget every verdict.

        Raises:
            StoreError: nothing was saved.
        """
        await self._save(account_id, {"condition": None}, "The account's condition was not saved")

    async def save_route(self, account_id: str, key: str) -> None:
        """Remember which strategy works for the account.

        Raises:
            StoreError: nothing was saved.
        """
        await self._save(account_id, {"route": key}, "The account's route was not saved")

    async def save_profile(self, account_id: str, arn: str) -> None:
        """Keep the profile that was found for the account.

        Raises:
            StoreError: nothing was saved.
        """
        await self._save(account_id, {"profile_arn": arn}, "The account's profile was not saved")

    async def acquire_lease(
        self, account_id: str, *, holder: str, now: float, for_s: float
    ) -> bool:
        """Reserve the refresh of the account for `holder`; False while another one holds it.

        Raises:
            StoreError: nothing was reserved.
        """
        async with writing(self._engine, "The refresh was not reserved") as connection:
            return await leases.acquire(connection, account_id, holder=holder, now=now, for_s=for_s)

    async def release_lease(self, account_id: str, holder: str) -> None:
        """End the lease if it is still the one of `holder`.

        Raises:
            StoreError: it goes on until its time.
        """
        async with writing(self._engine, "The reservation was not ended") as connection:
            await leases.release(connection, account_id, holder)

    async def prove_writable(self) -> None:
        """Return once something was really written: what follows can be saved, too.

        Ask before a refresh: a token that is rotated and then not saved locks the account out.

        Raises:
            StoreError: the database is locked, full or read-only.
        """
        async with writing(self._engine, "The database takes no changes") as connection:
            # Random, because an unchanged page would not be written.
            await save_fact(connection, "write_proof", self._new_id().encode())

    async def _rows(self) -> list[AccountRow]:
        query = select(ACCOUNTS).order_by(ACCOUNTS.c.position, ACCOUNTS.c.id)
        async with reading(self._engine, "The accounts were not read") as connection:
            return list((await connection.execute(query)).all())

    async def _save(self, account_id: str, values: Values, what: str) -> None:
        async with changing(self._engine, what) as connection:
            await change_account(connection, account_id, values)
