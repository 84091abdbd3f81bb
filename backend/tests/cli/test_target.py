"""What commands work on."""

from pathlib import Path

import pytest

from kiro2api import logs
from kiro2api.cli import target
from kiro2api.errors import SetupError
from kiro2api.logs import LogEvent
from kiro2api.store.opening import Store
from tests.support.commands import Commands


async def revision(store: Store) -> int:
    return await store.accounts.revision()


def test_a_command_that_only_asks_makes_no_database(commands: Commands) -> None:
    with pytest.raises(SetupError, match="There is no database"):
        target.on_store(target.read_target(None), revision)

    assert not commands.database.exists()


def test_a_command_that_brings_something_makes_the_database(commands: Commands) -> None:
    there = target.read_target(None)

    assert target.on_new_store(there, revision) == target.on_store(there, revision)


@pytest.mark.parametrize(("level", "tells"), [("", False), ("info", True)])
def test_what_goes_well_is_logged_only_when_the_operator_has_asked_for_it(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: str,
    tells: bool,
) -> None:
    if level:
        monkeypatch.setenv("LOG_LEVEL", level)
    target.read_target(None)
    logs.write(LogEvent.CLIENT_KEY_CREATED)

    assert ("client_key_created" in capsys.readouterr().err) is tells


def test_a_wrong_use_ends_with_its_reason_on_standard_error(commands: Commands) -> None:
    commands.fill("one")

    assert commands.run("accounts", "show", "two", code=2) == ""
    assert commands.error == "kiro2api: there is no account 'two'. There are: one.\n"


def test_the_file_that_serve_was_told_of_may_be_named_here_too(
    commands: Commands, tmp_path: Path
) -> None:
    path = tmp_path / "my.env"
    path.write_text(f"KIRO_DB_PATH={tmp_path / 'mine' / 'my.db'}\n")

    commands.run("keys", "reset", "--env-file", str(path))

    assert (tmp_path / "mine" / "my.db").is_file()
