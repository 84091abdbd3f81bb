"""The version of the schema: compared cheaply at each start, brought up to date when it is behind."""

import asyncio
import os
import sqlite3
from pathlib import Path

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kiro2api.errors import SetupError
from kiro2api.store.engine import make_engine, reading, writing

_FOLDER = Path(__file__).parent / "migrations"


class Schema(msgspec.Struct, frozen=True):
    """The steps that this program knows, oldest first, and the folder with them."""

    folder: Path
    revisions: tuple[str, ...]


CURRENT = Schema(_FOLDER, ("0001", "0002"))


class Upgrade(msgspec.Struct, frozen=True):
    """What was done to the schema: from which version ("" for none) and where the backup is."""

    before: str
    after: str
    backup: Path | None


async def bring_up_to_date(
    engine: AsyncEngine, path: Path, *, schema: Schema, busy_timeout_s: float
) -> Upgrade | None:
    """Make the database at `path` be of the newest version; return what had to be done, if anything.

    An existing database is copied first. All steps are one transaction. Alembic is imported only
    when there is something to do.

    Raises:
        SetupError: the database is of a newer program, or of none of ours.
        StoreError: it cannot be read or written; nothing was changed.
    """
    async with reading(engine, "The version of the database was not read") as connection:
        if await _version(connection, path, schema) == schema.revisions[-1]:
            return None
    # Foreign keys off: making a table anew must not cascade into others.
    plain = make_engine(path, busy_timeout_s=busy_timeout_s, foreign_keys="OFF")
    try:
        async with writing(plain, "The database was not brought up to date") as connection:
            before = await _version(connection, path, schema)
            if before == schema.revisions[-1]:
                return None  # another program was faster
            backup = None
            if before:
                backup = path.with_name(f"{path.name}.before-{schema.revisions[-1]}")
                await asyncio.to_thread(back_up, path, backup)
            await connection.run_sync(_run_migrations, schema)
    finally:
        await plain.dispose()
    return Upgrade(before=before, after=schema.revisions[-1], backup=backup)


async def _version(connection: AsyncConnection, path: Path, schema: Schema) -> str:
    tables = set(await connection.scalars(text("SELECT name FROM sqlite_master")))
    if not tables:
        return ""
    version = None
    if "alembic_version" in tables:
        version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version is None:
        raise SetupError(f"{path} is a database of another program: name another file.")
    if version not in schema.revisions:
        raise SetupError(
            f"The database {path} was made by a newer kiro2api (schema {version}; this one knows "
            f"{schema.revisions[-1]}): start the newer one, or go back to a backup."
        )
    return str(version)


def _run_migrations(connection: Connection, schema: Schema) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(schema.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def back_up(path: Path, target: Path) -> None:
    """Copy the database at `path` to `target`, mode 0600, also while it is in use.

    Raises:
        SetupError: the copy could not be made.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        source, copy = sqlite3.connect(path), sqlite3.connect(target)
        try:
            source.backup(copy)
            # One file that needs no others beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        finally:
            source.close()
            copy.close()
    except (OSError, sqlite3.Error) as error:
        raise SetupError(f"The database {path} could not be copied to {target}: {error}.") from None
