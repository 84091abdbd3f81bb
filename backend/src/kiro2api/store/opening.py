"""Opening the database and its key at start: what is missing is made, what is wrong stops the start."""

import asyncio
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from kiro2api.errors import SetupError, StoreError
from kiro2api.secrets import KEY_FILE, KeyRing, make_key_file, read_keys
from kiro2api.store.accounts import SqlAccounts
from kiro2api.store.engine import (
    BUSY_TIMEOUT_S,
    make_engine,
    reading,
    use_write_ahead_log,
    writing,
)
from kiro2api.store.facts import read_fact, save_fact
from kiro2api.store.folder_lock import FolderLock, share
from kiro2api.store.groups import SqlGroups
from kiro2api.store.inspection import KEY_CHECK, SQLITE_HEADER
from kiro2api.store.keys import SqlKeys
from kiro2api.store.schema import CURRENT, Schema, Upgrade, bring_up_to_date

_ADVICE = "put it back from a backup, or move it away to start anew"
# Larger files are checked where they are read: reading all of one would hold up the start.
_MAX_CHECKED_BYTES = 32 * 1024 * 1024
# Six seconds: a little longer than a call waits for the lock of another program.
_QUIET_LOOKS, _QUIET_LOOK_S = 1200, 0.005


def _random_id() -> str:
    return secrets.token_hex(5)


class Store:
    """An open database; lives from start to stop, owned by whoever opened it.

    `upgrade` says what was done to the schema, None when nothing was; `is_new` that there was no
    database before.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        path: Path,
        ring: KeyRing,
        *,
        lock: FolderLock,
        upgrade: Upgrade | None,
        new_id: Callable[[], str],
    ) -> None:
        self.path = path
        self.ring = ring
        self.upgrade = upgrade
        self.is_new = upgrade is not None and not upgrade.before
        self.accounts = SqlAccounts(engine, ring, new_id=new_id)
        self.groups = SqlGroups(engine)
        self.keys = SqlKeys(engine, new_id=new_id)
        self._engine = engine
        self._lock = lock

    async def quiet(self) -> None:
        """Return at a moment when nothing is under way, or after some seconds without one.

        Whoever is cancelled inside a transaction may leave the database locked: what uses the store
        is to be cancelled at such a moment.
        """
        pool = self._engine.sync_engine.pool
        for _ in range(_QUIET_LOOKS):
            if not (isinstance(pool, QueuePool) and pool.checkedout()):
                return
            await asyncio.sleep(_QUIET_LOOK_S)

    async def close(self) -> None:
        """Close all connections; fine twice."""
        await self._engine.dispose()
        self._lock.release()


async def open_store(
    path: Path,
    *,
    secret_key: str = "",
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    new_id: Callable[[], str] = _random_id,
    schema: Schema = CURRENT,
) -> Store:
    """Return the store in the file at the absolute `path`, made together with its key if needed.

    `secret_key` is the operator's; without one the key is in `secret.key` beside the database.

    Raises:
        SetupError: one sentence for the operator; nothing was recreated.
    """
    lock = _lock(path)
    try:
        size_bytes = _prepare_file(path)
        engine = make_engine(path, busy_timeout_s=busy_timeout_s)
        try:
            await use_write_ahead_log(path, busy_timeout_s=busy_timeout_s)
            await _check(engine, size_bytes)
            upgrade = await bring_up_to_date(
                engine, path, schema=schema, busy_timeout_s=busy_timeout_s
            )
            ring = await _open_key(engine, path, secret_key)
        except BaseException:
            await engine.dispose()
            raise
    except StoreError as error:
        lock.release()
        raise _as_setup_error(path, str(error)) from None
    except BaseException:
        lock.release()
        raise
    return Store(engine, path, ring, lock=lock, upgrade=upgrade, new_id=new_id)


def _lock(path: Path) -> FolderLock:
    """Return the lock that keeps a restore away while the store is open; the folder is made."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"The database {path} cannot be opened: {error.strerror}.") from None
    return share(path.parent)


def _as_setup_error(path: Path, reason: str) -> SetupError:
    if "malformed" in reason or "not a database" in reason:
        return SetupError(f"The database {path} is damaged: {_ADVICE}.")
    return SetupError(f"The database {path} cannot be used: {reason.rstrip('.')}.")


def _prepare_file(path: Path) -> int:
    """Make the file if it is not there; return the size it had before."""
    key = path.parent / KEY_FILE
    try:
        size_bytes = path.stat().st_size if path.exists() else 0
        if not size_bytes and key.exists():
            raise SetupError(
                f"There is a secret key {key} but no database {path} to go with it: put the "
                f"database back from a backup, or move the key away to start anew."
            )
        # SQLite gives the files beside the database the mode of the database.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
            head = os.read(descriptor, len(SQLITE_HEADER))
        finally:
            os.close(descriptor)
        if size_bytes and head != SQLITE_HEADER:
            raise SetupError(f"{path} is damaged or no database: {_ADVICE}.")
        return size_bytes
    except OSError as error:
        raise SetupError(f"The database {path} cannot be opened: {error.strerror}.") from None


async def _check(engine: AsyncEngine, size_bytes: int) -> None:
    if size_bytes > _MAX_CHECKED_BYTES:
        return
    async with reading(engine, "it was not read") as connection:
        verdict = await connection.scalar(text("PRAGMA quick_check(1)"))
    if verdict != "ok":
        raise StoreError("quick_check: database disk image is malformed")


async def _open_key(engine: AsyncEngine, path: Path, given: str) -> KeyRing:
    """Return the keys that the values in the database were sealed with.

    The database remembers a sealed word since its first start. Only without it may a key be made:
    a start that was cut off between the two can simply be repeated.
    """
    keys = read_keys(path.parent, given)
    async with reading(engine, "the key was not checked") as connection:
        sealed = await read_fact(connection, KEY_CHECK)
    if sealed is None:
        keys = keys or make_key_file(path.parent)
        sealed = await _begin_key_check(engine, KeyRing(keys))
    if not keys:
        raise SetupError(
            f"The database {path} is there but its key {path.parent / KEY_FILE} is not: put the "
            f"key back from a backup, or set KIRO_SECRET_KEY if that was used."
        )
    ring = KeyRing(keys)
    try:
        ring.open(sealed, row="facts", column=KEY_CHECK)
    except StoreError:
        raise SetupError(
            f"The secrets in {path} were sealed with another key: set the KIRO_SECRET_KEY or put "
            f"back the {KEY_FILE} that they were sealed with."
        ) from None
    return ring


async def _begin_key_check(engine: AsyncEngine, ring: KeyRing) -> bytes:
    async with writing(engine, "the key was not checked") as connection:
        sealed = await read_fact(connection, KEY_CHECK)
        if sealed is None:  # else another program was faster, perhaps with another key
            sealed = ring.seal(KEY_CHECK, row="facts", column=KEY_CHECK)
            await save_fact(connection, KEY_CHECK, sealed)
    return sealed
