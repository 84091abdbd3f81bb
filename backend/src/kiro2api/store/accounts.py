"""The accounts in the database: matched by identity, sealed, changed by compare-and-swap."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_ignore
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kiro2api import logs
from kiro2api.errors import RequestError, StoreError
from kiro2api.gateway.ports import AccessToken, ConfiguredAccount, StoredAccount, SyncReport
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.protocol.wire import json
from kiro2api.secrets import KeyRing
from kiro2api.store.engine import reading, writing
from kiro2api.store.keys import save_fact
from kiro2api.store.tables import ACCOUNTS, CREDENTIAL_DIGESTS

_IDENTITY = "identity of an account"
_Row = Row[Any]  # SQLAlchemy types no members of a row


class SqlAccounts:
    """Implements `gateway.ports.AccountStore`; belongs to the `Store` it comes from.

    Every secret that passes through here is kept out of the log from then on.
    """

    def __init__(self, engine: AsyncEngine, ring: KeyRing, *, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._ring = ring
        self._new_id = new_id

    async def accounts(self) -> list[StoredAccount]:
        """Return all accounts that are not removed, in the configured order.

        Raises:
            StoreError: the database cannot be read, or a value in it was tampered with.
        """
        query = select(ACCOUNTS).where(~ACCOUNTS.c.removed)
        query = query.order_by(ACCOUNTS.c.position, ACCOUNTS.c.id)
        async with reading(self._engine, "The accounts were not read") as connection:
            rows = (await connection.execute(query)).all()
        return [self._opened(row) for row in rows]

    async def account(self, account_id: str) -> StoredAccount | None:
        """Return one account as it is in the store now; None when it is gone.

        Raises:
            StoreError: as `accounts`.
        """
        query = select(ACCOUNTS).where(ACCOUNTS.c.id == account_id, ~ACCOUNTS.c.removed)
        async with reading(self._engine, "The account was not read") as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else self._opened(row)

    async def sync_configured(self, entries: Sequence[ConfiguredAccount]) -> SyncReport:
        """Make the configured accounts be `entries`, matched by identity; all or nothing.

        `added` are those that the pool did not have before, new ones and ones that have come back.
        A second entry for the same account changes nothing and is in `duplicates`.

        Raises:
            StoreError: nothing was saved.
        """
        async with writing(self._engine, "The accounts were not saved") as connection:
            before = {row.id: row for row in await connection.execute(select(ACCOUNTS))}
            owners = {
                row.digest: row.account_id
                for row in await connection.execute(select(CREDENTIAL_DIGESTS))
            }
            added: list[str] = []
            kept: list[str] = []
            duplicates: list[int] = []
            for entry in entries:
                digests = self._ring.digests(_IDENTITY, _identity(entry.credential))
                account_id = next((owners[d] for d in digests if d in owners), None)
                if account_id in added or account_id in kept:
                    duplicates.append(entry.index)
                    continue
                position = len(added) + len(kept)
                if account_id is None:
                    account_id = await self._insert(connection, entry, position)
                else:
                    await self._follow(connection, entry, position, before[account_id])
                was_there = account_id in before and not before[account_id].removed
                (kept if was_there else added).append(account_id)
                await _remember(connection, digests[0], account_id)
                owners[digests[0]] = account_id
            gone = [
                row.id
                for row in before.values()
                if row.configured and not row.removed and row.id not in kept
            ]
            await connection.execute(
                update(ACCOUNTS).where(ACCOUNTS.c.id.in_(gone)).values(removed=True)
            )
        return SyncReport(
            added=tuple(added), kept=tuple(kept), removed=tuple(gone), duplicates=tuple(duplicates)
        )

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
        values = {
            "refresh_token": self._sealed(account_id, "refresh_token", refresh_token),
            "access_token": self._sealed(account_id, "access_token", access_token.value),
            "access_expires_at": access_token.expires_at,
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
        async with writing(self._engine, "The new credential was not saved") as connection:
            row = (await connection.execute(change)).one_or_none()
            if row is None:
                return False
            kind = AuthKind(row.auth_kind)
            identity = _identity(Credential(kind, refresh_token, client_id=row.client_id))
            digest = self._ring.digest(_IDENTITY, identity)
            await _replace_current(connection, digest, account_id)
        return True

    async def save_models(self, account_id: str, *, models: bytes, fetched_at: float) -> None:
        """Keep the live list of models as the upstream sent it.

        Raises:
            StoreError: nothing was saved.
        """
        change = update(ACCOUNTS).where(ACCOUNTS.c.id == account_id)
        async with writing(self._engine, "The list of models was not saved") as connection:
            await connection.execute(change.values(models=models, models_fetched_at=fetched_at))

    async def save_condition(self, account_id: str, condition: Condition) -> None:
        """Keep a verdict over restarts; its times are wall times.

        Raises:
            StoreError: nothing was saved.
        """
        change = update(ACCOUNTS).where(ACCOUNTS.c.id == account_id)
        async with writing(self._engine, "The account's condition was not saved") as connection:
            await connection.execute(change.values(condition=json.encode(condition)))

    async def prove_writable(self) -> None:
        """Return once something was really written: what follows can be saved, too.

        Ask before a refresh: a token that is rotated and then not saved locks the account out.

        Raises:
            StoreError: the database is locked, full or read-only.
        """
        async with writing(self._engine, "The database takes no changes") as connection:
            # Random, because an unchanged page would not be written.
            await save_fact(connection, "write_proof", self._new_id().encode())

    async def _insert(
        self, connection: AsyncConnection, entry: ConfiguredAccount, position: int
    ) -> str:
        account_id = self._new_id()
        values = {
            "id": account_id,
            "configured": True,
            "auth_kind": entry.credential.kind.value,
            "client_id": entry.credential.client_id,
            "refresh_token": self._sealed(
                account_id, "refresh_token", entry.credential.refresh_token
            ),
            "version": 1,
            "profile_arn": "",
            "models": b"",
            "models_fetched_at": 0.0,
        }
        values |= _wishes(entry, position) | self._registration(account_id, entry.credential)
        await connection.execute(insert(ACCOUNTS).values(values))
        return account_id

    async def _follow(
        self, connection: AsyncConnection, entry: ConfiguredAccount, position: int, row: _Row
    ) -> None:
        """Let an account that is there be as its entry says; its refresh token stays its own."""
        values = _wishes(entry, position)
        stored = self._opened(row)
        wanted = entry.credential
        if (wanted.region, wanted.client_secret) != (
            stored.credential.region,
            stored.credential.client_secret,
        ):
            values |= self._registration(row.id, wanted) | {"version": row.version + 1}
            if stored.condition and stored.condition.standing is Standing.NEEDS_LOGIN:
                values["condition"] = None  # what was wrong may just have been put right
        await connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == row.id).values(values))

    def _registration(self, account_id: str, credential: Credential) -> dict[str, object]:
        secret = self._sealed(account_id, "client_secret", credential.client_secret)
        return {"region": credential.region, "client_secret": secret}

    def _sealed(self, account_id: str, column: str, plain: str) -> bytes:
        logs.hold_secret(f"{account_id}.{column}", plain)
        return self._ring.seal(plain, row=account_id, column=column)

    def _opened(self, row: _Row) -> StoredAccount:
        def opened(column: str) -> str:
            plain = self._ring.open(getattr(row, column), row=row.id, column=column)
            logs.hold_secret(f"{row.id}.{column}", plain)
            return plain

        access_token = None
        if row.access_token is not None:
            access_token = AccessToken(opened("access_token"), row.access_expires_at)
        return StoredAccount(
            id=row.id,
            name=row.name,
            group=row.group_name,
            position=row.position,
            enabled=row.enabled,
            credential=Credential(
                AuthKind(row.auth_kind),
                opened("refresh_token"),
                client_id=row.client_id,
                client_secret=opened("client_secret"),
                region=row.region,
            ),
            version=row.version,
            profile_arn=row.profile_arn,
            access_token=access_token,
            condition=_condition(row),
            models=row.models,
            models_fetched_at=row.models_fetched_at,
        )


def _wishes(entry: ConfiguredAccount, position: int) -> dict[str, object]:
    wishes = {
        "name": entry.name,
        "group_name": entry.group,
        "position": position,
        "enabled": entry.enabled,
        "removed": False,
    }
    # The upstream's answer may have told it when the entry does not.
    return wishes | ({"profile_arn": entry.profile_arn} if entry.profile_arn else {})


def _identity(credential: Credential) -> str:
    """Return what makes a login this one; the parts cannot run into each other."""
    parts = (credential.kind.value, credential.client_id, credential.refresh_token)
    return "\n".join(f"{len(part)}:{part}" for part in parts)


def _condition(row: _Row) -> Condition | None:
    if row.condition is None:
        return None
    try:
        return json.decode(row.condition, Condition)
    except RequestError:
        raise StoreError(f"The condition of account {row.id} cannot be read.") from None


async def _remember(connection: AsyncConnection, digest: bytes, account_id: str) -> None:
    """Recognise the account by this digest for good, also when it is only the current one now."""
    new = insert_or_ignore(CREDENTIAL_DIGESTS).values(
        digest=digest, account_id=account_id, current=False
    )
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[CREDENTIAL_DIGESTS.c.digest], set_={"current": False}
        )
    )


async def _replace_current(connection: AsyncConnection, digest: bytes, account_id: str) -> None:
    columns = CREDENTIAL_DIGESTS.c
    await connection.execute(
        delete(CREDENTIAL_DIGESTS).where(columns.account_id == account_id, columns.current)
    )
    new = insert_or_ignore(CREDENTIAL_DIGESTS).values(
        digest=digest, account_id=account_id, current=True
    )
    await connection.execute(new.on_conflict_do_nothing())
