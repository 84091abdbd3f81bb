"""`kiro2api db`: copies of the database, the way back to one, and whether it is whole."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kiro2api.cli.output import print_json, print_table
from kiro2api.cli.target import EXIT_NO, AsJson, EnvFile, read_target
from kiro2api.config import Settings, database_path
from kiro2api.secrets import KEY_FILE
from kiro2api.store.backup import Backup, Restored, back_up_with_key, keys_of, restore
from kiro2api.store.inspection import Inspection, inspect

db = typer.Typer(help="The database: backup, restore, check.")


@db.command("backup")
def db_backup(
    file: Annotated[str, typer.Argument(help="Where the copy goes; its key goes to FILE.key.")],
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Copy database and key, also while the gateway runs, and try the copy."""
    settings, path = _database(env_file)
    backup = back_up_with_key(path, _from_here(file), secret_key=settings.secret_key)
    if json:
        print_json(
            {
                "database": str(backup.database),
                "key": str(backup.key) if backup.key else None,
                "schema": backup.inspection.schema,
                "accounts": backup.inspection.accounts,
            }
        )
    else:
        _print_backup(backup)


@db.command("restore")
def db_restore(
    file: Annotated[str, typer.Argument(help="A copy that `db backup` has made.")],
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Put a copy in the place of the database; what is replaced is kept. Stop the gateway first."""
    settings, path = _database(env_file)
    restored = restore(path, _from_here(file), secret_key=settings.secret_key)
    if json:
        print_json(
            {
                "database": str(restored.database),
                "kept": [str(kept) for kept in restored.kept],
                "schema": restored.inspection.schema,
                "accounts": restored.inspection.accounts,
            }
        )
    else:
        _print_restored(restored)


@db.command("check")
def db_check(
    file: Annotated[
        str, typer.Argument(help="A copy; without it the database itself.", show_default=False)
    ] = "",
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Tell whether the database is whole, of a schema known here, and opened by its key.

    Exit code 1 when it has faults.
    """
    settings, path = _database(env_file)
    target = _from_here(file) if file else path
    keys = keys_of(target, settings.secret_key)
    keys += [key for key in keys_of(path, "") if key not in keys]
    inspection = inspect(target, keys)
    if json:
        print_json(inspection)
    else:
        _print_inspection(inspection)
    if inspection.faults:
        raise typer.Exit(EXIT_NO)


def _database(env_file: str | None) -> tuple[Settings, Path]:
    target = read_target(env_file)
    return target.settings, database_path(target.settings, target.installation)


def _from_here(file: str) -> Path:
    """Return the absolute path of a file that a person has named at the prompt."""
    return Path(os.path.abspath(os.path.expanduser(file)))


def _print_backup(backup: Backup) -> None:
    print(f"Database: {backup.database} ({_accounts(backup.inspection)})")
    if backup.key:
        print(f"Key:      {backup.key}")
        print("Together they open every login in it: keep them as you keep a password.")
    else:
        print("Its key is the KIRO_SECRET_KEY of now: keep that, without it the copy is of no use.")


def _print_restored(restored: Restored) -> None:
    print(f"Restored: {restored.database} ({_accounts(restored.inspection)})")
    for kept in restored.kept:
        print(f"Kept:     {kept}")
    if not restored.inspection.is_current:
        print("Its schema is an older one: the next start brings it up to date.")
    print("Logins whose token was rotated since the copy was made may have to log in again.")


def _print_inspection(inspection: Inspection) -> None:
    schema = inspection.schema or "none"
    if inspection.schema and not inspection.is_current and not inspection.faults:
        schema += " (the next start brings it up to date)"
    print_table(
        ("WHAT", "FOUND"),
        [
            ("database", inspection.path),
            ("schema", schema),
            ("accounts", str(inspection.accounts)),
            ("sealed values opened", str(inspection.sealed)),
            *(("fault", fault) for fault in inspection.faults),
            *(() if inspection.faults else [("verdict", "no fault found")]),
        ],
    )
    if inspection.faults:
        print(f"Put a copy back with `kiro2api db restore`, or the right {KEY_FILE}.")


def _accounts(inspection: Inspection) -> str:
    return "1 account" if inspection.accounts == 1 else f"{inspection.accounts} accounts"
