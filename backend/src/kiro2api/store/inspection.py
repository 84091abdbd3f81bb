"""A look at a database file that changes nothing: is it whole, ours, and does the key open it?"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kiro2api.errors import RequestError, SetupError, StoreError
from kiro2api.pool.account import Condition
from kiro2api.protocol.wire import json
from kiro2api.secrets import KeyRing
from kiro2api.store.schema import CURRENT
from kiro2api.store.tables import SEALED

SQLITE_HEADER = b"SQLite format 3\0"
KEY_CHECK = "key_check"
_MAX_FAULTS = 20


class Inspection(msgspec.Struct, frozen=True):
    """What a look at a database has shown; without faults it can be served from.

    `sealed` counts the values that the key has opened, `schema` is "" when there is none.
    """

    path: str
    schema: str
    accounts: int
    sealed: int
    faults: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether the schema is the newest one that this program knows."""
        return self.schema == CURRENT.revisions[-1]


def inspect(path: Path, keys: Sequence[str]) -> Inspection:
    """Return what is to be said of the database at the absolute `path`, which `keys` should open.

    Raises:
        SetupError: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_HEADER))
    except OSError as error:
        raise SetupError(f"The database {path} cannot be read: {error.strerror}.") from None
    look = _Look(keys)
    if head != SQLITE_HEADER:
        look.faults.append("it is damaged or no database")
    else:
        try:
            with reading_only(path) as connection:
                look.at(connection)
        except sqlite3.Error as error:
            look.faults.append(f"it cannot be read: {error}")
    faults = tuple(look.faults[:_MAX_FAULTS])
    return Inspection(str(path), look.schema, look.accounts, look.sealed, faults)


@contextlib.contextmanager
def reading_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend a connection to the database at the absolute `path` that cannot change it."""
    options = "?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        # Else SQLite would make files beside it, which a folder that is read-only does not take.
        with contextlib.suppress(OSError):
            if _is_in_wal_mode(path):
                options += "&immutable=1"
    connection = sqlite3.connect(path.as_uri() + options, uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("BEGIN")  # one state, whatever is written meanwhile
        yield connection
    finally:
        connection.close()


def _is_in_wal_mode(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(19)[18:] == b"\x02"


class _Look:
    """Gathers what there is to say; lives for one inspection."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._ring = KeyRing(keys) if keys else None
        self.faults: list[str] = []
        self.schema = ""
        self.accounts = 0
        self.sealed = 0

    def at(self, connection: sqlite3.Connection) -> None:
        self._at_pages(connection)
        self._at_schema(connection)
        # What is broken or unknown has no values that could be judged.
        if not self.faults:
            self._at_values(connection)

    def _at_pages(self, connection: sqlite3.Connection) -> None:
        verdicts = [row[0] for row in connection.execute(f"PRAGMA quick_check({_MAX_FAULTS})")]
        if verdicts != ["ok"]:
            self.faults += [f"it is damaged: {verdict}" for verdict in verdicts]
        for row in connection.execute("PRAGMA foreign_key_check"):
            self.faults.append(f"a row of {row[0]} refers to one of {row[2]} that is not there")

    def _at_schema(self, connection: sqlite3.Connection) -> None:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        row = None
        if "alembic_version" in tables:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if row is None:
            self.faults.append("it is empty, or a database of another program")
            return
        self.schema = row[0]
        if self.schema not in CURRENT.revisions:
            self.faults.append(
                f"it was made by a newer kiro2api (schema {self.schema}; this one knows "
                f"{CURRENT.revisions[-1]})"
            )

    def _at_values(self, connection: sqlite3.Connection) -> None:
        ring = self._ring
        fact = connection.execute("SELECT value FROM facts WHERE name = ?", (KEY_CHECK,)).fetchone()
        if ring is None:
            self.faults.append("there is no secret key that could open it")
            return
        if fact is not None and not self._opens(ring, fact[0], "facts", KEY_CHECK):
            return  # the key is another one: every value would say so again
        for row in connection.execute("SELECT * FROM accounts"):
            self.accounts += 1
            for column in SEALED:
                # An older schema has fewer of them.
                if column in row.keys() and row[column] is not None:  # noqa: SIM118 - a Row, no dict
                    self._opens(ring, row[column], row["id"], column)
            if row["condition"] is not None:
                self._at_condition(row)

    def _opens(self, ring: KeyRing, sealed: bytes, row: str, column: str) -> bool:
        try:
            ring.open(bytes(sealed), row=row, column=column)
        except StoreError as error:
            self.faults.append(str(error).rstrip("."))
            return False
        self.sealed += 1
        return True

    def _at_condition(self, row: sqlite3.Row) -> None:
        try:
            json.decode(row["condition"], Condition)
        except RequestError:
            self.faults.append(f"the condition of account {row['id']} cannot be read")
