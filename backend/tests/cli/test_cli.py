"""The command line: which words mean which command, and what a failed one says."""

from pathlib import Path

import pytest

from kiro2api import __version__
from kiro2api.cli import main
from kiro2api.cli import serve as serve_module
from kiro2api.config import SETTINGS
from kiro2api.errors import SetupError, StoreError

NO_ENV_FILE = ("--env-file", "/dev/null")
# A value that each variable must refuse; the others take any text.
BAD_VALUES = {
    "KIRO_CLIENT_TOKEN": "two words",
    "KIRO_DATABASE_URL": "mysql://user:password@host/db",
    "HOST": "no host",
    "PORT": "abc",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "GIN_MODE": "fast",
    "MAX_TOOL_DESCRIPTION_LENGTH": "many",
    "KIRO_ADMIN_TOKEN": "schlüssel",
    "KIRO_SECRET_KEY": "too short",
    "KIRO_REGION": "nowhere",
    "KIRO_PROXY_URL": "ftp://user:password@host",
    "KIRO_USER_AGENT": "ünïcode",
    "SSL_CERT_FILE": "no/such/file.pem",
    "KIRO_API_ENDPOINT": "host",
    "KIRO_SOCIAL_ENDPOINT": "https://",
    "KIRO_OIDC_ENDPOINT": "https://host/?query",
    "KIRO_IDP_HOSTS": "https://sso.example.com",
    "KIRO_CONNECT_TIMEOUT": "0",
    "KIRO_FIRST_EVENT_TIMEOUT": "soon",
    "KIRO_IDLE_TIMEOUT": "-1",
    "KIRO_CLIENT_STALL_TIMEOUT": "1e9",
    "KIRO_STATUS_COMMIT": "-1",
    "KIRO_PING_INTERVAL": "0",
    "KIRO_DRAIN_TIMEOUT": "nan",
    "KIRO_MAX_BODY_BYTES": "5",
    "KIRO_MAX_STREAMS": "1.5",
    "KIRO_HTTP_VERSION": "3",
}
TAKES_ANY_TEXT = {"KIRO_AUTH_TOKEN", "KIRO_DB_PATH", "KIRO_MODELS", "KIRO_CONFIG"}


def exit_code(*words: str) -> object:
    """Return the exit code of a command, which must end."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


@pytest.fixture(autouse=True)
def _only_given_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.about.env, raising=False)


# ----------------------------------------------------------------------------------------- words


def test_the_version_is_told_without_further_ado(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])

    assert capsys.readouterr().out == f"kiro2api {__version__}\n"


@pytest.mark.parametrize(
    ("words", "passed_on"),
    [
        ([], []),
        (["serve"], []),
        (["--port", "1"], ["--port", "1"]),
        (["serve", "--port", "1"], ["--port", "1"]),
    ],
)
def test_no_command_means_serve(
    monkeypatch: pytest.MonkeyPatch, words: list[str], passed_on: list[str]
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(serve_module, "serve_command", seen.append)

    main(words)

    assert seen == [passed_on]


def test_the_arguments_of_the_process_are_taken_when_none_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kiro2api", "--version"])

    main()

    assert __version__ in capsys.readouterr().out


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code = exit_code("--help")
    told = capsys.readouterr().out

    assert code == 0
    assert all(word in told for word in ("serve", "demo", "emulator", "keys", "config", "version"))
    assert "Usage: kiro2api " in told


@pytest.mark.parametrize("words", [["no-such-command"], ["serve", "--no-such-flag"], ["keys", "x"]])
def test_wrong_usage_has_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert exit_code(*words) == 2
    assert words[-1] in capsys.readouterr().err


# ------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("error", "code"),
    [(SetupError("Change it."), 78), (StoreError("It is away."), 74)],
    ids=["set-up", "store"],
)
def test_a_failed_command_says_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
) -> None:
    def fail(words: list[str]) -> None:
        raise error

    monkeypatch.setattr(serve_module, "serve_command", fail)

    assert exit_code() == code
    assert capsys.readouterr().err == f"kiro2api: {error}\n"


def test_an_interrupted_command_ends_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(words: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve_module, "serve_command", interrupt)

    assert exit_code() == 130


@pytest.mark.parametrize("variable", BAD_VALUES)
def test_a_bad_value_stops_the_start_and_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.setenv(variable, BAD_VALUES[variable])
    code = exit_code(*NO_ENV_FILE)
    told = capsys.readouterr().err

    assert code == 78
    assert told.startswith(f"kiro2api: {variable}")
    assert "must be" in told
    assert told.count("\n") == 1
    is_secret = next(s.about.secret for s in SETTINGS if s.about.env == variable)
    assert (BAD_VALUES[variable] in told) is not is_secret


def test_no_variable_with_bounds_is_left_out_above() -> None:
    assert BAD_VALUES.keys() | TAKES_ANY_TEXT == {setting.about.env for setting in SETTINGS}


def test_all_bad_values_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "abc")
    monkeypatch.setenv("LOG_LEVEL", "loud")

    assert exit_code(*NO_ENV_FILE) == 78
    told = capsys.readouterr().err
    assert "PORT='abc' must be a whole number from 0 to 65535." in told
    assert "LOG_LEVEL='loud' must be debug or info or warn or error." in told


def test_a_bad_value_in_a_file_is_told_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.env"
    path.write_text("PORT=abc\n")

    assert exit_code("--env-file", str(path)) == 78
    assert str(path) in capsys.readouterr().err
