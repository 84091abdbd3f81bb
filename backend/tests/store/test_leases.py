"""Leases: who refreshes an account now."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from kiro2api.errors import StoreError
from kiro2api.store.opening import Store
from tests.support.stores import (
    SECRET_KEY,
    SOURCES,
    locked,
    new_database,
    opened,
    refresh_tokens,
    rotate,
    social,
    start,
    with_store,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with the accounts a1 and a2."""
    path = new_database(tmp_path / "k.db")
    start(path, social("one"), social("two", index=1))
    return path


def acquired(path: Path, holder: str, now: float, *, account: str = "a1") -> bool:
    """Tell whether `holder` gets the lease for ten seconds; each call is a start of its own."""
    return with_store(
        path, lambda s: s.accounts.acquire_lease(account, holder=holder, now=now, for_s=10.0)
    )


def test_a_lease_is_free_at_first_and_then_held(path: Path) -> None:
    assert acquired(path, "one", 100.0) is True
    assert acquired(path, "two", 109.9) is False


def test_a_lease_of_one_account_leaves_the_others_free(path: Path) -> None:
    acquired(path, "one", 100.0)

    assert acquired(path, "two", 100.0, account="a2") is True


def test_a_lease_ends_at_its_time(path: Path) -> None:
    acquired(path, "one", 100.0)

    assert acquired(path, "two", 110.0) is True
    assert acquired(path, "one", 111.0) is False


def test_its_holder_prolongs_a_lease(path: Path) -> None:
    acquired(path, "one", 100.0)

    assert acquired(path, "one", 109.0) is True
    assert acquired(path, "two", 118.9) is False


def test_a_released_lease_is_free(path: Path) -> None:
    acquired(path, "one", 100.0)
    with_store(path, lambda s: s.accounts.release_lease("a1", "one"))

    assert acquired(path, "two", 101.0) is True


def test_only_its_holder_releases_a_lease(path: Path) -> None:
    acquired(path, "one", 100.0)
    with_store(path, lambda s: s.accounts.release_lease("a1", "two"))

    assert acquired(path, "two", 101.0) is False


def test_releasing_what_nobody_holds_is_fine(path: Path) -> None:
    with_store(path, lambda s: s.accounts.release_lease("a1", "one"))

    assert acquired(path, "two", 1.0) is True


def test_a_clock_that_is_set_back_does_not_prolong_a_lease(path: Path) -> None:
    acquired(path, "one", 4_000.0)

    assert acquired(path, "two", 400.0) is True


def test_clocks_that_differ_a_little_do_not_break_a_lease(path: Path) -> None:
    acquired(path, "one", 100.0)

    assert acquired(path, "two", 98.0) is False


def test_a_holder_that_wakes_after_its_lease_overwrites_nothing(path: Path) -> None:
    async def work(store: Store) -> tuple[bool, bool]:
        await store.accounts.acquire_lease("a1", holder="sleeper", now=100.0, for_s=10.0)
        await store.accounts.acquire_lease("a1", holder="other", now=111.0, for_s=10.0)
        other = await rotate(store, "a1", "of the other")
        sleeper = await rotate(store, "a1", "of the sleeper")
        await store.accounts.release_lease("a1", "sleeper")
        return other, sleeper

    assert with_store(path, work) == (True, False)
    assert refresh_tokens(path)[0] == "of the other"
    assert acquired(path, "third", 112.0) is False


def test_of_many_that_ask_at_once_one_gets_the_lease(path: Path) -> None:
    async def race() -> list[bool]:
        async with opened(path, busy_timeout_s=30) as one, opened(path, busy_timeout_s=30) as two:
            return await asyncio.gather(
                *(
                    store.accounts.acquire_lease("a1", holder=f"h{n}", now=100.0, for_s=10.0)
                    for n, store in enumerate([one, two] * 5)
                )
            )

    assert asyncio.run(race()).count(True) == 1


def test_of_programs_that_ask_at_once_one_gets_the_lease(path: Path) -> None:
    script = f"""
import asyncio, pathlib, sys
from kiro2api.store.opening import open_store
async def run():
    store = await open_store(pathlib.Path(sys.argv[1]), secret_key={SECRET_KEY!r})
    sys.stdin.readline()
    print(await store.accounts.acquire_lease("a1", holder=sys.argv[2], now=100.0, for_s=10.0))
    await store.close()
asyncio.run(run())
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), f"h{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(SOURCES)},
        )
        for n in range(3)
    ]

    answers = [process.communicate("go\n")[0] for process in running]

    assert sorted(answers) == ["False\n", "False\n", "True\n"]


def test_a_lease_that_could_not_be_written_is_an_error(path: Path) -> None:
    async def ask() -> None:
        async with opened(path) as store:
            with locked(path):
                await store.accounts.acquire_lease("a1", holder="h", now=1.0, for_s=1.0)

    with pytest.raises(StoreError, match="refresh was not reserved: database is locked"):
        asyncio.run(ask())
