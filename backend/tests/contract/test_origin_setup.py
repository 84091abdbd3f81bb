"""A checkout as first described: what lies where, and that the current folder never matters."""

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.emulator import RunningEmulator, run_emulator
from tests.support.gateway import RunningGateway, run_gateway
from tests.support.tree import BACKEND, ROOT, SOURCE


class Checkout(msgspec.Struct, frozen=True):
    """A copy of the project whose launcher needs no network, with two accounts in its `.env`."""

    root: Path
    emulator: RunningEmulator

    @property
    def backend(self) -> Path:
        return self.root / "backend"

    def databases(self) -> list[Path]:
        """Return every database in the checkout and beside it."""
        return sorted(self.root.parent.rglob("*.db"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    root = tmp_path_factory.mktemp("checkout").resolve() / "kiro2api"
    backend = root / "backend"
    shutil.copytree(SOURCE, backend / "src" / "kiro2api")
    (backend / "requirements").mkdir()
    for name in ("kiro2api", "pyproject.toml", "requirements/runtime.txt"):
        shutil.copy2(BACKEND / name, backend / name)
    make_environment(backend)
    (root.parent / "link").symlink_to(root / "backend" / "kiro2api")
    (root.parent / "folder").symlink_to(root)
    with run_emulator() as emulator:
        one, two = emulator.add_account("one"), emulator.add_account("two")
        accounts = f"""[
            {{"auth": "Social", "refreshToken": "{one.refresh_token}", "name": "one"}},
            {{"auth": "Social", "refreshToken": "{two.refresh_token}", "name": "two"}}
        ]"""
        (root / ".env").write_text(f"KIRO_AUTH_TOKEN='{accounts}'\n")
        yield Checkout(root, emulator)


def make_environment(backend: Path) -> None:
    """Stand in for what the launcher's first start makes: a Python with the requirements."""
    python = backend / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nPYTHONPATH='{backend}/src' exec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    shutil.copy2(backend / "requirements" / "runtime.txt", backend / ".venv" / ".runtime.txt")


def database_logged(gateway: RunningGateway) -> str:
    """Return the database that the newest start told of."""
    return str(gateway.log_lines("server_started")[-1]["database"])


@pytest.mark.parametrize(
    ("command", "cwd"),
    [
        ("./kiro2api", "kiro2api/backend"),
        ("backend/kiro2api", "kiro2api"),
        ("./link", "."),
        ("folder/backend/../backend/kiro2api", "."),
        ("{launcher}", "/"),
    ],
)
def test_the_current_folder_does_not_matter(
    checkout: Checkout, tmp_path: Path, command: str, cwd: str
) -> None:
    launcher = command.format(launcher=checkout.backend / "kiro2api")
    folder = checkout.root.parent / cwd
    with run_gateway(
        tmp_path, checkout.emulator, "", command=[launcher], cwd=folder, KIRO_DB_PATH=""
    ) as gateway:
        names = [account["name"] for account in gateway.accounts()]
        status = gateway.messages().status

    database = checkout.backend / "data" / "kiro2api.db"
    assert (names, status) == (["one", "two"], 200)
    assert database_logged(gateway) == str(database)
    assert checkout.databases() == [database]
    assert not (folder / "data").exists() or folder == checkout.backend


def test_a_relative_path_of_the_database_starts_at_the_checkout(
    checkout: Checkout, tmp_path: Path
) -> None:
    given = "./elsewhere/deep/my.db"
    launcher = str(checkout.backend / "kiro2api")
    with run_gateway(
        tmp_path, checkout.emulator, "", command=[launcher], cwd=Path("/"), KIRO_DB_PATH=given
    ) as gateway:
        database = checkout.backend / "elsewhere" / "deep" / "my.db"
        assert database_logged(gateway) == str(database)
        assert gateway.log_lines("database_created")[0]["path"] == str(database)
        assert stat.S_IMODE(database.stat().st_mode) == 0o600
    shutil.rmtree(checkout.backend / "elsewhere")


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "backend/data",
        "backend/kiro2api",
        "backend/src/kiro2api",
        "frontend",
        "LICENSE",
    ],
)
def test_the_project_has_what_its_description_names(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_launcher_can_be_run() -> None:
    assert os.access(BACKEND / "kiro2api", os.X_OK)
