"""The lock of the data folder: shared by programs that have the database open, alone for a restore."""

import errno
import fcntl
import os
from pathlib import Path

from kiro2api.errors import SetupError


class FolderLock:
    """A lock on a folder; held until it is released or its process ends, however it ends.

    It is on the folder and not on the database: a program that closes any handle of a file loses
    all its locks on it, those of SQLite, too. And the folder's one secret key belongs to it as well.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it; fine twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def share(folder: Path) -> FolderLock:
    """Return a lock that any number of programs may hold at once.

    Raises:
        SetupError: a restore is under way.
    """
    return _locked(
        folder, fcntl.LOCK_SH, f"A database in {folder} is being restored: start again after that."
    )


def take_alone(folder: Path) -> FolderLock:
    """Return a lock that nobody else holds.

    Raises:
        SetupError: a program has a database in the folder open.
    """
    return _locked(
        folder,
        fcntl.LOCK_EX,
        f"A kiro2api uses a database in {folder}: stop the gateway first, then restore.",
    )


def _locked(folder: Path, kind: int, refusal: str) -> FolderLock:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise SetupError(f"The folder {folder} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise SetupError(refusal) from None
        return FolderLock(None)  # a file system without locks: SQLite's own must do
    return FolderLock(descriptor)
