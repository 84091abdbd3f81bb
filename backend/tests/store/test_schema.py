"""The version of the schema."""

import asyncio
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from kiro2api.errors import SetupError
from kiro2api.store.opening import Store
from kiro2api.store.schema import CURRENT, Schema, Upgrade, back_up
from kiro2api.store.tables import METADATA
from tests.support.stores import opened, social, with_store

NEXT_STEP = '''"""One more column."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "LAST"


def upgrade() -> None:
    """Add it, and fail if the test says so."""
    with op.batch_alter_table("accounts", recreate="always") as table:
        table.add_column(sa.Column("colour", sa.String, nullable=False, server_default="blue"))
    MAYBE_FAIL
'''


async def nothing(store: Store) -> Upgrade | None:
    return store.upgrade


@pytest.fixture
def newer(tmp_path: Path) -> Schema:
    """Return the schema of a program that is one step ahead."""
    return make_newer(tmp_path, "pass")


def make_newer(tmp_path: Path, maybe_fail: str) -> Schema:
    folder = tmp_path / "migrations 100%"
    shutil.copytree(CURRENT.folder, folder)
    step = NEXT_STEP.replace("MAYBE_FAIL", maybe_fail).replace("LAST", CURRENT.revisions[-1])
    (folder / "versions" / "r_next.py").write_text(step)
    return Schema(folder, (*CURRENT.revisions, "next"))


def open_with(path: Path, schema: Schema) -> Upgrade | None:
    async def run() -> Upgrade | None:
        async with opened(path, schema=schema) as store:
            return store.upgrade

    return asyncio.run(run())


def columns(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        return {row[1] for row in connection.execute("PRAGMA table_info(accounts)")}
    finally:
        connection.close()


def test_the_known_steps_are_those_in_the_folder() -> None:
    script = ScriptDirectory(str(CURRENT.folder))

    found = [revision.revision for revision in script.walk_revisions()]

    assert tuple(reversed(found)) == CURRENT.revisions


def test_the_migrations_make_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    with_store(tmp_path / "k.db", nothing)
    engine = create_engine(f"sqlite:///{tmp_path / 'k.db'}")

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()

    assert differences == []


def test_a_new_database_comes_from_nothing_and_needs_no_backup(tmp_path: Path) -> None:
    upgrade = with_store(tmp_path / "k.db", nothing)

    assert upgrade == Upgrade(before="", after=CURRENT.revisions[-1], backup=None)


def test_a_database_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    with_store(tmp_path / "k.db", nothing)

    assert with_store(tmp_path / "k.db", nothing) is None


def test_an_older_database_is_brought_up_to_date_with_its_rows(
    tmp_path: Path, newer: Schema
) -> None:
    path = tmp_path / "k.db"
    with_store(path, lambda s: s.accounts.sync_configured([social("one")]))

    open_with(path, newer)

    assert "colour" in columns(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT colour FROM accounts").fetchall() == [("blue",)]
    # The table was made anew: what refers to it must still be there.
    assert connection.execute("SELECT count(*) FROM credential_digests").fetchone() == (1,)
    connection.close()


def test_an_older_database_is_copied_first_for_its_owner_alone(
    tmp_path: Path, newer: Schema
) -> None:
    path = tmp_path / "k.db"
    with_store(path, lambda s: s.accounts.sync_configured([social("one")]))

    upgrade = open_with(path, newer)

    assert upgrade == Upgrade(
        before=CURRENT.revisions[-1], after="next", backup=tmp_path / "k.db.before-next"
    )
    assert upgrade.backup is not None
    assert stat.S_IMODE(upgrade.backup.stat().st_mode) == 0o600
    assert "colour" not in columns(upgrade.backup)
    shutil.copy(upgrade.backup, path)
    assert len(with_store(path, lambda s: s.accounts.accounts())) == 1


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with_store(path, lambda s: s.accounts.sync_configured([social("one")]))
    broken = make_newer(tmp_path, 'op.execute("UPDATE missing SET x = 1")')

    with pytest.raises(SetupError, match="not brought up to date: no such table"):
        open_with(path, broken)

    assert "colour" not in columns(path)
    assert with_store(path, nothing) is None


def test_a_database_of_a_newer_program_stops_the_start(tmp_path: Path, newer: Schema) -> None:
    path = tmp_path / "k.db"
    open_with(path, newer)
    before = path.read_bytes()
    known = CURRENT.revisions[-1]

    with pytest.raises(
        SetupError, match=rf"newer kiro2api \(schema next; this one knows {known}\)"
    ):
        with_store(path, nothing)

    assert path.read_bytes() == before


def test_a_copy_holds_what_was_written_last(tmp_path: Path) -> None:
    async def copy_while_open(store: Store) -> None:
        await store.accounts.sync_configured([social("one")])
        await asyncio.to_thread(back_up, store.path, tmp_path / "copy.db")

    with_store(tmp_path / "k.db", copy_while_open)

    assert len(with_store(tmp_path / "copy.db", lambda s: s.accounts.accounts())) == 1


def test_a_copy_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with_store(tmp_path / "k.db", nothing)

    with pytest.raises(SetupError, match="could not be copied"):
        back_up(tmp_path / "k.db", tmp_path / "missing" / "copy.db")
