"""The database of a running gateway, looked at and changed as another process would do it."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from kiro2api.gateway.ports import GroupSettings, StoredAccount, StoredKey
from kiro2api.store.opening import Store
from tests.support.stores import opened

T = TypeVar("T")
CLIENT_KEY_PURPOSE = "client key"


class Database:
    """The database in `folder`, with the key that the gateway has made beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "kiro2api.db"

    def work(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Return what `work` gives for the store, opened as by a command line."""

        async def run() -> T:
            async with opened(self.path, secret_key="", busy_timeout_s=5.0) as store:
                return await work(store)

        return asyncio.run(run())

    def account(self, name: str) -> StoredAccount:
        """Return the account of that name, removed ones as well."""
        accounts = self.work(lambda store: store.accounts.all_accounts())
        return next(account for account in accounts if account.name == name)

    def set_group(self, name: str, *, strategy: str = "", soft_cap: int = 0) -> None:
        """Choose how a group chooses."""
        settings = GroupSettings(strategy=strategy, soft_cap=soft_cap)
        self.work(lambda store: store.groups.set_group(name, settings))

    def create_key(self, name: str, secret: str, **more: object) -> StoredKey:
        """Make a client key that is shown as `secret`."""

        async def create(store: Store) -> StoredKey | None:
            digest = store.ring.digest(CLIENT_KEY_PURPOSE, secret)
            return await store.keys.create(name=name, digest=digest, now=time.time(), **more)  # type: ignore[arg-type]

        key = self.work(create)
        assert key is not None
        return key

    def key(self, name: str) -> StoredKey:
        """Return the client key of that name as it is now."""
        keys = self.work(lambda store: store.keys.keys())
        return next(key for key in keys if key.name == name)

    def ask(self, sql: str, *values: object) -> Sequence[tuple[object, ...]]:
        """Return the rows of one statement, or make the change that it says."""
        with closing(sqlite3.connect(self.path, timeout=5.0)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def wait_for(self, sql: str, *, within_s: float = 10.0) -> None:
        """Return as soon as the only value of a query is true."""
        until = time.monotonic() + within_s
        while not self.ask(sql)[0][0]:
            if time.monotonic() > until:
                pytest.fail(f"not seen within {within_s} s: {sql}")
            time.sleep(0.02)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """The database of the gateways of `start_gateway`."""
    return Database(tmp_path)
