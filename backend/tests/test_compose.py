"""The composition root: what serving imports, and what the operator's words become."""

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


# ------------------------------------------------------------------------------- what is imported


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


# ------------------------------------------------------------------------- the operator's model map


def test_no_map_of_models_overrides_nothing(tmp_path: Path) -> None:
    assert compose.read_model_overrides("  ", installation(tmp_path)) == {}


def test_a_map_of_models_may_stand_in_the_value_or_in_a_file(tmp_path: Path) -> None:
    text = '{"claude-haiku-4-5": "auto"}'
    (tmp_path / "models.json").write_text(text)
    read = [
        compose.read_model_overrides(value, installation(tmp_path))
        for value in (text, f"\n{text} ", "models.json", str(tmp_path / "models.json"))
    ]

    assert read == [{"claude-haiku-4-5": "auto"}] * 4


@pytest.mark.parametrize("value", ['{"a": 1}', '{"a"', "nowhere.json", "list.json", "."])
def test_any_other_map_of_models_stops_the_start(tmp_path: Path, value: str) -> None:
    (tmp_path / "list.json").write_text("[]")

    with pytest.raises(SetupError, match="KIRO_MODELS must be a JSON object"):
        compose.read_model_overrides(value, installation(tmp_path))


# -------------------------------------------------------------------------------------- client keys


def test_a_reset_client_key_is_new_and_known_by_its_digest_only(tmp_path: Path) -> None:
    settings = Settings(db_path=str(tmp_path / "my.db"))

    async def scene() -> tuple[str, str, bool]:
        first = await compose.reset_client_key(settings, installation(tmp_path))
        second = await compose.reset_client_key(settings, installation(tmp_path))
        store = await open_store(tmp_path / "my.db")
        kept = await store.keys.generated_key_digest()
        known = kept in store.ring.digests(compose.CLIENT_KEY_PURPOSE, second)
        await store.close()
        return first, second, known

    first, second, known = asyncio.run(scene())

    assert first != second
    assert known
    assert second.encode() not in (tmp_path / "my.db").read_bytes()


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


# ------------------------------------------------------------------------------------ small things


def test_the_work_runs_on_the_fast_loop() -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append(type(asyncio.get_running_loop()).__module__)

    compose.main_loop(work)

    assert seen == ["uvloop"]


def test_the_clock_and_the_chance_are_the_machines() -> None:
    clock, chance = compose.SystemClock(), compose.SystemChance()

    assert clock.wall() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()
    assert 0 <= chance.fraction() < 1
    assert chance.uuid() != chance.uuid()


def test_the_clock_sleeps() -> None:
    clock = compose.SystemClock()

    async def slept_s() -> float:
        before = clock.monotonic()
        await clock.sleep(0.01)
        return clock.monotonic() - before

    assert 0.01 <= asyncio.run(slept_s()) < 1
