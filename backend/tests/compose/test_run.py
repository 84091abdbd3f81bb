"""The whole program: what serving imports, and a start that cannot listen."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from kiro2api import compose
from kiro2api.config import Installation, Settings
from kiro2api.errors import SetupError
from kiro2api.store.opening import open_store
from tests.support.emulator import RunningEmulator
from tests.support.gateway import NO_ENV_FILE, RunningGateway, StartGateway

# What may not be there when the first request is answered: it belongs to other commands, or later.
NOT_FOR_SERVING = {
    "alembic",
    "fastapi",
    "h11",
    "h2",
    "jsonschema",
    "pydantic",
    "rich",
    "starlette",
    "typer",
}


def installation(folder: Path) -> Installation:
    return Installation(folder, folder / "data", (folder,))


def modules_of(gateway: RunningGateway) -> set[str]:
    """Return what a program under `-X importtime` has imported until now."""
    lines = [line for line in gateway.log_text().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def split(module: str) -> tuple[str, str, str]:
    return module.partition(".")


def test_the_first_answer_needs_nothing_of_other_commands(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one")
    start_gateway(account).stop()  # makes the database, which is work for Alembic
    command = (sys.executable, "-X", "importtime", "-m", "kiro2api", *NO_ENV_FILE)
    gateway = start_gateway(account, command=command)
    assert gateway.messages(stream=True).status == 200
    imported = modules_of(gateway)

    assert {"kiro2api.gateway.attempt", "pycurl", "uvloop"} <= imported
    # A package itself is named there when its import was tried in vain, too.
    loaded = {package for package, dot, _ in map(split, imported) if dot}
    assert loaded & NOT_FOR_SERVING == set()
    assert [module for module in imported if module.startswith("kiro2api.emulator")] == []
    assert [module for module in imported if module.startswith("kiro2api.store.migrations")] == []


def test_a_key_that_nobody_was_shown_is_made_again_at_the_next_start(tmp_path: Path) -> None:
    shown: list[compose.Started] = []

    async def start(port: int) -> None:
        settings = Settings(db_path=str(tmp_path / "my.db"), port=port)
        await compose.run(settings, installation(tmp_path), shown.append)

    async def scene() -> bytes | None:
        refusal = pytest.raises(SetupError, match="Cannot listen")
        with socket.create_server(("127.0.0.1", 0)) as taken, refusal:
            await start(taken.getsockname()[1])
        store = await open_store(tmp_path / "my.db")
        try:
            return await store.keys.generated_key_digest()
        finally:
            await store.close()

    assert asyncio.run(scene()) is None
    assert shown == []
