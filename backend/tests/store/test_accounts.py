"""The accounts in the database."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiro2api import logs
from kiro2api.errors import StoreError
from kiro2api.gateway.ports import AccessToken, ConfiguredAccount, StoredAccount, SyncReport
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.protocol.codewhisperer.auth import AuthKind, Credential
from kiro2api.store.opening import Store
from tests.support.stores import SECRET_KEY, idc, limit, locked, opened, social, with_store

SOURCES = Path(__file__).parents[2] / "src"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/A"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the place of a database that is not there yet."""
    return tmp_path / "k.db"


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


def test_both_parts_of_a_registration_come_back(path: Path) -> None:
    start(path, idc("token", "id", "secret"))

    assert stored(path)[0].credential == Credential(
        AuthKind.IDC, "token", client_id="id", client_secret="secret"
    )


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


def test_an_entry_with_the_current_token_is_the_account_too(path: Path) -> None:
    start(path, idc("configured"))
    rotated(path, "a1", "rotated")

    assert start(path, idc("rotated")).kept == ("a1",)


def test_an_entry_that_once_matched_matches_for_good(path: Path) -> None:
    start(path, social("configured"))
    rotated(path, "a1", "rotated")
    start(path, social("rotated"))
    rotated(path, "a1", "rotated again", version=2)

    assert start(path, social("rotated")).kept == ("a1",)
    assert start(path, social("configured")).kept == ("a1",)
    assert refresh_tokens(path) == ["rotated again"]


def test_a_token_that_was_only_passed_through_is_forgotten(path: Path) -> None:
    start(path, social("configured"))
    rotated(path, "a1", "first rotation")
    rotated(path, "a1", "second rotation", version=2)

    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM credential_digests").fetchone() == (2,)
    connection.close()


def test_a_rotation_that_keeps_the_token_loses_no_identity(path: Path) -> None:
    start(path, idc("same"))
    rotated(path, "a1", "same")
    rotated(path, "a1", "other", version=2)

    assert start(path, idc("same")).kept == ("a1",)


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


def test_a_removed_account_is_gone_for_whoever_asks_for_it(path: Path) -> None:
    start(path, social("one"))
    start(path)

    assert with_store(path, lambda s: s.accounts.account("a1")) is None


def test_an_account_can_be_asked_for_alone(path: Path) -> None:
    start(path, social("one"))

    account = with_store(path, lambda s: s.accounts.account("a1"))

    assert account == stored(path)[0]
    assert with_store(path, lambda s: s.accounts.account("other")) is None


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


@pytest.mark.parametrize("other", [social("token"), idc("token", "other id"), idc("other token")])
def test_another_kind_client_or_token_is_another_account(
    path: Path, other: ConfiguredAccount
) -> None:
    report = start(path, idc("token"), msgspec.structs.replace(other, index=1))

    assert report.added == ("a1", "a2")


def test_parts_of_an_identity_do_not_run_into_each_other(path: Path) -> None:
    report = start(path, idc("c", "ab"), idc("bc", "a", index=1))

    assert report.added == ("a1", "a2")


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
    assert connection.execute("SELECT id, removed FROM accounts").fetchall() == [("a1", 1)]
    connection.close()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(starts=st.lists(st.lists(st.sampled_from("ABCD"), unique=True), min_size=1, max_size=5))
def test_after_any_run_of_starts_the_accounts_are_the_entries_of_the_last(
    tmp_path_factory: pytest.TempPathFactory, starts: Sequence[Sequence[str]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "k.db"

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


def test_a_rotation_of_an_older_version_changes_nothing(path: Path) -> None:
    start(path, social("configured"))
    assert rotated(path, "a1", "first") is True

    assert rotated(path, "a1", "late") is False

    assert refresh_tokens(path) == ["first"]
    assert start(path, social("late")).kept == ()


def test_a_rotation_of_an_account_that_is_not_there_is_refused(path: Path) -> None:
    assert rotated(path, "nobody", "token") is False


def test_a_rotation_keeps_the_profile_that_the_upstream_does_not_tell(path: Path) -> None:
    start(path, social("one"))
    rotated(path, "a1", "two", profile_arn=ARN)
    rotated(path, "a1", "three", version=2)

    assert stored(path)[0].profile_arn == ARN


def test_of_two_engines_that_rotate_at_once_one_wins(path: Path) -> None:
    start(path, social("configured"))

    async def race() -> list[bool]:
        async with opened(path, busy_timeout_s=30) as one, opened(path, busy_timeout_s=30) as two:
            stores = [one, two] * 5
            return await asyncio.gather(
                *(rotate(store, "a1", f"t{n}") for n, store in enumerate(stores))
            )

    results = asyncio.run(race())

    assert results.count(True) == 1
    assert refresh_tokens(path) == [f"t{results.index(True)}"]


def test_of_programs_that_rotate_at_once_one_wins(path: Path) -> None:
    start(path, social("configured"))
    script = f"""
import asyncio, pathlib, sys
from kiro2api.gateway.ports import AccessToken
from kiro2api.store.opening import open_store
async def run():
    store = await open_store(pathlib.Path(sys.argv[1]), secret_key={SECRET_KEY!r})
    sys.stdin.readline()
    print(await store.accounts.save_rotation("a1", version=1, refresh_token=sys.argv[2],
        access_token=AccessToken("x", 1.0), profile_arn=""))
    await store.close()
asyncio.run(run())
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), f"t{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(SOURCES)},
        )
        for n in range(3)
    ]

    answers = [process.communicate("go\n")[0] for process in running]

    assert sorted(answers) == ["False\n", "False\n", "True\n"]
    assert refresh_tokens(path) == [f"t{answers.index('True' + chr(10))}"]


def test_a_killed_program_has_saved_what_it_reported_as_saved(path: Path) -> None:
    start(path, social("configured"))
    script = f"""
import asyncio, os, pathlib, signal, sys
from kiro2api.gateway.ports import AccessToken
from kiro2api.store.opening import open_store
async def run():
    store = await open_store(pathlib.Path(sys.argv[1]), secret_key={SECRET_KEY!r})
    await store.accounts.save_rotation("a1", version=1, refresh_token="rotated",
        access_token=AccessToken("x", 1.0), profile_arn="")
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(run())
"""

    subprocess.run([sys.executable, "-c", script, str(path)], env={"PYTHONPATH": str(SOURCES)})

    assert refresh_tokens(path) == ["rotated"]


def test_a_rotation_into_a_read_only_database_is_an_error(path: Path) -> None:
    start(path, social("configured"))

    async def fail() -> None:
        async with opened(path) as store:
            await limit(store.accounts._engine, "query_only = ON")
            await rotate(store, "a1", "rotated")

    with pytest.raises(StoreError, match=r"new credential was not saved: .*readonly"):
        asyncio.run(fail())

    assert refresh_tokens(path) == ["configured"]


def when_the_disk_is_full(path: Path, call: str) -> str:
    """Return what `call` raises in a process whose files cannot grow any more."""
    script = f"""
import asyncio, pathlib, resource, signal, sys
from kiro2api.errors import StoreError
from kiro2api.gateway.ports import AccessToken
from kiro2api.store.opening import open_store
async def run():
    store = await open_store(pathlib.Path(sys.argv[1]), secret_key={SECRET_KEY!r})
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
    try:
        await store.accounts.{call}
    except StoreError as error:
        print("StoreError:", error)
    await store.close()
asyncio.run(run())
"""
    command = [sys.executable, "-B", "-c", script, str(path)]
    return subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCES)}
    ).stdout


def test_a_rotation_onto_a_full_disk_is_an_error_and_changes_nothing(path: Path) -> None:
    start(path, social("configured"))

    said = when_the_disk_is_full(
        path,
        'save_rotation("a1", version=1, refresh_token="rotated", '
        'access_token=AccessToken("x", 1.0), profile_arn="")',
    )

    assert said.startswith("StoreError: The new credential was not saved: ")
    assert "disk" in said
    assert refresh_tokens(path) == ["configured"]


def test_a_full_disk_is_found_out_beforehand(path: Path) -> None:
    start(path, social("configured"))

    said = when_the_disk_is_full(path, "prove_writable()")

    assert said.startswith("StoreError: The database takes no changes: ")
    assert "disk" in said


def test_a_locked_database_fails_writes_and_still_serves_reads(path: Path) -> None:
    start(path, social("configured"))

    async def work() -> list[StoredAccount]:
        async with opened(path) as store:
            with locked(path):
                for write in (
                    rotate(store, "a1", "rotated"),
                    store.accounts.save_condition("a1", Condition()),
                    store.accounts.save_models("a1", models=b"[]", fetched_at=1.0),
                    store.accounts.prove_writable(),
                ):
                    with pytest.raises(StoreError, match="database is locked"):
                        await write
                return await store.accounts.accounts()

    assert len(asyncio.run(work())) == 1


def test_a_read_only_database_is_found_out_beforehand(path: Path) -> None:
    async def prove() -> None:
        async with opened(path) as store:
            await store.accounts.prove_writable()
            await limit(store.accounts._engine, "query_only = ON")
            await store.accounts.prove_writable()

    with pytest.raises(StoreError, match="takes no changes"):
        asyncio.run(prove())


def test_a_condition_survives_a_restart(path: Path) -> None:
    start(path, social("one"))
    condition = Condition(
        Standing.DRAINED,
        reason="month used up",
        since=1.5,
        until=2.5,
        strikes=3,
        soft_strikes=4,
        soft_until=5.5,
        models={"claude-opus-4.5": ModelRefusal(until=6.5, reason="unknown")},
    )

    with_store(path, lambda s: s.accounts.save_condition("a1", condition))

    assert stored(path)[0].condition == condition


def test_a_list_of_models_survives_a_restart_byte_by_byte(path: Path) -> None:
    start(path, social("one"))

    with_store(
        path, lambda s: s.accounts.save_models("a1", models=b'{"models": [ ]}', fetched_at=7.5)
    )

    assert (stored(path)[0].models, stored(path)[0].models_fetched_at) == (b'{"models": [ ]}', 7.5)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts SET condition = '{'",
        "UPDATE accounts SET refresh_token = client_secret",
        "UPDATE accounts SET refresh_token = (SELECT refresh_token FROM accounts WHERE id = 'a2')",
    ],
)
def test_a_row_that_was_changed_by_hand_is_an_error(path: Path, change: str) -> None:
    start(path, idc("one"), idc("two", index=1))
    connection = sqlite3.connect(path)
    connection.execute(f"{change} WHERE id = 'a1'")
    connection.commit()
    connection.close()

    with pytest.raises(StoreError, match="a1"):
        stored(path)


def test_no_secret_is_in_the_repr_of_an_account(path: Path) -> None:
    start(path, idc("planted-token", client_secret="planted-secret"))
    rotated(path, "a1", "planted-rotated")

    assert "planted" not in repr(stored(path))


def test_every_secret_of_an_account_is_kept_out_of_the_log(path: Path) -> None:
    start(path, idc("token-of-no-known-shape", client_secret="secret-of-no-known-shape"))
    rotated(path, "a1", "rotated-of-no-known-shape")

    said = "token-of-no-known-shape secret-of-no-known-shape rotated-of-no-known-shape "
    said += "access for rotated-of-no-known-shape"

    assert "known-shape" not in logs.mask(said)


def test_secrets_that_were_only_read_are_kept_out_of_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(path, social("token-of-no-known-shape"))
    monkeypatch.setattr(logs, "_log", logs._Log())

    stored(path)

    assert "known-shape" not in logs.mask("token-of-no-known-shape")
