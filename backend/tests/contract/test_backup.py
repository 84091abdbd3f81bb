"""Backup and restore beside a gateway that runs, on both dialects and through real restarts."""

import os
import subprocess
import sys
from pathlib import Path

from kiro2api.protocol.wire.json import decode
from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway, gateway_environment


def db(folder: Path, emulator: RunningEmulator, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `kiro2api db` with the settings of the gateway in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "kiro2api", "db", *words],
        env=gateway_environment(folder, emulator, []),
        cwd=folder,
        capture_output=True,
        text=True,
    )


def answers(gateway: RunningGateway) -> list[int]:
    return [gateway.messages().status, gateway.chat().status]


def test_a_copy_made_under_load_of_life_brings_a_lost_database_back(
    tmp_path: Path, emulator: RunningEmulator, start_gateway: StartGateway
) -> None:
    account = emulator.add_account("alpha")
    gateway = start_gateway([account])
    assert answers(gateway) == [200, 200]
    copied = db(tmp_path, emulator, "backup", "copy.db", "--json")
    assert (copied.returncode, copied.stderr) == (0, "")
    assert answers(gateway) == [200, 200]

    refused = db(tmp_path, emulator, "restore", "copy.db")
    assert refused.returncode == 78
    assert "stop the gateway first" in refused.stderr
    assert answers(gateway) == [200, 200]

    gateway.stop()
    (tmp_path / "kiro2api.db").write_bytes(os.urandom(20_000))
    assert db(tmp_path, emulator, "check").returncode == 1
    restored = db(tmp_path, emulator, "restore", "copy.db", "--json")
    assert restored.returncode == 0, restored.stderr
    assert decode(restored.stdout)["accounts"] == 1

    # The entry is recognised as the account that was restored, so nothing is refreshed anew.
    refreshes = len(emulator.refreshes())
    assert answers(start_gateway([account])) == [200, 200]
    assert len(emulator.refreshes()) == refreshes
    assert db(tmp_path, emulator, "check").returncode == 0


def test_a_killed_gateway_does_not_keep_a_restore_away(
    tmp_path: Path, emulator: RunningEmulator, start_gateway: StartGateway
) -> None:
    gateway = start_gateway([emulator.add_account("alpha")])
    assert db(tmp_path, emulator, "backup", "copy.db").returncode == 0

    gateway.kill()

    assert db(tmp_path, emulator, "restore", "copy.db").returncode == 0
