"""Opening the database and its key at start."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kiro2api.errors import SetupError
from kiro2api.secrets import KEY_FILE
from kiro2api.store.opening import Store, open_store
from tests.support.stores import SECRET_KEY, locked, opened, social, with_store

SOURCES = Path(__file__).parents[2] / "src"


async def nothing(store: Store) -> bool:
    return store.is_new


async def tokens(store: Store) -> list[str]:
    return [account.credential.refresh_token for account in await store.accounts.accounts()]


def add(path: Path, **options: str) -> None:
    with_store(path, lambda s: s.accounts.sync_configured([social("planted-token")]), **options)


def refusal(path: Path, **options: str) -> str:
    """Return why the start stops, once it is sure that no file was touched."""
    before = snapshot(path.parent)
    with pytest.raises(SetupError) as failure:
        with_store(path, nothing, **options)
    assert snapshot(path.parent) == before
    return str(failure.value)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if not file.name.endswith(("-wal", "-shm"))
    }


def test_a_first_start_makes_folder_database_and_key_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "k.db"

    assert with_store(path, nothing, secret_key="") is True
    assert sorted(file.name for file in path.parent.iterdir()) == ["k.db", KEY_FILE]


def test_a_second_start_finds_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    add(path, secret_key="")

    assert with_store(path, nothing, secret_key="") is False
    assert with_store(path, tokens, secret_key="") == ["planted-token"]


def test_database_and_key_belong_to_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "k.db"

    async def modes(store: Store) -> dict[str, int]:
        await store.accounts.sync_configured([social("t")])
        return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    old = os.umask(0)
    try:
        found = with_store(path, modes, secret_key="")
    finally:
        os.umask(old)

    assert {"k.db", "k.db-wal", KEY_FILE} <= found.keys()
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_database_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing)
    path.chmod(0o644)

    with_store(path, nothing)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_secret_is_readable_in_the_files(tmp_path: Path) -> None:
    add(tmp_path / "k.db")

    assert b"planted-token" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_given_key_makes_no_key_file(tmp_path: Path) -> None:
    add(tmp_path / "k.db")

    assert not (tmp_path / KEY_FILE).exists()


def test_a_key_without_its_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing, secret_key="")
    path.unlink()

    assert "no database" in refusal(path, secret_key="")


def test_a_key_beside_an_empty_file_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing, secret_key="")
    path.write_bytes(b"")

    assert "no database" in refusal(path, secret_key="")


def test_a_database_without_its_key_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing, secret_key="")
    (tmp_path / KEY_FILE).unlink()

    assert "is there but its key" in refusal(path, secret_key="")


def test_another_key_than_that_of_the_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    add(path)

    assert "sealed with another key" in refusal(path, secret_key="some other key of the test")


def test_a_key_that_moves_to_the_environment_still_reads_what_the_file_sealed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "k.db"
    add(path, secret_key="")

    assert with_store(path, tokens, secret_key=SECRET_KEY) == ["planted-token"]


def test_an_account_is_recognised_after_its_key_has_moved(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    add(path, secret_key="")

    add(path, secret_key=SECRET_KEY)

    assert with_store(path, tokens, secret_key=SECRET_KEY) == ["planted-token"]


def test_a_start_that_was_cut_off_before_the_key_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing, secret_key="")
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM facts")
    connection.commit()
    connection.close()
    (tmp_path / KEY_FILE).unlink()

    with_store(path, nothing, secret_key="")

    assert (tmp_path / KEY_FILE).exists()


@pytest.mark.parametrize("size", [0, 4096])
def test_a_start_that_was_cut_off_before_the_tables_can_be_repeated(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "k.db"
    path.touch()
    if size:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    assert path.stat().st_size == size

    assert with_store(path, nothing, secret_key="") is True


@pytest.mark.parametrize(
    "content", [b"no database at all, but text", b"SQLite format 3\0" + b"\xff" * 5_000, b"S"]
)
def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k.db"
    path.write_bytes(content)

    assert "damaged" in refusal(path)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_database_stops_the_start(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "k.db"
    add(path)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        content[:middle] if damage == "cut" else content[:4096] + b"\xa5" * (len(content) - 4096)
    )

    assert "is damaged: put it back from a backup" in refusal(path)


def test_a_database_of_another_program_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title)")
    connection.close()

    with pytest.raises(SetupError, match="of another program"):
        with_store(path, nothing)


def test_a_locked_database_stops_a_first_start_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    sqlite3.connect(path).close()

    with locked(path), pytest.raises(SetupError, match=r"cannot be used: .*locked"):
        with_store(path, nothing)


def test_a_locked_database_that_is_up_to_date_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing)

    with locked(path):
        assert with_store(path, nothing) is False


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SetupError, match="cannot be opened"):
        with_store(tmp_path / "file" / "k.db", nothing)


def test_a_folder_in_the_place_of_the_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "k.db").mkdir()

    with pytest.raises(SetupError, match="cannot be opened"):
        with_store(tmp_path / "k.db", nothing)


def test_programs_that_start_at_once_share_one_new_database(tmp_path: Path) -> None:
    script = """
import asyncio, pathlib, sys
from kiro2api.store.opening import open_store
async def start():
    store = await open_store(pathlib.Path(sys.argv[1]))
    print(store.is_new)
    await store.close()
asyncio.run(start())
"""
    command = [sys.executable, "-c", script, str(tmp_path / "k.db")]
    running = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(SOURCES)},
        )
        for _ in range(3)
    ]

    answers = [process.communicate() for process in running]

    assert sorted(answers) == [("False\n", ""), ("False\n", ""), ("True\n", "")]


def test_an_up_to_date_start_imports_no_alembic(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, nothing)
    script = f"""
import asyncio, pathlib, sys
from kiro2api.store.opening import open_store
async def start():
    await (await open_store(pathlib.Path(sys.argv[1]), secret_key={SECRET_KEY!r})).close()
asyncio.run(start())
print("alembic" in sys.modules, "mako" in sys.modules)
"""

    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCES)})

    assert done.stdout == "False False\n"


def test_ids_are_short_and_random(tmp_path: Path) -> None:
    async def ids() -> list[str]:
        store = await open_store(tmp_path / "k.db", secret_key=SECRET_KEY)
        report = await store.accounts.sync_configured([social(f"t{n}", index=n) for n in range(20)])
        await store.close()
        return list(report.added)

    found = asyncio.run(ids())

    assert len(set(found)) == 20
    assert {len(account_id) for account_id in found} == {10}


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    async def close_twice() -> None:
        async with opened(tmp_path / "k.db") as store:
            await store.close()

    asyncio.run(close_twice())


def test_it_is_quiet_once_what_was_under_way_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "k.db"

    async def interrupted(store: Store) -> list[str]:
        saving = asyncio.ensure_future(store.accounts.sync_configured([social("one")]))
        await asyncio.sleep(0)
        await store.quiet()
        saving.cancel()
        return await tokens(store)

    assert with_store(path, interrupted) == ["one"]


def test_it_is_quiet_at_once_when_nothing_is_under_way(tmp_path: Path) -> None:
    async def quick(store: Store) -> bool:
        await store.accounts.prove_writable()
        waiting = asyncio.ensure_future(store.quiet())
        await asyncio.sleep(0)
        return waiting.done()

    assert with_store(tmp_path / "k.db", quick) is True
