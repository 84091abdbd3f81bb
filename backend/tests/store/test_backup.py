"""Copies of the database with its key, and the way back to one."""

import asyncio
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from kiro2api.errors import SetupError
from kiro2api.secrets import KEY_FILE
from kiro2api.store.backup import Backup, Restored, back_up_with_key, keys_of, restore
from kiro2api.store.opening import Store
from kiro2api.store.schema import CURRENT
from tests.support.old_database import make_old_database
from tests.support.stores import SECRET_KEY, opened, rotate, social, with_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with the account `one` and a key file beside it."""
    path = tmp_path / "data" / "k.db"
    fill(path, "one")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return a place for a copy in a folder of its own."""
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.db"


def fill(path: Path, *tokens: str, secret_key: str = "") -> None:
    entries = [social(token, index=index) for index, token in enumerate(tokens)]
    with_store(path, lambda s: s.accounts.sync_configured(entries), secret_key=secret_key)


def tokens(path: Path, *, secret_key: str = "") -> list[str]:
    async def read(store: Store) -> list[str]:
        return [account.credential.refresh_token for account in await store.accounts.accounts()]

    return with_store(path, read, secret_key=secret_key)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_copy_is_two_files_for_their_owner_alone(path: Path, target: Path) -> None:
    backup = back_up_with_key(path, target)

    assert (backup.database, backup.key) == (target, target.with_name("copy.db.key"))
    assert (backup.inspection.accounts, backup.inspection.faults) == (1, ())
    assert names(target.parent) == ["copy.db", "copy.db.key"]
    for file in target.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_copy_with_its_key_put_into_an_empty_folder_is_the_database(
    path: Path, target: Path, tmp_path: Path
) -> None:
    backup = back_up_with_key(path, target)
    assert backup.key is not None
    (tmp_path / "new").mkdir()
    shutil.copy(backup.database, tmp_path / "new" / "k.db")
    shutil.copy(backup.key, tmp_path / "new" / KEY_FILE)

    assert tokens(tmp_path / "new" / "k.db") == ["one"]


def test_a_copy_of_a_database_in_use_holds_what_was_written_last(path: Path, target: Path) -> None:
    async def work(store: Store) -> Backup:
        await rotate(store, "a1", "rotated")
        return await asyncio.to_thread(back_up_with_key, path, target)

    with_store(path, work, secret_key="")
    restore(path, target)

    assert tokens(path) == ["rotated"]


def test_a_copy_that_is_made_while_others_write_is_whole(path: Path, target: Path) -> None:
    async def work() -> int:
        async with opened(path, secret_key="", busy_timeout_s=30) as store:
            copying = asyncio.gather(
                *(
                    asyncio.to_thread(back_up_with_key, path, target.with_name(f"{n}.db"))
                    for n in range(3)
                )
            )
            version = 1
            while not copying.done():
                assert await rotate(store, "a1", f"token {version}", version=version)
                version += 1
            return sum(len(backup.inspection.faults) for backup in await copying)

    assert asyncio.run(work()) == 0


def test_a_key_from_the_environment_is_not_copied(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "k.db"
    fill(path, "one", secret_key=SECRET_KEY)

    assert back_up_with_key(path, target, secret_key=SECRET_KEY).key is None
    assert names(target.parent) == ["copy.db"]


def test_a_newer_copy_replaces_an_older_one(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    fill(path, "one", "two")

    assert back_up_with_key(path, target).inspection.accounts == 2
    assert names(target.parent) == ["copy.db", "copy.db.key"]


def test_a_damaged_database_does_not_replace_a_good_copy(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    before = target.read_bytes()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE accounts SET refresh_token = client_secret")
    connection.commit()
    connection.close()

    with pytest.raises(SetupError, match="was not copied: refresh_token of a1 was changed"):
        back_up_with_key(path, target)

    assert target.read_bytes() == before
    assert names(target.parent) == ["copy.db", "copy.db.key"]


def test_a_file_that_is_no_copy_is_not_overwritten(path: Path, target: Path) -> None:
    target.write_text("my letters")

    with pytest.raises(SetupError, match="no copy of a database"):
        back_up_with_key(path, target)

    assert target.read_text() == "my letters"


def test_the_database_is_not_copied_onto_itself(path: Path) -> None:
    with pytest.raises(SetupError, match="is the database itself"):
        back_up_with_key(path, path)

    assert tokens(path) == ["one"]


@pytest.mark.parametrize("place", ["missing/copy.db", "."])
def test_a_copy_to_where_none_can_be_is_an_error(path: Path, tmp_path: Path, place: str) -> None:
    with pytest.raises(SetupError, match=r"cannot be written|could not be copied"):
        back_up_with_key(path, tmp_path / place)


def test_a_database_that_is_not_there_is_an_error(tmp_path: Path, target: Path) -> None:
    with pytest.raises(SetupError, match="no database"):
        back_up_with_key(tmp_path / "k.db", target)

    assert names(target.parent) == []


def test_a_restore_brings_back_what_was_and_keeps_what_is(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    fill(path, "other")

    restored = restore(path, target)

    kept = path.with_name("k.db.before-restore")
    assert (restored.database, restored.kept) == (path, (kept,))
    assert tokens(path) == ["one"]
    assert tokens(kept) == ["other"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_restore_keeps_what_the_first_has_kept(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    fill(path, "other")
    first = restore(path, target)

    second = restore(path, target)

    assert second.kept == (path.with_name("k.db.before-restore-2"),)
    assert tokens(first.kept[0]) == ["other"]
    assert tokens(second.kept[0]) == ["one"]


def test_a_restore_where_nothing_is_makes_the_folder_and_the_key(
    path: Path, target: Path, tmp_path: Path
) -> None:
    back_up_with_key(path, target)
    new = tmp_path / "new machine" / "k.db"

    assert restore(new, target).kept == ()
    assert tokens(new) == ["one"]
    assert names(new.parent) == ["k.db", KEY_FILE]


def test_a_restore_brings_its_key_and_keeps_the_other_one(
    path: Path, target: Path, tmp_path: Path
) -> None:
    back_up_with_key(path, target)
    other = tmp_path / "other" / "k.db"
    fill(other, "of the other")
    before = (other.parent / KEY_FILE).read_text()

    restored = restore(other, target)

    database, key = restored.kept
    assert tokens(other) == ["one"]
    assert key == other.parent / f"{KEY_FILE}.before-restore"
    assert key.read_text() == before
    # The old key is still among the keys, so that what was kept can be opened.
    assert tokens(database) == ["of the other"]


def test_a_copy_whose_key_is_in_the_environment_is_restored_with_it(
    tmp_path: Path, target: Path
) -> None:
    path = tmp_path / "k.db"
    fill(path, "one", secret_key=SECRET_KEY)
    back_up_with_key(path, target, secret_key=SECRET_KEY)

    restore(path, target, secret_key=SECRET_KEY)

    assert tokens(path, secret_key=SECRET_KEY) == ["one"]
    assert not (tmp_path / KEY_FILE).exists()


def test_a_copy_that_no_key_opens_is_refused(path: Path, target: Path, tmp_path: Path) -> None:
    back_up_with_key(path, target)
    target.with_name("copy.db.key").unlink()
    other = tmp_path / "other" / "k.db"
    fill(other, "of the other")

    with pytest.raises(SetupError, match="sealed with another secret key"):
        restore(other, target)

    assert tokens(other) == ["of the other"]


def test_a_copy_made_before_an_upgrade_is_restored(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    make_old_database(path, tmp_path)
    with_store(path, lambda s: s.accounts.accounts())

    restored = restore(path, path.with_name("k.db.before-0002"), secret_key=SECRET_KEY)

    assert restored.inspection.schema == "0001"
    assert tokens(path, secret_key=SECRET_KEY) == ["rotated of a1", "rotated of a2"]


@pytest.mark.parametrize("spoiled", ["newer", "damaged"])
def test_a_copy_with_faults_is_refused_and_nothing_is_touched(
    path: Path, target: Path, spoiled: str
) -> None:
    back_up_with_key(path, target)
    if spoiled == "newer":
        connection = sqlite3.connect(target)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        connection.close()
    else:
        target.write_bytes(target.read_bytes()[:6_000])
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    with pytest.raises(
        SetupError, match=r"was not restored: it (was made by a newer|cannot be read)"
    ):
        restore(path, target)

    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_restore_under_a_running_program_is_refused(path: Path, target: Path) -> None:
    back_up_with_key(path, target)

    async def work(store: Store) -> list[str]:
        with pytest.raises(SetupError, match="stop the gateway first"):
            await asyncio.to_thread(restore, path, target)
        await rotate(store, "a1", "rotated")
        return names(path.parent)

    assert "k.db.before-restore" not in with_store(path, work, secret_key="")
    assert tokens(path) == ["rotated"]


def test_a_restore_under_any_other_program_is_refused(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    connection = sqlite3.connect(path)
    connection.execute("SELECT count(*) FROM accounts").fetchone()
    try:
        with pytest.raises(SetupError, match="is in use"):
            restore(path, target)
    finally:
        connection.close()

    assert names(path.parent) == ["k.db", KEY_FILE]


def test_a_damaged_database_is_replaced_and_kept(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    damaged = b"\xa5" * 8_000
    path.write_bytes(damaged)
    path.with_name("k.db-wal").write_bytes(b"the log of another database")

    (kept,) = restore(path, target).kept

    assert tokens(path) == ["one"]
    assert kept.read_bytes() == damaged
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"the log of another database"


def test_the_database_is_no_copy_of_itself(path: Path) -> None:
    with pytest.raises(SetupError, match="is the database itself"):
        restore(path, path)


def test_a_copy_that_is_not_there_is_an_error(path: Path, target: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        restore(path, target)


def test_what_a_restore_has_put_in_place_is_told(path: Path, target: Path) -> None:
    back_up_with_key(path, target)

    restored = restore(path, target)

    assert isinstance(restored, Restored)
    assert restored.inspection.path == str(path)
    assert restored.inspection.schema == CURRENT.revisions[-1]


def test_each_key_is_tried_once(path: Path, target: Path) -> None:
    back_up_with_key(path, target)
    (line,) = (path.parent / KEY_FILE).read_text().split()
    (target.parent / KEY_FILE).write_text(f"{line}\n")

    assert keys_of(target, SECRET_KEY) == [SECRET_KEY, line]


def test_a_restore_that_is_cut_off_leaves_a_database_that_opens(
    path: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up_with_key(path, target)
    other = tmp_path / "other" / "k.db"
    fill(other, "of the other")
    replace = os.replace

    def fail_at_the_last_step(source: Path, destination: Path) -> None:
        if destination == other:
            raise OSError(28, "No space left on device")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fail_at_the_last_step)
    with pytest.raises(SetupError, match="was not restored: No space left"):
        restore(other, target)
    monkeypatch.undo()

    assert tokens(other) == ["of the other"]
    restore(other, target)
    assert tokens(other) == ["one"]


def test_a_folder_that_cannot_be_made_is_an_error(path: Path, target: Path, tmp_path: Path) -> None:
    back_up_with_key(path, target)
    (tmp_path / "file").touch()

    with pytest.raises(SetupError, match="cannot be made"):
        restore(tmp_path / "file" / "k.db", target)
