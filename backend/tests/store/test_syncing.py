"""A start with the accounts of the configuration."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiro2api.errors import StoreError
from kiro2api.gateway.ports import AccessToken, StoredAccount, SyncReport
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.store.opening import Store
from tests.support.stores import (
    idc,
    imported,
    limit,
    new_database,
    opened,
    refresh_tokens,
    rotated,
    social,
    start,
    stored,
    with_store,
)

ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/A"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an empty database."""
    return new_database(tmp_path / "k.db")


def test_a_configured_account_is_in_the_store_after_the_start(path: Path) -> None:
    report = start(path, social("your-token"))

    assert report == SyncReport(added=("a1",), kept=(), removed=())
    assert stored(path) == [
        StoredAccount(
            id="a1",
            name="account 1",
            group="default",
            position=0,
            enabled=True,
            credential=Credential(AuthKind.SOCIAL, "your-token"),
            version=1,
        )
    ]


def test_the_same_entries_again_make_no_second_account(path: Path) -> None:
    entries = (social("one"), social("two", index=1), idc("three", index=2))
    first = start(path, *entries)

    second = start(path, *entries)

    assert second == SyncReport(added=(), kept=first.added, removed=())
    assert len(stored(path)) == 3


def test_a_rotated_token_survives_the_restart_with_the_stale_entry(path: Path) -> None:
    start(path, social("configured"))
    rotated(path, "a1", "rotated")

    report = start(path, social("configured"))

    assert report.kept == ("a1",)
    (account,) = stored(path)
    assert account.credential.refresh_token == "rotated"
    assert account.access_token == AccessToken("access for rotated", 1_000.5)
    assert account.version == 2


def test_a_changed_value_replaces_the_account(path: Path) -> None:
    start(path, social("old"))

    report = start(path, social("new"))

    assert report == SyncReport(added=("a2",), kept=(), removed=("a1",))
    assert refresh_tokens(path) == ["new"]


def test_an_account_that_comes_back_is_the_one_it_was(path: Path) -> None:
    (first,) = start(path, social("one")).added
    rotated(path, first, "rotated")
    assert start(path).removed == (first,)
    assert stored(path) == []

    report = start(path, social("one"))

    assert report == SyncReport(added=(first,), kept=(), removed=())
    assert refresh_tokens(path) == ["rotated"]


def test_a_removed_account_is_not_reported_as_removed_again(path: Path) -> None:
    start(path, social("one"))
    start(path)

    assert start(path).removed == ()


def test_order_name_group_and_wish_follow_the_entries(path: Path) -> None:
    start(path, social("one"), social("two", index=1))

    start(
        path,
        social("two", name="second", group="pro", enabled=False),
        social("one", index=1),
    )

    first, second = stored(path)
    assert (first.credential.refresh_token, first.position) == ("two", 0)
    assert (first.name, first.group, first.enabled) == ("second", "pro", False)
    assert (second.credential.refresh_token, second.position) == ("one", 1)


def test_an_entry_that_names_a_profile_is_obeyed_and_one_without_changes_none(path: Path) -> None:
    start(path, social("one", profile_arn=ARN))
    assert stored(path)[0].profile_arn == ARN

    start(path, social("one"))
    assert stored(path)[0].profile_arn == ARN

    start(path, social("one", profile_arn=ARN + "B"))
    assert stored(path)[0].profile_arn == ARN + "B"


def test_a_corrected_client_secret_is_taken_over_and_ends_the_verdict_it_caused(
    path: Path,
) -> None:
    start(path, idc("token", client_secret="wrong"))
    verdict = Condition(Standing.NEEDS_LOGIN, reason="refused")
    with_store(path, lambda s: s.accounts.save_condition("a1", verdict))

    report = start(path, idc("token", client_secret="right"))

    (account,) = stored(path)
    assert report.kept == ("a1",)
    assert account.credential.client_secret == "right"
    assert account.credential.refresh_token == "token"
    assert account.version == 2
    assert account.condition is None


def test_a_verdict_stays_when_the_entry_is_the_same(path: Path) -> None:
    start(path, idc("token"))
    verdict = Condition(Standing.NEEDS_LOGIN, reason="refused")
    with_store(path, lambda s: s.accounts.save_condition("a1", verdict))

    start(path, idc("token"))

    assert stored(path)[0].condition == verdict
    assert stored(path)[0].version == 1


def test_other_verdicts_outlive_a_corrected_secret(path: Path) -> None:
    start(path, idc("token", client_secret="wrong"))
    verdict = Condition(Standing.DRAINED, reason="month used up", until=9e9)
    with_store(path, lambda s: s.accounts.save_condition("a1", verdict))

    start(path, idc("token", client_secret="right"))

    assert stored(path)[0].condition == verdict


def test_a_second_entry_for_an_account_is_reported_and_changes_nothing(path: Path) -> None:
    start(path, social("configured"))
    rotated(path, "a1", "rotated")

    report = start(
        path, social("configured", name="first"), social("rotated", index=1, name="second")
    )

    assert report == SyncReport(added=(), kept=("a1",), removed=(), duplicates=(1,))
    assert [account.name for account in stored(path)] == ["first"]


def test_a_sync_that_fails_changes_nothing(path: Path) -> None:
    start(path, social("one"))

    async def sync() -> None:
        async with opened(path) as store:
            await store.accounts.sync_configured([])
            await limit(store.accounts._engine, "query_only = ON")
            await store.accounts.sync_configured([social("two")])

    with pytest.raises(StoreError, match="accounts were not saved"):
        asyncio.run(sync())

    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT id, removed_reason FROM accounts").fetchall()
    assert rows == [("a1", "removed from configuration")]
    connection.close()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(starts=st.lists(st.lists(st.sampled_from("ABCD"), unique=True), min_size=1, max_size=5))
def test_after_any_run_of_starts_the_accounts_are_the_entries_of_the_last(
    tmp_path_factory: pytest.TempPathFactory, starts: Sequence[Sequence[str]]
) -> None:
    path = new_database(tmp_path_factory.mktemp("store") / "k.db")

    async def run(store: Store) -> tuple[list[str], int]:
        seen: set[str] = set()
        for tokens in starts:
            entries = [social(token, index=index) for index, token in enumerate(tokens)]
            await store.accounts.sync_configured(entries)
            seen |= set(tokens)
        accounts = await store.accounts.accounts()
        return [account.credential.refresh_token for account in accounts], len(seen)

    tokens, distinct = with_store(path, run)

    connection = sqlite3.connect(path)
    assert tokens == list(starts[-1])
    assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (distinct,)
    connection.close()


def edit(path: Path, account_id: str, **values: object) -> None:
    assert with_store(path, lambda s: s.accounts.edit(account_id, **values))


def test_what_a_person_has_set_outlives_a_start_with_the_same_entry(path: Path) -> None:
    start(path, social("one"))
    edit(path, "a1", name="mine", group="pro", enabled=False, soft_cap=2)

    start(path, social("one"))

    (account,) = stored(path)
    assert (account.name, account.group, account.enabled) == ("mine", "pro", False)
    assert account.soft_cap == 2


def test_of_a_changed_entry_only_the_change_is_followed(path: Path) -> None:
    start(path, social("one"))
    edit(path, "a1", name="mine", enabled=False)

    start(path, social("one", group="pro"))

    (account,) = stored(path)
    assert (account.name, account.group, account.enabled) == ("mine", "pro", False)


def test_what_a_person_disabled_stays_so_when_its_entry_comes_back(path: Path) -> None:
    start(path, social("one"))
    edit(path, "a1", enabled=False)
    start(path)

    assert start(path, social("one")).added == ("a1",)
    assert stored(path)[0].enabled is False


def test_an_order_that_a_person_has_made_outlives_a_start_with_the_same_entries(
    path: Path,
) -> None:
    entries = (social("one"), social("two", index=1))
    start(path, *entries)
    edit(path, "a2", position=0)

    start(path, *entries)

    assert refresh_tokens(path) == ["two", "one"]


def test_another_order_of_the_entries_is_followed_before_all_other_accounts(path: Path) -> None:
    start(path, social("one"), social("two", index=1))
    with_store(path, lambda s: s.accounts.add(imported("three")))
    edit(path, "a3", position=0)
    assert refresh_tokens(path) == ["three", "one", "two"]

    start(path, social("two"), social("one", index=1))

    assert refresh_tokens(path) == ["two", "one", "three"]


def test_what_a_person_removed_stays_out_while_its_entry_is_there(path: Path) -> None:
    start(path, social("one"), social("two", index=1))
    with_store(path, lambda s: s.accounts.remove("a1", "tidied up"))

    report = start(path, social("one"), social("two", index=1))

    assert report == SyncReport(added=(), kept=("a2",), removed=())
    assert [account.id for account in stored(path)] == ["a2"]


def test_what_a_person_removed_comes_back_with_an_entry_that_had_gone(path: Path) -> None:
    start(path, social("one"))
    with_store(path, lambda s: s.accounts.remove("a1", "tidied up"))
    assert start(path).removed == ()

    assert start(path, social("one")).added == ("a1",)


def test_an_imported_account_follows_its_entry_and_outlives_it(path: Path) -> None:
    with_store(path, lambda s: s.accounts.add(imported("one")))

    assert start(path, social("one", name="of the entry", group="pro")).kept == ("a1",)
    assert (stored(path)[0].name, stored(path)[0].group) == ("of the entry", "pro")
    assert start(path).removed == ()
    assert start(path, social("one", name="another")).kept == ("a1",)
    assert stored(path)[0].name == "another"


def test_a_removed_account_is_told_with_its_reason(path: Path) -> None:
    start(path, social("one"))
    start(path)

    (account,) = with_store(path, lambda s: s.accounts.all_accounts())
    assert account.removed == "removed from configuration"


def test_another_profile_in_an_entry_forgets_the_route_to_the_old_one(path: Path) -> None:
    start(path, social("one", profile_arn=ARN))
    with_store(path, lambda s: s.accounts.save_route("a1", "own/rest"))
    start(path, social("one", profile_arn=ARN))
    assert stored(path)[0].route == "own/rest"

    start(path, social("one", profile_arn=ARN + "B"))
    assert stored(path)[0].route == ""
