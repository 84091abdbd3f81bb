"""How a login is recognised as one that is there already: by keyed digests of its secrets."""

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.secrets import KeyRing
from kiro2api.store.tables import CREDENTIAL_DIGESTS

_PURPOSE = "identity of an account"
_COLUMNS = CREDENTIAL_DIGESTS.c


class Identities:
    """The digests in the database; belongs to the accounts of one store."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def find(self, connection: AsyncConnection, credential: Credential) -> str | None:
        """Return the id of the account that `credential` belongs to; None when it is a new one."""
        digests = self._ring.digests(_PURPOSE, identity(credential))
        query = select(_COLUMNS.account_id).where(_COLUMNS.digest.in_(digests))
        account_id: str | None = await connection.scalar(query)
        return account_id

    async def remember(
        self, connection: AsyncConnection, credential: Credential, account_id: str
    ) -> None:
        """Recognise the account by `credential` for good, also if it is only the current one now."""
        digest = self._ring.digest(_PURPOSE, identity(credential))
        new = insert(CREDENTIAL_DIGESTS).values(digest=digest, account_id=account_id, current=False)
        await connection.execute(
            new.on_conflict_do_update(index_elements=[_COLUMNS.digest], set_={"current": False})
        )

    async def replace_current(
        self, connection: AsyncConnection, credential: Credential, account_id: str
    ) -> None:
        """Recognise the account by `credential` until it is rotated again."""
        await connection.execute(
            delete(CREDENTIAL_DIGESTS).where(_COLUMNS.account_id == account_id, _COLUMNS.current)
        )
        digest = self._ring.digest(_PURPOSE, identity(credential))
        new = insert(CREDENTIAL_DIGESTS).values(digest=digest, account_id=account_id, current=True)
        await connection.execute(new.on_conflict_do_nothing())

    async def hand_over(self, connection: AsyncConnection, *, of: str, to: str) -> None:
        """Let whatever belonged to the account `of` belong to the account `to` for good."""
        change = update(CREDENTIAL_DIGESTS).where(_COLUMNS.account_id == of)
        await connection.execute(change.values(account_id=to, current=False))


def identity(credential: Credential) -> str:
    """Return what makes a login this one; the parts cannot run into each other."""
    kind = _way_of(credential.kind)
    secret = credential.api_key if kind is AuthKind.API_KEY else credential.refresh_token
    parts = (kind.value, credential.client_id, secret)
    return "\n".join(f"{len(part)}:{part}" for part in parts)


def is_same_kind(one: str, other: str) -> bool:
    """Tell whether logins of the kinds `one` and `other` can be the same login."""
    return _way_of(AuthKind(one)) is _way_of(AuthKind(other))


def _way_of(kind: AuthKind) -> AuthKind:
    # These two log in by one way, and not every file tells them apart.
    return AuthKind.IDC if kind is AuthKind.BUILDER_ID else kind
