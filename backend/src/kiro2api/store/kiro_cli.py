"""The logins in the SQLite database of kiro-cli, which is read and never written."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kiro2api.errors import RequestError, SetupError
from kiro2api.protocol.wire import json

SQLITE_HEADER = b"SQLite format 3\0"
# The names of the program's keys, the present one first.
_PREFIXES = ("kirocli", "codewhisperer")
_KINDS = {
    "social:token": "Social",
    "odic:token": "IdC",  # spelled so there
    "external-idp:token": "ExternalIdp",
}
_REGISTRATION = "odic:device-registration"
_PROFILE = "api.codewhisperer.profile"
# What SQLite keeps beside a database of which not everything is in the file itself.
_COMPANIONS = ("-wal", "-journal")
# A database that changes while it is read is read again.
_TRIES = 20


def is_database(path: Path) -> bool:
    """Tell whether the file at `path` is a SQLite database.

    Raises:
        SetupError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from None


def read_database(path: Path) -> list[object]:
    """Return the logins in the database at `path` as entries that the intake reads.

    The program that owns it may run and write: nothing of it is changed, locked or left behind.

    Raises:
        SetupError: it cannot be read, or is no database of that program.
    """
    for _ in range(_TRIES):
        before = _state(path)
        try:
            with _still(path) as still, closing(sqlite3.connect(still, uri=True)) as database:
                found = _table(database, "auth_kv"), _table(database, "state")
        except (sqlite3.Error, OSError) as error:
            if _state(path) == before:
                raise SetupError(f"{path} cannot be read: {error}.") from None
            continue
        if _state(path) == before:
            values, state = found
            if values is None:
                raise SetupError(f"{path} is no database of kiro-cli: it has no table auth_kv.")
            return list(_entries(values, state or {}))
    raise SetupError(f"{path} changes all the time: try again.")


def _state(path: Path) -> list[tuple[int, int, int] | None]:
    """Return what changes about the files of a database when what we read may be torn.

    The log of a database that has one may grow: what is behind its last whole entry is not read.
    """
    return [_stamp(path), _stamp(_beside(path, "-journal"))]


def stamps(path: Path) -> str:
    """Return a text that changes with the file at `path`, and with what SQLite keeps beside it."""
    return repr([_stamp(path), *(_stamp(_beside(path, companion)) for companion in _COMPANIONS)])


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _beside(path: Path, companion: str) -> Path:
    return path.with_name(path.name + companion)


@contextmanager
def _still(path: Path) -> Iterator[str]:
    """Lend the address of a database that holds what `path` does and that nobody writes to.

    When all is in the file itself, that is it, opened as immutable: SQLite then makes no files
    beside it. Else it is a copy of the files, in which SQLite can put things in order.
    """
    companions = [_beside(path, companion) for companion in _COMPANIONS]
    if not any((stamp := _stamp(companion)) and stamp[1] for companion in companions):
        yield f"file:{quote(str(path))}?mode=ro&immutable=1"
        return
    with tempfile.TemporaryDirectory(prefix="kiro2api-") as folder:
        copy = Path(folder) / "data.sqlite3"
        shutil.copyfile(path, copy)
        for companion, name in zip(companions, _COMPANIONS, strict=True):
            if companion.exists():
                shutil.copyfile(companion, _beside(copy, name))
        yield f"file:{quote(str(copy))}?mode=rw"


def _table(database: sqlite3.Connection, name: str) -> dict[str, Mapping[str, Any]] | None:
    """Return the JSON objects of a table of keys and values; None when there is no such table."""
    there = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    if there is None:
        return None
    rows = database.execute(f"SELECT key, value FROM {name}")  # noqa: S608 - a name of ours
    wanted = {*_wanted()}
    return {key: _object(value) for key, value in rows if key in wanted}


def _wanted() -> Iterator[str]:
    yield _PROFILE
    for prefix in _PREFIXES:
        for name in (*_KINDS, _REGISTRATION):
            yield f"{prefix}:{name}"


def _object(value: object) -> Mapping[str, Any]:  # JSON is untyped until it is looked at
    if not isinstance(value, str | bytes):
        return {}
    try:
        document = json.decode(value)
    except RequestError:
        return {}
    return document if isinstance(document, dict) else {}


def _entries(
    values: Mapping[str, Mapping[str, Any]],  # as in _object
    state: Mapping[str, Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    profile = state.get(_PROFILE, {})
    for name, kind in _KINDS.items():
        # Where both names are there, the older one was left behind.
        prefix = next((p for p in _PREFIXES if f"{p}:{name}" in values), None)
        if prefix is None:
            continue
        entry: dict[str, Any] = {"auth": kind, **values[f"{prefix}:{name}"]}
        if kind == "IdC":
            entry |= _client(entry, values.get(f"{prefix}:{_REGISTRATION}", {}))
        if not entry.get("profile_arn") and profile.get("arn"):
            entry["profile_arn"] = profile["arn"]
        yield entry


def _client(token: Mapping[str, Any], registration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the client that a token was made by: a registration counts for one flow."""
    flows = [str(one.get("oauth_flow") or "").lower() for one in (token, registration)]
    if all(flows) and flows[0] != flows[1]:
        return {}
    names = ("client_id", "client_secret")
    return {name: registration[name] for name in names if name in registration}
