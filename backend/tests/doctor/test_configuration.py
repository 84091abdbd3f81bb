"""What is said of settings and of the proxy variables of the environment."""

from pathlib import Path

import pytest

from kiro2api.config import Installation, Settings
from kiro2api.doctor.configuration import check_proxy_variables, read_settings
from kiro2api.doctor.finding import Verdict


def verdicts(environ: dict[str, str], folder: Path) -> list[Verdict]:
    installation = Installation(folder, folder, (folder,))
    return [f.verdict for f in read_settings(environ, installation, env_file=None)[1]]


def test_settings_that_are_known_are_well(tmp_path: Path) -> None:
    assert verdicts({"PORT": "1"}, tmp_path) == [Verdict.OK, Verdict.OK]


def test_settings_that_cannot_be_used_are_not_given_on(tmp_path: Path) -> None:
    installation = Installation(tmp_path, tmp_path, (tmp_path,))

    settings, findings = read_settings({"PORT": "x"}, installation, env_file=None)

    assert settings is None
    assert [f.verdict for f in findings] == [Verdict.FAULT]


def test_a_secret_that_cannot_be_used_is_not_shown(tmp_path: Path) -> None:
    installation = Installation(tmp_path, tmp_path, (tmp_path,))

    _, findings = read_settings({"KIRO_SECRET_KEY": "tiny"}, installation, env_file=None)

    assert "tiny" not in str(findings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "localhost", "::1"])
def test_a_short_key_is_fine_where_nobody_else_comes(tmp_path: Path, host: str) -> None:
    environ = {"KIRO_CLIENT_TOKEN": "123456", "HOST": host}

    assert Verdict.NOTE not in verdicts(environ, tmp_path)


def test_a_proxy_variable_matters_only_without_a_proxy_of_our_own() -> None:
    environ = {"http_proxy": "http://p", "HTTPS_PROXY": "", "no_proxy": "x"}

    (alone,) = check_proxy_variables(environ, Settings())
    (beside,) = check_proxy_variables(environ, Settings(proxy_url="http://127.0.0.1:1"))

    assert (alone.verdict, alone.what) == (Verdict.NOTE, "http_proxy ignored")
    assert beside.verdict is Verdict.OK
