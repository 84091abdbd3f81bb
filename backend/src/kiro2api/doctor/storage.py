"""Can the data folder be written, is it private, and is the database whole?"""

import shutil
import stat
import tempfile
from pathlib import Path

from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import SetupError
from kiro2api.secrets import KEY_FILE
from kiro2api.store.backup import keys_of
from kiro2api.store.inspection import Inspection, inspect

_MEGABYTE = 1024 * 1024
_FULL_BYTES = 32 * _MEGABYTE
_SCARCE_BYTES = 256 * _MEGABYTE
_OPEN_TO_ALL = stat.S_IWOTH
_OPEN_TO_READ = stat.S_IRWXG | stat.S_IRWXO


def check_folder(database: Path, *, free_bytes: int | None = None) -> list[Finding]:
    """Return whether the folder of `database` takes files, and how much room is left."""
    folder = _nearest(database.parent)
    try:
        # The same that SQLite does: a file made beside the database.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return [
            fault(
                "data folder",
                f"{folder} cannot be written: {error.strerror}",
                why="rotated tokens could not be saved, so the gateway does not start",
                cure="give it to the user that runs the gateway, or set KIRO_DB_PATH elsewhere",
            )
        ]
    free_bytes = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    return [_room(folder, free_bytes)]


def _nearest(folder: Path) -> Path:
    """Return `folder`, or the one above it in which it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _room(folder: Path, free_bytes: int) -> Finding:
    what = f"{folder} can be written, {free_bytes // _MEGABYTE} MiB are free"
    why = "on a full disk a rotated token cannot be saved, and its login is lost"
    cure = "make room, or move the database by KIRO_DB_PATH"
    if free_bytes < _FULL_BYTES:
        return fault("data folder", what, why=why, cure=cure)
    if free_bytes < _SCARCE_BYTES:
        return note("data folder", what, why=why, cure=cure)
    return good("data folder", what)


def check_modes(database: Path) -> list[Finding]:
    """Return which of folder, database and key others can get at.

    To be asked first: whoever opens database and key makes them private.
    """
    findings = []
    folder = database.parent
    if folder.is_dir():
        mode = folder.stat().st_mode
        if mode & _OPEN_TO_ALL and not mode & stat.S_ISVTX:
            why = "anybody on this machine can put another database or key there"
            findings.append(_open("data folder", folder, why, f"chmod 700 {folder}"))
    for path in (database, folder / KEY_FILE):
        if path.is_file() and path.stat().st_mode & _OPEN_TO_READ:
            why = "other users of this machine could read it; database and key open every login"
            cure = f"chmod 600 {path}, and log the accounts in again if others did read it"
            findings.append(_open("data folder", path, why, cure))
    return findings


def _open(check: str, path: Path, why: str, cure: str) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    return fault(check, f"{path} is open to others (mode {mode:o})", why=why, cure=cure)


def check_database(database: Path, secret_key: str) -> tuple[list[Finding], bool]:
    """Return what a look at the database shows, and whether it can be read on; nothing changes."""
    key = database.parent / KEY_FILE
    if not database.exists():
        if not key.exists():
            return [good("database", f"none yet: the first start makes {database}")], False
        return [
            fault(
                "database",
                f"there is a key {key} but no database {database}",
                why="the gateway does not start, lest a lost database go unnoticed",
                cure=f"`kiro2api db restore` a copy, or move {KEY_FILE} away to start anew",
            )
        ], False
    try:
        inspection = inspect(database, keys_of(database, secret_key))
    except SetupError as error:
        cure = "put a file that can be read there, or set KIRO_DB_PATH elsewhere"
        return [fault("database", str(error), why="the gateway does not start", cure=cure)], False
    if inspection.faults:
        return [_broken(database, found) for found in inspection.faults], False
    return [_whole(inspection)], inspection.is_current


def _broken(database: Path, found: str) -> Finding:
    if "newer kiro2api" in found:
        cure = (
            "run the newer program, or `kiro2api db restore` the copy that it made when it migrated"
        )
    elif "key" in found or "seal" in found:
        cure = f"put back the {KEY_FILE} or the KIRO_SECRET_KEY that it was sealed with"
    else:
        cure = "stop the gateway and `kiro2api db restore` a copy"
    why = "accounts could not be read, so the gateway does not start"
    return fault("database", f"{database}: {found}", why=why, cure=cure)


def _whole(inspection: Inspection) -> Finding:
    what = f"{inspection.path} is whole: schema {inspection.schema}, {inspection.accounts} accounts"
    if inspection.is_current:
        return good("database", what)
    return note(
        "database",
        what,
        why="the schema is an older one, so the accounts were not looked at",
        cure="start the gateway: it makes a copy, then brings the database up to date",
    )
