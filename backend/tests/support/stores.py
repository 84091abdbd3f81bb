"""Stores in temporary folders, and what can go wrong with their files."""

import asyncio
import contextlib
import functools
import itertools
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from kiro2api.gateway.ports import (
    AccessToken,
    ConfiguredAccount,
    NewAccount,
    StoredAccount,
    SyncReport,
)
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.store.engine import make_engine
from kiro2api.store.opening import Store, open_store
from kiro2api.store.schema import CURRENT, Schema, bring_up_to_date

T = TypeVar("T")
SECRET_KEY = "a key for the tests"
SOURCES = Path(__file__).parents[2] / "src"
# One run of ids per database, whatever the number of starts.
_NUMBERS: dict[Path, "itertools.count[int]"] = {}


@contextlib.asynccontextmanager
async def opened(
    path: Path,
    *,
    secret_key: str = SECRET_KEY,
    schema: Schema = CURRENT,
    busy_timeout_s: float = 0.05,
) -> AsyncIterator[Store]:
    """Lend a store whose ids are a1, a2 … and which hardly waits for locks."""
    numbers = _NUMBERS.setdefault(path, itertools.count(1))
    store = await open_store(
        path,
        secret_key=secret_key,
        busy_timeout_s=busy_timeout_s,
        new_id=lambda: f"a{next(numbers)}",
        schema=schema,
    )
    try:
        yield store
    finally:
        await store.close()


def new_database(path: Path) -> Path:
    """Make an empty database at `path` at the price of a copy."""
    path.write_bytes(_empty_database())
    return path


@functools.cache
def _empty_database() -> bytes:
    async def nothing(_store: Store) -> None: ...

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "k.db"
        with_store(path, nothing)
        return path.read_bytes()


@functools.cache
def database_before_the_first_start() -> bytes:
    """Return a database of today's schema and nothing else: no key was used on it yet."""

    async def make(path: Path) -> None:
        engine = make_engine(path, busy_timeout_s=1.0)
        try:
            await bring_up_to_date(engine, path, schema=CURRENT, busy_timeout_s=1.0)
        finally:
            await engine.dispose()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "k.db"
        asyncio.run(make(path))
        return path.read_bytes()


def with_store(path: Path, work: Callable[[Store], Awaitable[T]], **options: str) -> T:
    """Return what `work` gives for a freshly opened store; each call is a start of its own."""

    async def run() -> T:
        async with opened(path, **options) as store:
            return await work(store)

    return asyncio.run(run())


def social(token: str, *, index: int = 0, **more: object) -> ConfiguredAccount:
    """Return an entry for a Social login."""
    return _entry(Credential(AuthKind.SOCIAL, token), index, more)


def idc(
    token: str, client_id: str = "id", client_secret: str = "secret", *, index: int = 0
) -> ConfiguredAccount:
    """Return an entry for an IdC login."""
    credential = Credential(AuthKind.IDC, token, client_id=client_id, client_secret=client_secret)
    return _entry(credential, index, {})


def imported(token: str, **more: object) -> NewAccount:
    """Return a Social login that a person brings, or what `more` says."""
    values: dict[str, object] = {"name": "mine", "group": "default", "source": "import"}
    values["credential"] = Credential(AuthKind.SOCIAL, token)
    return NewAccount(**values | more)  # type: ignore[arg-type]


def _entry(credential: Credential, index: int, more: dict[str, object]) -> ConfiguredAccount:
    values = {"name": f"account {index + 1}", "group": "default", "enabled": True} | more
    return ConfiguredAccount(index=index, credential=credential, **values)  # type: ignore[arg-type]


def start(path: Path, *entries: ConfiguredAccount) -> SyncReport:
    """Do what a start with these entries does."""
    return with_store(path, lambda s: s.accounts.sync_configured(entries))


def stored(path: Path) -> list[StoredAccount]:
    return with_store(path, lambda s: s.accounts.accounts())


def refresh_tokens(path: Path) -> list[str]:
    return [account.credential.refresh_token for account in stored(path)]


async def rotate(
    store: Store, account_id: str, refresh_token: str, *, version: int = 1, profile_arn: str = ""
) -> bool:
    return await store.accounts.save_rotation(
        account_id,
        version=version,
        refresh_token=refresh_token,
        access_token=AccessToken(f"access for {refresh_token}", 1_000.5),
        profile_arn=profile_arn,
    )


def rotated(path: Path, account_id: str, refresh_token: str, **more: object) -> bool:
    return with_store(path, lambda s: rotate(s, account_id, refresh_token, **more))  # type: ignore[arg-type]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for writing as another program would."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


async def limit(engine: AsyncEngine, pragma: str) -> None:
    """Let every connection of `engine` from now on live under `pragma`."""
    await engine.dispose()

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
