"""`kiro2api serve`: its flags, and what it tells the person at the terminal."""

from pathlib import Path

import pytest

from kiro2api.cli.serve import announce, parse_flags, serve_command
from kiro2api.compose import Started
from kiro2api.config import SETTINGS
from kiro2api.errors import SetupError


def test_without_flags_nothing_is_set() -> None:
    flags, env_file = parse_flags([])

    assert {value for value in flags.values()} == {None}
    assert env_file is None


def test_every_setting_without_a_secret_has_a_flag() -> None:
    open_settings = [setting for setting in SETTINGS if not setting.about.secret]
    words = [f"--{setting.name.replace('_', '-')}=value" for setting in open_settings]
    flags, _ = parse_flags(words)

    assert flags == {setting.name: "value" for setting in open_settings}


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.about.secret], ids=lambda s: s.name)
def test_a_secret_has_no_flag(setting: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_flags([f"--{setting.name.replace('_', '-')}=value"])

    assert ended.value.code == 2


def test_half_a_flag_is_no_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_flags(["--por", "1"])

    assert ended.value.code == 2


def test_help_names_the_variable_behind_each_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_flags(["--help"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"({s.about.env})" in told for s in SETTINGS if not s.about.secret)


def test_the_file_of_settings_is_told_apart_from_the_settings() -> None:
    flags, env_file = parse_flags(["--env-file", "my.env", "--port", "1"])

    assert (env_file, flags["port"]) == ("my.env", "1")
    assert "env_file" not in flags


def test_a_file_of_settings_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nowhere\.env"):
        serve_command(["--env-file", str(tmp_path / "nowhere.env")])


def test_the_address_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    announce(Started("http://127.0.0.1:8080", "", Path("/data/k.db")))

    assert capsys.readouterr().out == "kiro2api is listening on http://127.0.0.1:8080\n"


def test_a_new_client_key_is_announced_with_the_way_to_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    announce(Started("http://127.0.0.1:8080", "k2a_new", Path("/data/k.db")))
    told = capsys.readouterr().out

    assert "\n  Client key: k2a_new\n" in told
    assert "kiro2api keys reset" in told
