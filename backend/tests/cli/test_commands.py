"""The commands beside `serve`."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from kiro2api import __version__
from kiro2api.cli import commands, main, target
from kiro2api.config import SETTINGS, Installation, settings_table
from kiro2api.protocol.wire.json import decode
from tests.support.tree import ROOT


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation in a folder of its own, and no variables but those a test sets."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.about.env, raising=False)
    found = Installation(tmp_path, tmp_path / "data", (tmp_path,))
    monkeypatch.setattr(target, "find_installation", lambda environ: found)
    return found


def run(*words: str) -> None:
    """Run a command to its good end."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the printed values by variable."""
    lines = capsys.readouterr().out.splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_settings_are_printed_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    run("config", "print")
    values = printed(capsys)

    assert list(values) == [setting.about.env for setting in SETTINGS]
    assert values["PORT"] == "8080"
    assert values["HOST"] == "127.0.0.1"
    assert values["LOG_LEVEL"] == "info"
    assert values["MAX_TOOL_DESCRIPTION_LENGTH"] == "10000"
    assert values["KIRO_CLIENT_TOKEN"] == ""


def test_the_printed_settings_tell_where_they_come_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", "9000")
    (tmp_path / ".env").write_text("LOG_LEVEL=warn\n")
    run("config", "print", "--origin")
    values = printed(capsys)

    assert values["PORT"] == "9000    # environment"
    assert values["LOG_LEVEL"] == f"warn    # {tmp_path / '.env'}"
    assert values["HOST"] == "127.0.0.1    # default"


def test_the_file_that_serve_was_told_of_may_be_named_here_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "my.env"
    path.write_text(f"KIRO_DB_PATH={tmp_path / 'mine' / 'my.db'}\n")
    run("config", "print", "--env-file", str(path))
    assert printed(capsys)["KIRO_DB_PATH"] == str(tmp_path / "mine" / "my.db")


def test_programs_get_the_settings_with_their_origins_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("KIRO_CLIENT_TOKEN", "planted-client-key")
    run("config", "print", "--json")
    settings = {one["name"]: one for one in decode(capsys.readouterr().out)}

    assert settings["PORT"] == {"name": "PORT", "value": "9000", "origin": "environment"}
    assert settings["KIRO_CLIENT_TOKEN"]["value"] == "***"


def test_printed_settings_hide_what_is_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIRO_CLIENT_TOKEN", "planted-client-key")
    monkeypatch.setenv("KIRO_AUTH_TOKEN", '[{"refreshToken": "planted-login"}]')
    monkeypatch.setenv("KIRO_PROXY_URL", "http://user:planted@host:1")
    run("config", "print")
    told = capsys.readouterr().out

    assert "planted" not in told
    assert "KIRO_CLIENT_TOKEN=***" in told


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_of_settings_is_printed_in_two_languages(
    capsys: pytest.CaptureFixture[str], language: str
) -> None:
    run("config", "docs", "--language", language)

    assert capsys.readouterr().out.rstrip("\n") == settings_table(language)


def test_the_version_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    run("version")

    assert capsys.readouterr().out == f"kiro2api {__version__}\n"


def test_serve_is_listed_with_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])

    assert ended.value.code == 0
    assert "--port" in capsys.readouterr().out


def test_the_emulator_has_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["emulator", "--help"])

    assert ended.value.code == 0
    assert "--accounts" in capsys.readouterr().out


# --------------------------------------------------------------------------------- the reference


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below `command`."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, *path, name)
    else:
        yield path


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    lacking = [
        " ".join(words)
        for words in leaves(typer.main.get_command(commands.app))
        if f"`kiro2api {' '.join(words)}" not in text
    ]

    assert lacking == []


@pytest.mark.parametrize(
    "words", sorted(leaves(typer.main.get_command(commands.app))), ids=" ".join
)
def test_every_command_takes_help_and_tells_what_it_does(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    run(*words, "--help")

    assert "usage:" in capsys.readouterr().out.lower()
