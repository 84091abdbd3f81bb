"""Copies of the database with its key, made while it is in use, and the way back to one."""

import contextlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kiro2api.errors import SetupError
from kiro2api.secrets import KEY_FILE, read_key_file
from kiro2api.store import folder_lock
from kiro2api.store.inspection import SQLITE_HEADER, Inspection, inspect
from kiro2api.store.schema import back_up


class Backup(msgspec.Struct, frozen=True):
    """A copy that was made: `key` is where the key is, None when the environment gives it."""

    database: Path
    key: Path | None
    inspection: Inspection


class Restored(msgspec.Struct, frozen=True):
    """What a restore has put in place, and where what was there before is kept."""

    database: Path
    inspection: Inspection
    kept: tuple[Path, ...]


def key_beside(database: Path) -> Path:
    """Return where the key of a copied database is."""
    return database.with_name(f"{database.name}.key")


def keys_of(database: Path, given: str) -> list[str]:
    """Return the keys that may open `database`, a copy or not: `given`, its own, its folder's.

    Raises:
        SetupError: a key file is there but cannot be used.
    """
    keys = [given] if given else []
    for path in (key_beside(database), database.parent / KEY_FILE):
        keys += [key for key in read_key_file(path) if key not in keys]
    return keys


def back_up_with_key(path: Path, target: Path, *, secret_key: str = "") -> Backup:
    """Copy the database at `path` to `target` and its key file to `target`.key, and try the copy.

    Both appear whole or not at all, mode 0600, in place of an older copy.

    Raises:
        SetupError: it could not be copied, or the copy has faults: then an older one is still there.
    """
    if not path.is_file():
        raise SetupError(f"There is no database {path}.")
    _refuse_to_overwrite(path, target)
    try:
        with _scratch(target) as copy:
            back_up(path, copy)
            inspection = inspect(copy, keys_of(path, secret_key))
            if inspection.faults:
                raise SetupError(f"The database {path} was not copied: {_told(inspection)}")
            key = None
            # After the database: the key file only ever gains keys.
            if lines := read_key_file(path.parent / KEY_FILE):
                key = key_beside(target)
                _write_keys(key, lines)
            os.replace(copy, target)
        _make_durable(target)
    except OSError as error:
        raise SetupError(f"{target} cannot be written: {error.strerror}.") from None
    return Backup(target, key, msgspec.structs.replace(inspection, path=str(target)))


def restore(path: Path, source: Path, *, secret_key: str = "") -> Restored:
    """Put the copy `source`, with the key beside it, in the place of the database at `path`.

    What was there is kept beside it. The key file keeps the keys that it had, behind those of the
    copy: so a restore that is cut off leaves one or the other database, and a key that opens it.

    Raises:
        SetupError: the database is in use, or the copy has faults; nothing was changed.
    """
    keys = keys_of(source, secret_key)
    keys += [key for key in keys_of(path, "") if key not in keys]
    inspection = inspect(source, keys)
    if inspection.faults:
        raise SetupError(f"{source} was not restored: {_told(inspection)}")
    if path.exists() and path.samefile(source):
        raise SetupError(f"{source} is the database itself: name a copy.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{path.parent} cannot be made: {error.strerror}.") from None
    lock = folder_lock.take_alone(path.parent)
    try:
        with _scratch(path) as copy:
            back_up(source, copy)
            kept = [
                *_keep_database(path),
                *_put_keys(path.parent, read_key_file(key_beside(source))),
            ]
            os.replace(copy, path)
        _make_durable(path)
    except OSError as error:
        raise SetupError(f"{source} was not restored: {error.strerror}.") from None
    finally:
        lock.release()
    return Restored(path, msgspec.structs.replace(inspection, path=str(path)), tuple(kept))


def _refuse_to_overwrite(path: Path, target: Path) -> None:
    try:
        if target.exists() and target.samefile(path):
            raise SetupError(f"{target} is the database itself: name another file.")
        if target.exists() and target.stat().st_size:
            with target.open("rb") as file:
                if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                    raise SetupError(f"{target} is there and no copy of a database: name another.")
    except OSError as error:
        raise SetupError(f"{target} cannot be written: {error.strerror}.") from None


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """Lend a name beside `target`; what is left under it at the end is removed."""
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _keep_database(path: Path) -> list[Path]:
    """Copy the database at `path` aside, whole, and leave nothing that would go into another one."""
    if not path.exists():
        return []
    kept = _free_name(path)
    # With its log, and before SQLite is let near: of a damaged one it may throw the log away.
    _copy_with_log(path, kept)
    try:
        if _fold_log(path):
            _copy_with_log(path, kept)
    except SetupError:
        for file in (kept, _log_of(kept)):
            file.unlink(missing_ok=True)
        raise
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return [kept]


def _fold_log(path: Path) -> bool:
    """Make one file of the database and its log; False when it is too damaged for that.

    Raises:
        SetupError: another program has it open.
    """
    try:
        connection = sqlite3.connect(path, timeout=0)
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            connection.close()
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise SetupError(f"The database {path} is in use: stop what uses it first.") from None
        return False
    return True


def _copy_with_log(path: Path, target: Path) -> None:
    for file, copy in ((path, target), (_log_of(path), _log_of(target))):
        if file.exists():
            shutil.copyfile(file, copy)
            copy.chmod(0o600)
        else:
            copy.unlink(missing_ok=True)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _put_keys(folder: Path, keys: Sequence[str]) -> list[Path]:
    """Let the key file of `folder` begin with `keys`; return where the one before is kept."""
    path = folder / KEY_FILE
    before = read_key_file(path)
    if not keys or before[: len(keys)] == list(keys):
        return []
    kept = []
    if before:
        kept = [_free_name(path)]
        _write_keys(kept[0], before)
    _write_keys(path, [*keys, *(key for key in before if key not in keys)])
    return kept


def _free_name(path: Path) -> Path:
    name = f"{path.name}.before-restore"
    number = 1
    while path.with_name(name).exists():
        number += 1
        name = f"{path.name}.before-restore-{number}"
    return path.with_name(name)


def _write_keys(path: Path, keys: Sequence[str]) -> None:
    try:
        with _scratch(path) as fresh:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write("".join(f"{key}\n" for key in keys))
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
    except OSError as error:
        raise SetupError(f"The secret key {path} cannot be written: {error.strerror}.") from None


def _make_durable(path: Path) -> None:
    for name in (path, path.parent):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _told(inspection: Inspection) -> str:
    return "; ".join(inspection.faults) + "."
