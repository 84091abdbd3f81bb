"""Accounts that a person brings, by import or login, and those that turn out to be one."""

from collections.abc import Callable

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from kiro2api.gateway.following import FOLLOW
from kiro2api.gateway.ports import AccessToken, Added, NewAccount, Outcome, StoredAccount
from kiro2api.pool.account import Standing
from kiro2api.protocol.codewhisperer.credential import Credential
from kiro2api.store.identity import Identities, is_same_kind
from kiro2api.store.rows import AccountRow, Sealing, Values, condition_of
from kiro2api.store.syncing import change_account, corrected, free_position, insert_account
from kiro2api.store.tables import ACCOUNTS


class Intake:
    """Takes accounts in, inside one transaction."""

    def __init__(
        self, connection: AsyncConnection, *, sealing: Sealing, identities: Identities
    ) -> None:
        self._connection = connection
        self._sealing = sealing
        self._identities = identities

    async def add(self, new: NewAccount, new_id: Callable[[], str]) -> Added:
        """Take `new` into the pool, or bring the account that it is up to it."""
        account_id = await self._identities.find(self._connection, new.credential)
        is_known = account_id is not None
        if account_id is None:
            account_id = await self._followed(new)
        if account_id is None:
            account_id = await self._insert(new, new_id())
            outcome = Outcome.ADDED
        else:
            query = select(ACCOUNTS).where(ACCOUNTS.c.id == account_id)
            row = (await self._connection.execute(query)).one()
            outcome = await self._update(new, row, is_newer=not is_known)
        await self._identities.remember(self._connection, new.credential, account_id)
        return Added(account_id, outcome)

    async def _followed(self, new: NewAccount) -> str | None:
        """Return the account that follows the same file: its login is another one by now."""
        if not new.source.startswith(FOLLOW):
            return None
        columns = ACCOUNTS.c
        query = select(columns.id, columns.auth_kind).where(
            columns.source == new.source, columns.removed_reason == ""
        )
        kind = new.credential.kind
        rows = (await self._connection.execute(query.order_by(columns.position))).all()
        return next((row.id for row in rows if is_same_kind(row.auth_kind, kind)), None)

    async def _insert(self, new: NewAccount, account_id: str) -> str:
        credential = self._sealing.credential_values(account_id, new.credential)
        token = self._sealing.access_token_values(account_id, new.access_token)
        await insert_account(
            self._connection,
            credential | token,
            id=account_id,
            name=new.name,
            group_name=new.group,
            position=await free_position(self._connection),
            enabled=new.enabled,
            source=new.source,
            soft_cap=new.soft_cap,
            entry=b"",
            profile_arn=new.profile_arn,
        )
        return account_id

    async def _update(self, new: NewAccount, row: AccountRow, *, is_newer: bool) -> Outcome:
        stored = self._sealing.opened(row)
        values = self._news(new, stored, is_newer=is_newer)
        outcome = Outcome.UPDATED if values else Outcome.UNCHANGED
        if values and _needs_login(row):
            values["condition"] = None
        if stored.removed:
            outcome = Outcome.ADDED
            values |= {
                "removed_reason": "",
                "name": new.name,
                "group_name": new.group,
                "enabled": new.enabled,
                "position": await free_position(self._connection),
            }
        # Whatever it was, a person wants it here now: it does not go with its entry any more.
        values["source"] = new.source
        await change_account(self._connection, row.id, values)
        return outcome

    def _news(self, new: NewAccount, stored: StoredAccount, *, is_newer: bool) -> Values:
        """Return the columns in which `new` knows better than `stored`."""
        values: Values = {}
        wanted = corrected(stored.credential, new.credential)
        # A token that is known and not the current one is older than that: good only for a try.
        condition = stored.condition
        if is_newer or (condition and condition.standing is Standing.NEEDS_LOGIN):
            wanted = _with_tokens_of(wanted, new.credential)
        if wanted != stored.credential:
            values |= self._sealing.credential_values(stored.id, wanted)
        has_new_login = wanted.refresh_token != stored.credential.refresh_token
        if has_new_login or _outlives(new.access_token, stored.access_token):
            values |= self._sealing.access_token_values(stored.id, new.access_token)
        if values:
            values["version"] = stored.version + 1
        if new.profile_arn and new.profile_arn != stored.profile_arn:
            values |= {"profile_arn": new.profile_arn, "route": ""}
        return values

    async def note_user(self, account_id: str, digests: list[str]) -> str | None:
        """Note the user of an account; return the account of the same user that it is now part of.

        `digests` are those of the user's id under all keys, the newest first.
        """
        query = select(ACCOUNTS).where(ACCOUNTS.c.removed_reason == "")
        rows = (await self._connection.execute(query.order_by(ACCOUNTS.c.position))).all()
        own = next((row for row in rows if row.id == account_id), None)
        if own is None:
            return None
        other = twin_of(own, list(rows), digests)
        if other is None:
            await change_account(self._connection, own.id, {"user_id": digests[0]})
            return None
        await self._identities.hand_over(self._connection, of=own.id, to=other.id)
        reason = f"the same user as {other.name}"
        await change_account(self._connection, own.id, {"removed_reason": reason, "entry": b""})
        if _needs_login(other):
            await change_account(self._connection, other.id, self._login_of(own, other))
        return str(other.id)

    def _login_of(self, own: AccountRow, other: AccountRow) -> Values:
        """Return the columns that let `other` go on with the login of `own`."""
        account = self._sealing.opened(own)
        values = self._sealing.credential_values(other.id, account.credential)
        values |= self._sealing.access_token_values(other.id, account.access_token)
        return values | {
            "version": other.version + 1,
            "condition": own.condition,
            "profile_arn": own.profile_arn,
            "route": own.route,
        }


def twin_of(own: AccountRow, rows: list[AccountRow], digests: list[str]) -> AccountRow | None:
    """Return the other account of the same user and group that `own` becomes part of, if any.

    Groups are isolated, so each keeps its own; and one that a person has disabled takes nothing in.
    """
    for row in rows:
        is_other = row.id != own.id and row.group_name == own.group_name
        if is_other and row.enabled and row.user_id in digests:
            return row
    return None


def _with_tokens_of(credential: Credential, newer: Credential) -> Credential:
    return msgspec.structs.replace(
        credential,
        refresh_token=newer.refresh_token,
        client_id=newer.client_id,
        api_key=newer.api_key,
    )


def _outlives(new: AccessToken | None, stored: AccessToken | None) -> bool:
    return new is not None and (stored is None or new.expires_at > stored.expires_at)


def _needs_login(row: AccountRow) -> bool:
    condition = condition_of(row)
    return condition is not None and condition.standing is Standing.NEEDS_LOGIN
