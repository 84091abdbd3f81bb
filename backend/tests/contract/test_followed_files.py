"""An account whose login another program keeps in its database, while both run (case 15)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kiro2api.compose import open_accounts
from kiro2api.config import Installation, Settings, load
from kiro2api.gateway.ports import NewAccount, StoredAccount
from kiro2api.pool.account import Condition, Standing
from kiro2api.store.credential_files import read_file
from kiro2api.store.opening import Store
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.foreign_files import long, put, write_cli_database
from tests.support.stores import with_store

KEY = "kirocli:social:token"
PAST = "2020-01-01T00:00:00Z"
FUTURE = "2100-01-01T00:00:00Z"


class Shared:
    """The database of the other program, and ours, whose account follows it."""

    def __init__(self, folder: Path, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.emulator.add_account("a", kind="social", refresh_token=long("first"))
        self.path = folder / "data.sqlite3"
        self.ours = folder / "kiro2api.db"
        self.program = write_cli_database(self.path, {KEY: self.token(long("first"))})
        self.source = f"follow:{self.path}"
        (new,) = read_file(self.path).new_accounts(source=self.source)
        with_store(self.ours, lambda store: store.accounts.add(new))

    @staticmethod
    def token(refresh_token: str, *, bearer: str = "none", expires_at: str = PAST) -> Any:
        return {
            "access_token": bearer,
            "refresh_token": refresh_token,
            "expires_at": expires_at,
            "provider": "google",
        }

    @property
    def account(self) -> EmulatedAccount:
        return self.emulator.account("a")

    def stored(self) -> StoredAccount:
        (account,) = with_store(self.ours, lambda store: store.accounts.accounts())
        return account

    def bearer(self, *, renew: bool = False) -> str:
        """Return the bearer that a gateway on our store would send now; a start of its own."""
        installation = Installation(self.ours.parent, self.ours.parent, ())
        url = self.emulator.url
        settings = load({"social_endpoint": url}, {}, installation=installation)

        async def work(store: Store) -> str:
            async with open_accounts(settings, store) as accounts:
                (entry,) = accounts.roster.entries()
                if renew:
                    return (await accounts.renewal.renew(entry)).value
                return await accounts.renewal.fresh_token(entry)

        return with_store(self.ours, work)


@pytest.fixture
def shared(tmp_path: Path, emulator: RunningEmulator) -> Iterator[Shared]:
    """Return both databases, the other program running."""
    found = Shared(tmp_path, emulator)
    with closing(found.program):
        yield found


def test_a_login_that_the_other_program_has_rotated_is_followed(shared: Shared) -> None:
    shared.emulator.add_account("b", kind="social", refresh_token=long("second"))
    put(shared.program, KEY, shared.token(long("second")))

    bearer = shared.bearer()

    assert bearer == shared.emulator.account("b").access_token
    assert shared.account.refreshes == 0


def test_a_good_bearer_of_the_other_program_is_used_without_a_refresh(shared: Shared) -> None:
    put(shared.program, KEY, shared.token(long("first"), bearer="theirs", expires_at=FUTURE))

    assert (shared.bearer(), shared.account.refreshes) == ("theirs", 0)


def test_a_login_that_we_have_rotated_is_not_undone_by_the_file(shared: Shared) -> None:
    shared.bearer()
    shared.bearer(renew=True)
    shared.bearer(renew=True)

    assert (shared.account.refreshes, shared.account.dead_token_uses) == (3, 0)


def test_a_new_login_in_the_file_is_taken_after_ours_has_moved_on(shared: Shared) -> None:
    shared.bearer()
    shared.emulator.add_account("b", kind="social", refresh_token=long("second"))
    put(shared.program, KEY, shared.token(long("second")))

    assert shared.bearer(renew=True) == shared.emulator.account("b").access_token
    assert shared.bearer(renew=True) == shared.emulator.account("b").access_token
    assert shared.emulator.account("b").dead_token_uses == 0


def test_a_new_login_in_the_file_ends_the_verdict_that_asked_for_one(shared: Shared) -> None:
    account_id = shared.stored().id
    verdict = Condition(Standing.NEEDS_LOGIN, "the login was refused", 1.0)
    with_store(shared.ours, lambda store: store.accounts.save_condition(account_id, verdict))
    put(shared.program, KEY, shared.token(long("second")))

    async def look(store: Store) -> None:
        async with open_accounts(Settings(), store) as accounts:
            await accounts.following.look()

    with_store(shared.ours, look)

    assert shared.stored().condition is None
    assert shared.stored().credential.refresh_token == long("second")


def test_nothing_is_written_to_the_other_programs_files(shared: Shared) -> None:
    before = {path.name: path.read_bytes() for path in shared.path.parent.glob("data*")}

    shared.bearer()

    assert {path.name: path.read_bytes() for path in shared.path.parent.glob("data*")} == before


def test_a_file_that_is_gone_leaves_the_account_as_it_was(shared: Shared) -> None:
    for path in shared.path.parent.glob("data*"):
        path.unlink()

    assert shared.bearer() == shared.account.access_token


def test_an_import_without_following_stays_a_copy(shared: Shared) -> None:
    copy = NewAccount(
        name="copy", group="default", source="import", credential=shared.stored().credential
    )
    with_store(shared.ours, lambda store: store.accounts.add(copy))
    put(shared.program, KEY, shared.token(long("second")))

    assert shared.bearer() == shared.account.access_token
    assert shared.stored().credential.refresh_token == shared.account.refresh_token
