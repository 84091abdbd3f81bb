"""A look at a database file that changes nothing."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from kiro2api.errors import SetupError
from kiro2api.store.inspection import Inspection, inspect
from kiro2api.store.opening import Store
from kiro2api.store.schema import CURRENT
from tests.support.old_database import make_old_database
from tests.support.stores import SECRET_KEY, idc, new_database, rotated, social, start, with_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with two accounts, one of them with an access token."""
    path = new_database(tmp_path / "k.db")
    start(path, social("one"), idc("two", index=1))
    rotated(path, "a1", "rotated")
    return path


def faults(path: Path, keys: Sequence[str] = (SECRET_KEY,)) -> tuple[str, ...]:
    return inspect(path, keys).faults


def spoil(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_database_in_order_is_told_with_what_is_in_it(path: Path) -> None:
    found = inspect(path, [SECRET_KEY])

    # Two secrets of each account, the access token, and the word that proves the key.
    assert found == Inspection(str(path), CURRENT.revisions[-1], accounts=2, sealed=6, faults=())
    assert found.is_current


def test_a_look_changes_no_file(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    inspect(path, [SECRET_KEY])

    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_database_in_use_is_looked_at_as_it_is_now(path: Path) -> None:
    async def look(store: Store) -> Inspection:
        await store.accounts.sync_configured([social("one"), social("new", index=1)])
        return inspect(path, [SECRET_KEY])

    found = with_store(path, look)

    assert (found.accounts, found.faults) == (3, ())


def test_an_older_schema_is_no_fault_and_not_the_current_one(tmp_path: Path) -> None:
    make_old_database(tmp_path / "k.db", tmp_path)

    found = inspect(tmp_path / "k.db", [SECRET_KEY])

    assert (found.schema, found.accounts, found.faults) == ("0001", 3, ())
    assert not found.is_current


def test_a_newer_schema_is_a_fault(path: Path) -> None:
    spoil(path, "UPDATE alembic_version SET version_num = '9999'")

    assert faults(path) == (
        f"it was made by a newer kiro2api (schema 9999; this one knows {CURRENT.revisions[-1]})",
    )


@pytest.mark.parametrize("tables", ["CREATE TABLE songs (title)", "VACUUM"])
def test_a_database_of_another_program_is_a_fault(tmp_path: Path, tables: str) -> None:
    spoil(tmp_path / "k.db", "PRAGMA journal_mode = WAL")
    spoil(tmp_path / "k.db", tables)

    assert faults(tmp_path / "k.db") == ("it is empty, or a database of another program",)


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_file_that_is_no_database_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k.db").write_bytes(content)

    (fault,) = faults(tmp_path / "k.db")
    assert "damaged" in fault or "cannot be read" in fault


def test_overwritten_pages_are_a_fault(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))

    assert any("damaged" in fault or "malformed" in fault for fault in faults(path))


def test_a_row_that_refers_to_nothing_is_a_fault(path: Path) -> None:
    spoil(path, "UPDATE credential_digests SET account_id = 'a9' WHERE account_id = 'a2'")

    assert faults(path) == (
        "a row of credential_digests refers to one of accounts that is not there",
    )


def test_another_key_is_one_fault_for_all_values(path: Path) -> None:
    found = inspect(path, ["some other key of the test"])

    assert found.faults == ("key_check of facts was sealed with another secret key",)
    assert found.sealed == 0


def test_no_key_is_a_fault(path: Path) -> None:
    assert faults(path, ()) == ("there is no secret key that could open it",)


def test_every_value_that_does_not_open_is_a_fault(path: Path) -> None:
    spoil(path, "UPDATE accounts SET refresh_token = client_secret, access_token = x'01'")

    assert faults(path) == (
        "refresh_token of a1 was changed outside of this program",
        "access_token of a1 is not a sealed value",
        "refresh_token of a2 was changed outside of this program",
        "access_token of a2 is not a sealed value",
    )


def test_a_verdict_that_cannot_be_read_is_a_fault(path: Path) -> None:
    spoil(path, "UPDATE accounts SET condition = x'7b' WHERE id = 'a2'")

    assert faults(path) == ("the condition of account a2 cannot be read",)


def test_there_are_never_more_than_a_page_of_faults(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    start(path, *(social(f"t{n}", index=n) for n in range(30)))
    spoil(path, "UPDATE accounts SET refresh_token = client_secret")

    assert len(faults(path)) == 20


def test_a_database_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        inspect(tmp_path / "k.db", [SECRET_KEY])

    assert list(tmp_path.iterdir()) == []


def test_a_copy_in_a_folder_without_writing_rights_can_be_looked_at(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        assert faults(path) == ()
    finally:
        path.parent.chmod(0o700)
