"""Accounts that come by import or by login while a gateway runs on the same database."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.foreign_files import HASH, long, write_cli_database, write_ide_token
from tests.support.gateway import (
    NO_ENV_FILE,
    RunningGateway,
    StartGateway,
    gateway_environment,
)

WAIT_S = 5.0


def run(folder: Path, emulator: RunningEmulator, *words: str) -> str:
    """Run a command on the gateway's own settings and return what it printed."""
    command = [sys.executable, "-m", "kiro2api", *words, *NO_ENV_FILE]
    env = gateway_environment(folder, emulator, ())
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def serves(gateway: RunningGateway) -> bool:
    """Tell whether both dialects get an answer, before long."""
    until = time.monotonic() + WAIT_S
    while gateway.messages("hello").status != 200:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return gateway.chat("hello").status == 200


@pytest.fixture
def empty(start_gateway: StartGateway) -> RunningGateway:
    """A running gateway without an account."""
    gateway = start_gateway()
    assert gateway.messages("hello").status == 503
    return gateway


def test_an_imported_token_file_serves_at_once(
    empty: RunningGateway, tmp_path: Path, emulator: RunningEmulator
) -> None:
    emulator.add_account("a", kind="social", refresh_token=long("ide"))
    run(tmp_path, emulator, "accounts", "import", str(write_ide_token(tmp_path)))

    assert serves(empty)


def test_the_imported_login_of_an_organisation_serves_at_once(
    empty: RunningGateway, tmp_path: Path, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("a", kind="idc", refresh_token=long("ide"), region="us-east-1")
    registration = {
        "clientId": account.spec["client_id"],
        "clientSecret": account.spec["client_secret"],
    }
    (tmp_path / f"{HASH}.json").write_text(json.dumps(registration))
    path = write_ide_token(
        tmp_path,
        authMethod="IdC",
        provider="Enterprise",
        clientIdHash=HASH,
        profileArn="",
        region="us-east-1",
    )
    run(tmp_path, emulator, "accounts", "import", str(path))

    assert serves(empty)


def test_the_database_of_kiro_cli_serves_at_once(
    empty: RunningGateway, tmp_path: Path, emulator: RunningEmulator
) -> None:
    emulator.add_account("a", kind="social", refresh_token=long("cli"))
    token = {"access_token": "old", "refresh_token": long("cli"), "provider": "google"}
    path = tmp_path / "data.sqlite3"
    write_cli_database(path, {"kirocli:social:token": token}).close()
    run(tmp_path, emulator, "accounts", "import", str(path), "--follow")

    assert serves(empty)


def test_a_login_serves_at_once(
    empty: RunningGateway, tmp_path: Path, emulator: RunningEmulator
) -> None:
    emulator.add_account("a", kind="builder_id")
    emulator.set_sign_in(person="a", device_interval_s=0.01)
    run(tmp_path, emulator, "login", "--builder-id")

    assert serves(empty)
    assert emulator.refreshes() == []
