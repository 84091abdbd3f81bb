"""The accounts in the database."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from kiro2api.errors import StoreError
from kiro2api.gateway.ports import StoredAccount
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.store.opening import Store
from tests.support.stores import (
    SECRET_KEY,
    SOURCES,
    imported,
    limit,
    locked,
    new_database,
    opened,
    refresh_tokens,
    rotate,
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


def test_a_removed_account_is_gone_for_whoever_asks_for_it(path: Path) -> None:
    start(path, social("one"))
    start(path)

    assert with_store(path, lambda s: s.accounts.account("a1")) is None


def test_an_account_can_be_asked_for_alone(path: Path) -> None:
    start(path, social("one"))

    account = with_store(path, lambda s: s.accounts.account("a1"))

    assert account == stored(path)[0]
    assert with_store(path, lambda s: s.accounts.account("other")) is None


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


WRITES = {
    "sync": lambda s: s.accounts.sync_configured([]),
    "add": lambda s: s.accounts.add(imported("two")),
    "edit": lambda s: s.accounts.edit("a1", name="other"),
    "remove": lambda s: s.accounts.remove("a1", "tidied up"),
    "user": lambda s: s.accounts.set_user_id("a1", "user"),
    "rotation": lambda s: rotate(s, "a1", "rotated"),
    "condition": lambda s: s.accounts.save_condition("a1", Condition()),
    "cleared condition": lambda s: s.accounts.clear_condition("a1"),
    "models": lambda s: s.accounts.save_models("a1", models=b"[]", fetched_at=1.0),
    "quota": lambda s: s.accounts.save_quota("a1", b"{}", fetched_at=1.0),
    "route": lambda s: s.accounts.save_route("a1", "own/rest"),
    "profile": lambda s: s.accounts.save_profile("a1", "arn:aws:x"),
    "proof": lambda s: s.accounts.prove_writable(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_locked_database_fails_a_write_and_still_serves_reads(
    path: Path, write: Callable[[Store], Awaitable[object]]
) -> None:
    start(path, social("configured"))
    before = stored(path)

    async def work() -> list[StoredAccount]:
        async with opened(path) as store:
            with locked(path):
                with pytest.raises(StoreError, match="database is locked"):
                    await write(store)
                return await store.accounts.accounts()

    assert asyncio.run(work()) == before
    assert stored(path) == before


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


def test_quota_route_and_profile_survive_a_restart(path: Path) -> None:
    start(path, social("one"))

    with_store(path, lambda s: s.accounts.save_quota("a1", b'{"used": 1}', fetched_at=7.5))
    with_store(path, lambda s: s.accounts.save_route("a1", "own/rest"))
    with_store(path, lambda s: s.accounts.save_profile("a1", ARN))

    (account,) = stored(path)
    assert (account.quota, account.quota_fetched_at) == (b'{"used": 1}', 7.5)
    assert (account.route, account.profile_arn) == ("own/rest", ARN)
    assert account.version == 1


def test_a_cleared_condition_is_gone(path: Path) -> None:
    start(path, social("one"))
    with_store(path, lambda s: s.accounts.save_condition("a1", Condition(Standing.SUSPENDED)))

    with_store(path, lambda s: s.accounts.clear_condition("a1"))

    assert stored(path)[0].condition is None


def edited(path: Path, account_id: str, **values: object) -> bool:
    return with_store(path, lambda s: s.accounts.edit(account_id, **values))


def test_an_edit_sets_what_is_given_and_nothing_else(path: Path) -> None:
    start(path, social("one", group="pro"))
    before = stored(path)[0]

    assert edited(path, "a1", name="mine", soft_cap=3, enabled=False) is True
    changes = {"name": "mine", "soft_cap": 3, "enabled": False}
    assert stored(path)[0] == msgspec.structs.replace(before, **changes)
    assert edited(path, "a1", group="other", enabled=True) is True
    assert (stored(path)[0].group, stored(path)[0].enabled) == ("other", True)


def test_nobody_can_edit_what_is_not_in_the_pool(path: Path) -> None:
    start(path, social("one"))
    start(path)

    assert edited(path, "a1", name="mine") is False
    assert edited(path, "nobody", position=0) is False


@pytest.mark.parametrize(
    ("position", "order"),
    [(0, "a3 a1 a2"), (1, "a1 a3 a2"), (2, "a1 a2 a3"), (99, "a1 a2 a3"), (-5, "a3 a1 a2")],
)
def test_the_others_move_aside_for_an_account_that_is_moved(
    path: Path, position: int, order: str
) -> None:
    start(path, social("one"), social("two", index=1), social("three", index=2))

    assert edited(path, "a3", position=position) is True
    assert [(account.id, account.position) for account in stored(path)] == [
        (account_id, place) for place, account_id in enumerate(order.split())
    ]


def test_a_removed_account_is_listed_last_with_the_reason(path: Path) -> None:
    start(path, social("one"), social("two", index=1))

    assert with_store(path, lambda s: s.accounts.remove("a1", "tidied up")) is True
    assert [account.id for account in stored(path)] == ["a2"]
    everybody = with_store(path, lambda s: s.accounts.all_accounts())
    assert [(account.id, account.removed) for account in everybody] == [
        ("a2", ""),
        ("a1", "tidied up"),
    ]


def test_an_account_is_removed_once(path: Path) -> None:
    start(path, social("one"))
    with_store(path, lambda s: s.accounts.remove("a1", "tidied up"))

    assert with_store(path, lambda s: s.accounts.remove("a1", "again")) is False
    assert with_store(path, lambda s: s.accounts.remove("nobody", "why")) is False
