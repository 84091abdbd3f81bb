"""The client keys in the database, by their digests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_replace
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kiro2api.gateway.ports import StoredKey
from kiro2api.protocol.wire import json
from kiro2api.store.engine import reading, writing
from kiro2api.store.revision import changing
from kiro2api.store.tables import CLIENT_KEYS

# The key that the first start makes when no other is named: it is the one of this id and name.
GENERATED = "default"
_COLUMNS = CLIENT_KEYS.c


class SqlKeys:
    """Implements `gateway.ports.ClientKeyStore`; belongs to the `Store` it comes from."""

    def __init__(self, engine: AsyncEngine, *, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._new_id = new_id

    async def keys(self) -> list[StoredKey]:
        """Return all keys, the oldest first.

        Raises:
            StoreError: the database cannot be read.
        """
        query = select(CLIENT_KEYS).order_by(_COLUMNS.created_at, _COLUMNS.name)
        async with reading(self._engine, "The client keys were not read") as connection:
            rows = (await connection.execute(query)).all()
        return [_key(row) for row in rows]

    async def create(
        self,
        *,
        name: str,
        digest: bytes,
        now: float,
        groups: Sequence[str] = (),
        models: Sequence[str] = (),
        expires_at: float | None = None,
    ) -> StoredKey | None:
        """Return the new key; None when there is one of that name.

        Raises:
            StoreError: nothing was saved.
        """
        key = StoredKey(
            id=self._new_id(),
            name=name,
            digest=digest,
            groups=tuple(groups),
            models=tuple(models),
            expires_at=expires_at,
            created_at=now,
        )
        async with changing(self._engine, "The client key was not saved") as connection:
            if await _is_taken(connection, name):
                return None
            await connection.execute(insert(CLIENT_KEYS).values(_values(key)))
        return key

    async def edit(
        self,
        key_id: str,
        *,
        name: str | None = None,
        digest: bytes | None = None,
        enabled: bool | None = None,
        groups: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        expires_at: float | UnsetType | None = UNSET,
    ) -> bool:
        """Set what is given; False when there is no such key, or another one has that name.

        Raises:
            StoreError: nothing was saved.
        """
        values: dict[str, object] = {"name": name, "digest": digest, "enabled": enabled}
        values |= {
            "groups": None if groups is None else json.encode(list(groups)),
            "models": None if models is None else json.encode(list(models)),
        }
        values = {name: value for name, value in values.items() if value is not None}
        if expires_at is not UNSET:
            values["expires_at"] = expires_at
        async with changing(self._engine, "The client key was not saved") as connection:
            if name is not None and await _is_taken(connection, name, beside=key_id):
                return False
            # At least this one is set, so that the answer is right when nothing is given.
            change = update(CLIENT_KEYS).where(_COLUMNS.id == key_id).values({"id": key_id})
            return (await connection.execute(change.values(values))).rowcount > 0

    async def delete(self, key_id: str) -> bool:
        """Forget the key; False when there is no such key.

        Raises:
            StoreError: the key is still known.
        """
        async with changing(self._engine, "The client key was not forgotten") as connection:
            gone = await connection.execute(delete(CLIENT_KEYS).where(_COLUMNS.id == key_id))
            return gone.rowcount > 0

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last, by id; times that are older than the noted are left.

        Raises:
            StoreError: nothing was noted.
        """
        async with writing(self._engine, "The use of client keys was not noted") as connection:
            for key_id, at in used.items():
                older = or_(_COLUMNS.last_used_at.is_(None), _COLUMNS.last_used_at < at)
                change = update(CLIENT_KEYS).where(_COLUMNS.id == key_id, older)
                await connection.execute(change.values(last_used_at=at))

    async def generated_key_digest(self) -> bytes | None:
        """Return the digest of the key made on the first start; None when there is none.

        Raises:
            StoreError: the database cannot be read.
        """
        query = select(_COLUMNS.digest).where(_COLUMNS.id == GENERATED)
        async with reading(self._engine, "The client key was not read") as connection:
            digest: bytes | None = await connection.scalar(query)
        return digest

    async def save_generated_key_digest(self, digest: bytes, *, now: float = 0.0) -> None:
        """Replace the digest of the generated key; it opens everything again.

        Raises:
            StoreError: nothing was saved.
        """
        key = StoredKey(id=GENERATED, name=GENERATED, digest=digest, created_at=now)
        new = insert_or_replace(CLIENT_KEYS).values(_values(key))
        async with changing(self._engine, "The client key was not saved") as connection:
            await connection.execute(
                new.on_conflict_do_update(index_elements=[_COLUMNS.id], set_=_values(key))
            )

    async def forget_generated_key(self) -> None:
        """Be as before the first start: there is no generated key.

        Raises:
            StoreError: the key is still known.
        """
        await self.delete(GENERATED)


async def _is_taken(connection: AsyncConnection, name: str, *, beside: str = "") -> bool:
    # The generated key may come back at any time, by its name.
    if name == GENERATED and beside != GENERATED:
        return True
    query = select(_COLUMNS.id).where(_COLUMNS.name == name, _COLUMNS.id != beside)
    return await connection.scalar(query) is not None


def _values(key: StoredKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "digest": key.digest,
        "enabled": key.enabled,
        "groups": json.encode(key.groups),
        "models": json.encode(key.models),
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
    }


def _key(row: Row[Any]) -> StoredKey:  # SQLAlchemy types no members of a row
    return StoredKey(
        id=row.id,
        name=row.name,
        digest=row.digest,
        enabled=row.enabled,
        groups=json.decode(row.groups, tuple[str, ...]),
        models=json.decode(row.models, tuple[str, ...]),
        expires_at=row.expires_at,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
