"""Accounts as rows: what is sealed on the way in and opened on the way out."""

from typing import Any

from sqlalchemy import Row

from kiro2api import logs
from kiro2api.errors import RequestError, StoreError
from kiro2api.gateway.ports import AccessToken, StoredAccount
from kiro2api.pool.account import Condition
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.wire import json
from kiro2api.secrets import KeyRing

AccountRow = Row[Any]  # SQLAlchemy types no members of a row
Values = dict[str, object]


class Sealing:
    """Turns accounts into rows and back; belongs to the accounts of one store.

    Every secret that passes through here is kept out of the log from then on.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def opened(self, row: AccountRow) -> StoredAccount:
        """Return the account in `row`.

        Raises:
            StoreError: a value in it was tampered with.
        """
        access_token = None
        if row.access_token is not None:
            access_token = AccessToken(self._open(row, "access_token"), row.access_expires_at)
        return StoredAccount(
            id=row.id,
            name=row.name,
            group=row.group_name,
            position=row.position,
            enabled=row.enabled,
            credential=self._credential(row),
            version=row.version,
            profile_arn=row.profile_arn,
            access_token=access_token,
            condition=condition_of(row),
            models=row.models,
            models_fetched_at=row.models_fetched_at,
            source=row.source,
            soft_cap=row.soft_cap,
            route=row.route,
            quota=row.quota,
            quota_fetched_at=row.quota_fetched_at,
            user_id=row.user_id,
            removed=row.removed_reason,
        )

    def credential_values(self, account_id: str, credential: Credential) -> Values:
        """Return the columns that hold `credential`."""
        api_key = credential.api_key
        return {
            "auth_kind": credential.kind.value,
            "region": credential.region,
            "client_id": credential.client_id,
            "client_secret": self._seal(account_id, "client_secret", credential.client_secret),
            "refresh_token": self._seal(account_id, "refresh_token", credential.refresh_token),
            "api_key": self._seal(account_id, "api_key", api_key) if api_key else None,
            "token_endpoint": credential.token_endpoint,
            "issuer_url": credential.issuer_url,
            "scopes": " ".join(credential.scopes),
            "start_url": credential.start_url,
            "provider": credential.provider,
        }

    def refresh_token_values(self, account_id: str, refresh_token: str) -> Values:
        """Return the column that holds `refresh_token`."""
        return {"refresh_token": self._seal(account_id, "refresh_token", refresh_token)}

    def access_token_values(self, account_id: str, token: AccessToken | None) -> Values:
        """Return the columns that hold `token`."""
        if token is None:
            return {"access_token": None, "access_expires_at": None}
        sealed = self._seal(account_id, "access_token", token.value)
        return {"access_token": sealed, "access_expires_at": token.expires_at}

    def _credential(self, row: AccountRow) -> Credential:
        return Credential(
            AuthKind(row.auth_kind),
            self._open(row, "refresh_token"),
            client_id=row.client_id,
            client_secret=self._open(row, "client_secret"),
            region=row.region,
            api_key="" if row.api_key is None else self._open(row, "api_key"),
            token_endpoint=row.token_endpoint,
            issuer_url=row.issuer_url,
            scopes=tuple(row.scopes.split()),
            start_url=row.start_url,
            provider=row.provider,
        )

    def _seal(self, account_id: str, column: str, plain: str) -> bytes:
        logs.hold_secret(f"{account_id}.{column}", plain)
        return self._ring.seal(plain, row=account_id, column=column)

    def _open(self, row: AccountRow, column: str) -> str:
        plain = self._ring.open(getattr(row, column), row=row.id, column=column)
        logs.hold_secret(f"{row.id}.{column}", plain)
        return plain


def condition_of(row: AccountRow) -> Condition | None:
    """Return the verdict that is kept in `row`; None when there is none.

    Raises:
        StoreError: it cannot be read.
    """
    if row.condition is None:
        return None
    try:
        return json.decode(row.condition, Condition)
    except RequestError:
        raise StoreError(f"The condition of account {row.id} cannot be read.") from None
