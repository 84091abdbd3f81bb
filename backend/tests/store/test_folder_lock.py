"""The lock of the data folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from kiro2api.errors import SetupError
from kiro2api.store import folder_lock
from kiro2api.store.folder_lock import share, take_alone
from kiro2api.store.opening import Store
from tests.support.stores import SOURCES, with_store


def test_many_share_a_folder(tmp_path: Path) -> None:
    locks = [share(tmp_path), share(tmp_path)]

    with pytest.raises(SetupError, match="stop the gateway first"):
        take_alone(tmp_path)
    locks[0].release()
    with pytest.raises(SetupError, match="stop the gateway first"):
        take_alone(tmp_path)
    locks[1].release()
    take_alone(tmp_path).release()


def test_nobody_else_is_in_a_folder_that_is_taken_alone(tmp_path: Path) -> None:
    lock = take_alone(tmp_path)

    with pytest.raises(SetupError, match="being restored"):
        share(tmp_path)
    with pytest.raises(SetupError, match="stop the gateway first"):
        take_alone(tmp_path)
    lock.release()
    lock.release()
    share(tmp_path).release()


def test_an_open_store_holds_its_folder_and_a_closed_one_does_not(tmp_path: Path) -> None:
    async def take(store: Store) -> None:
        with pytest.raises(SetupError, match="stop the gateway first"):
            take_alone(tmp_path)

    with_store(tmp_path / "k.db", take)

    take_alone(tmp_path).release()


def test_a_store_does_not_open_during_a_restore_and_leaves_no_file(tmp_path: Path) -> None:
    async def nothing(_store: Store) -> None: ...

    lock = take_alone(tmp_path)
    with pytest.raises(SetupError, match="being restored"):
        with_store(tmp_path / "k.db", nothing)
    lock.release()

    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_holds_nothing(tmp_path: Path) -> None:
    async def nothing(_store: Store) -> None: ...

    (tmp_path / "k.db").write_bytes(b"no database at all, but text")
    with pytest.raises(SetupError, match="damaged"):
        with_store(tmp_path / "k.db", nothing)

    take_alone(tmp_path).release()


def test_a_killed_program_holds_nothing(tmp_path: Path) -> None:
    script = """
import os, pathlib, signal, sys
from kiro2api.store.folder_lock import share
lock = share(pathlib.Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCES)})
    assert done.returncode == -9

    take_alone(tmp_path).release()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be opened"):
        share(tmp_path / "missing")


def test_a_file_system_without_locks_does_not_stop_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)

    share(tmp_path).release()
