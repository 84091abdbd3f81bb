"""The accounts with all that looks after them."""

import asyncio
from pathlib import Path

from kiro2api.compose.accounts import open_accounts, sync_accounts
from kiro2api.config import Installation, Settings
from kiro2api.protocol.wire.json import encode
from kiro2api.store.opening import open_store
from tests.support.emulator import RunningEmulator

ENTRIES = [
    {"auth": "Social", "refreshToken": "one", "name": "first"},
    {"auth": "IdC", "refreshToken": "two", "name": "incomplete"},
    {"auth": "Social", "refreshToken": "three", "name": "third", "group": "pro"},
]


def test_the_usable_entries_of_the_configuration_are_the_accounts(tmp_path: Path) -> None:
    settings = Settings(auth_token=encode(ENTRIES).decode())

    async def scene() -> list[tuple[str, str]]:
        store = await open_store(tmp_path / "my.db")
        try:
            await sync_accounts(settings, Installation(tmp_path, tmp_path, ()), store)
            async with open_accounts(settings, store) as accounts:
                members = [entry.account for entry in accounts.roster.entries()]
                return [(account.name, account.group) for account in members]
        finally:
            await store.close()

    assert asyncio.run(scene()) == [("first", "default"), ("third", "pro")]


def test_an_account_can_be_used_without_a_listener(
    tmp_path: Path, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one")
    settings = Settings(
        auth_token=encode([account.auth_entry()]).decode(),
        api_endpoint=emulator.url,
        social_endpoint=emulator.url,
        oidc_endpoint=emulator.url,
    )

    async def scene() -> tuple[bool, float | None]:
        store = await open_store(tmp_path / "my.db")
        try:
            await sync_accounts(settings, Installation(tmp_path, tmp_path, ()), store)
            async with open_accounts(settings, store) as accounts:
                entry = accounts.roster.entries()[0]
                await accounts.renewal.renew(entry)
                await accounts.catalogue.fetch(entry)
                await accounts.usage.poll(entry)
                return bool(entry.models), entry.account.credits
        finally:
            await store.close()

    has_models, credits = asyncio.run(scene())

    assert has_models
    assert credits is not None
